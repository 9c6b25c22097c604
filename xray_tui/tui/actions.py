"""Every action, once: its id, title, key and help. Bindings, footer, help and palette follow."""

from typing import NamedTuple

from textual.binding import Binding


class Action(NamedTuple):
    id: str
    title: str
    key: str
    group: str
    help: str
    hint: int = 0
    """Rank in the line at the bottom, which drops the highest where it is narrow; 0 is not in it."""
    display: str = ""
    """How the key is written, where its name is clumsy."""

    @property
    def shown_key(self) -> str:
        return self.display or self.key.split(",")[0]


ACTIONS = (
    Action("start", "start", "s", "run", "Start a run; where none is set up, open the start form.", 1),
    Action("pause", "pause", "space", "run", "Pause the run after this batch; again to let it go on.", 3),
    Action(
        "unfreeze",
        "unfreeze now",
        "u",
        "run",
        "Drop the epoch under way, load the best one and train the whole network.",
        6,
    ),
    Action("stop", "stop", "x", "run", "Stop the run after this batch (asks first).", 4),
    Action("tensorboard", "TensorBoard", "t", "run", "Start TensorBoard on the runs folder.", 7),
    Action("train", "Train", "1", "tabs", "The run: epochs, curves, confusion, mistakes."),
    Action("history", "History", "3", "tabs", "All runs of the runs folder; enter opens one."),
    Action(
        "earlier", "epoch before", "left", "look", "Show every pane as it was an epoch earlier.", display="←"
    ),
    Action("later", "epoch after", "right", "look", "Show every pane an epoch later.", display="→"),
    Action(
        "back",
        "back",
        "escape",
        "look",
        "Back: out of a field, to the newest epoch, to the live run.",
        display="esc",
    ),
    Action(
        "warnings",
        "warnings",
        "exclamation_mark",
        "look",
        "What went wrong without stopping the run.",
        display="!",
    ),
    Action("help", "help", "question_mark,f1", "help", "The keys, and what is on the screen.", 5, "?"),
    Action("quit", "quit", "q", "help", "Close the dashboard; asks while a run is live.", 2),
)

FIXED = (
    ("tab", "look", "Next pane; shift+tab goes back."),
    ("↑ ↓", "look", "Move in the pane that has the focus: epochs, mistakes, runs."),
    ("enter", "look", "Open the run under the cursor; start from the form."),
    ("ctrl+p", "help", "All commands by name, and the colour themes."),
)
"""Keys that the toolkit itself gives, for the help."""


def bindings() -> list[Binding]:
    """Each action's key, under the action's id so that a key map can change it."""
    return [
        Binding(action.key, f"perform('{action.id}')", action.title, id=action.id, show=False)
        for action in ACTIONS
    ]
