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
    places: tuple[str, ...] = ()
    """The tabs (and the ``form``) it belongs to; none means everywhere."""

    @property
    def shown_key(self) -> str:
        return self.display or self.key.split(",")[0]

    def fits(self, place: str) -> bool:
        return not self.places or place in self.places


TABS = ("train", "mistakes", "history", "data", "settings")
RUN_PLACES = ("train", "mistakes")
"""Where a run is in sight."""
STEERING = ("pause", "unfreeze", "learning_rate", "stop", "detach")
"""What is asked of a live run."""
_OFF_LISTS = ("form", "train", "mistakes", "data", "settings")

ACTIONS = (
    Action("start", "start", "s", "run", "Start a run; where none is set up, open the start form.", 1),
    Action(
        "pause",
        "pause",
        "space",
        "run",
        "Pause the run after this batch; again to let it go on.",
        3,
        places=_OFF_LISTS,
    ),
    Action(
        "unfreeze",
        "unfreeze now",
        "u",
        "run",
        "Drop the epoch under way, load the best one and train the whole network.",
        6,
    ),
    Action(
        "learning_rate", "learning rate", "l", "run", "Change the learning rate from the next batch on.", 9
    ),
    Action(
        "stop",
        "stop",
        "x",
        "run",
        "Stop the run after this batch (asks first), or a playback.",
        4,
    ),
    Action(
        "detach",
        "detach",
        "d",
        "run",
        "Let the run go on without this dashboard; any terminal can watch it.",
        8,
    ),
    Action("tensorboard", "TensorBoard", "t", "run", "Start TensorBoard on the runs folder.", 7),
    Action("train", "Train", "1", "tabs", "The run: epochs, curves, confusion, mistakes."),
    Action("mistakes", "Mistakes", "2", "tabs", "Every misclassified validation image, with the threshold."),
    Action("history", "History", "3", "tabs", "All runs of the runs folder: open, compare, export."),
    Action("data", "Data", "4", "tabs", "The radiographs: counts, sizes, duplicates, a gallery."),
    Action("settings", "Settings", "5", "tabs", "Every setting, its default and where its value comes from."),
    Action(
        "earlier",
        "epoch before",
        "left",
        "look",
        "Show every pane as it was an epoch earlier.",
        display="←",
        places=RUN_PLACES,
    ),
    Action(
        "later",
        "epoch after",
        "right",
        "look",
        "Show every pane an epoch later.",
        display="→",
        places=RUN_PLACES,
    ),
    Action(
        "log_axis",
        "log axis",
        "y",
        "look",
        "Losses on a logarithmic axis, and back.",
        places=("train", "history"),
    ),
    Action(
        "smoother",
        "smoother",
        "plus,equals_sign",
        "look",
        "Smooth the curves more.",
        display="+",
        places=("train", "history"),
    ),
    Action(
        "rougher",
        "rougher",
        "minus",
        "look",
        "Smooth the curves less.",
        display="-",
        places=("train", "history"),
    ),
    Action("raw", "raw curves", "0", "look", "Show the curves as they are.", places=("train", "history")),
    Action(
        "hold",
        "hold the display",
        "h",
        "look",
        "Hold the display still while the run goes on.",
        places=("train",),
    ),
    Action("act", "act on the advice", "a", "run", "Do what the line of advice proposes.", places=("train",)),
    Action(
        "heat",
        "Grad-CAM",
        "g",
        "look",
        "Where the network looked, over the radiograph.",
        8,
        places=("mistakes",),
    ),
    Action(
        "curves",
        "curves",
        "c",
        "look",
        "ROC, precision and recall, calibration, in place of the radiograph; again for the next, and back.",
        9,
        places=("mistakes",),
    ),
    Action(
        "direction",
        "direction",
        "f",
        "look",
        "All mistakes, only the missed ones, only the false alarms.",
        11,
        places=("mistakes",),
    ),
    Action(
        "lower",
        "lower threshold",
        "left_square_bracket",
        "look",
        "Call more images positive.",
        11,
        "[",
        ("mistakes",),
    ),
    Action(
        "raise_",
        "raise threshold",
        "right_square_bracket",
        "look",
        "Call fewer images positive.",
        10,
        "]",
        ("mistakes",),
    ),
    Action(
        "reset",
        "reset",
        "backspace",
        "look",
        "Back to the default.",
        display="⌫",
        places=("mistakes", "settings"),
    ),
    Action(
        "filter",
        "filter",
        "slash",
        "look",
        "Show only what matches.",
        9,
        "/",
        ("mistakes", "history", "settings"),
    ),
    Action(
        "sort",
        "sort",
        "o",
        "look",
        "Sort by the next column; a click on a column's head does it too.",
        13,
        places=("train", "mistakes", "history"),
    ),
    Action(
        "reverse",
        "reverse",
        "O",
        "look",
        "Sort the other way round.",
        places=("train", "mistakes", "history"),
    ),
    Action(
        "select",
        "select",
        "space",
        "runs",
        "Select the run under the cursor, for comparing.",
        9,
        places=("history",),
    ),
    Action("compare", "compare", "c", "runs", "Compare the selected runs.", 9, places=("history",)),
    Action("note", "note", "n", "runs", "Write a note about the run.", 11, places=("history",)),
    Action("rename", "rename", "e", "runs", "Give the run another name.", 13, places=("history",)),
    Action(
        "again",
        "again",
        "a",
        "runs",
        "Fill the start form with this run's settings.",
        10,
        places=("history",),
    ),
    Action(
        "resume",
        "resume",
        "r",
        "runs",
        "Go on exactly where an interrupted run stopped.",
        10,
        places=("history",),
    ),
    Action(
        "delete",
        "delete",
        "delete",
        "runs",
        "Move the run to the trash folder (asks).",
        12,
        "del",
        ("history",),
    ),
    Action(
        "export",
        "export",
        "w",
        "look",
        "Write what is shown into a file.",
        11,
        places=("mistakes", "history", "settings"),
    ),
    Action("look_again", "look again", "r", "look", "Check the data folder anew.", 9, places=("data",)),
    Action(
        "page_before",
        "page before",
        "left,pageup",
        "look",
        "The gallery's page before.",
        display="←",
        places=("data",),
    ),
    Action(
        "page_after",
        "page after",
        "right,pagedown",
        "look",
        "The gallery's next page.",
        display="→",
        places=("data",),
    ),
    Action(
        "gallery_role",
        "role",
        "f",
        "look",
        "Show train, validation or test in the gallery.",
        10,
        places=("data",),
    ),
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
    Action("jump", "jump", "ctrl+o", "help", "Jump to a pane by its letter.", display="^o"),
    Action("help", "help", "question_mark,f1", "help", "The keys, and what is on the screen.", 5, "?"),
    Action(
        "suspend",
        "suspend",
        "ctrl+z",
        "help",
        "Back to the shell, where fg returns; a run of this dashboard stands still meanwhile.",
        display="^z",
    ),
    Action("quit", "quit", "q", "help", "Close the dashboard; asks while a run is live.", 2),
)

BY_ID = {action.id: action for action in ACTIONS}

FIXED = (
    ("tab", "look", "Next pane; shift+tab goes back."),
    ("↑ ↓", "look", "Move in the pane that has the focus: epochs, mistakes, runs."),
    ("enter", "look", "Open what is under the cursor; start from the form."),
    ("ctrl+p", "help", "All commands by name, and the colour themes."),
)
"""Keys that the toolkit itself gives, for the help."""


def bindings() -> list[Binding]:
    """Each action's key, under the action's id so that a key map can change it."""
    return [
        Binding(action.key, f"perform('{action.id}')", action.title, id=action.id, show=False)
        for action in ACTIONS
    ]
