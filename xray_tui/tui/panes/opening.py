"""What stands in place of the panes while a run gets ready, or when it could not begin."""

from rich.text import Text
from textual.widget import Widget

from xray_tui.tui.keymap import KeyMap
from xray_tui.tui.shown import ShownRun
from xray_tui.tui.text import bar
from xray_tui.tui.themes import Palette
from xray_tui.words import count, harmless

_TITLES = {
    "weights": "Loading the backbone's weights",
    "reading": "Reading the radiographs",
}
_BAR = 40


class OpeningPane(Widget, can_focus=False):
    """A sentence and a bar."""

    def on_mount(self) -> None:
        self._run: ShownRun | None = None

    def show(self, run: ShownRun) -> None:
        self._run = run
        self.refresh(layout=True)

    def render(self) -> Text:
        run, palette = self._run, Palette.of(self.app)
        if run is None:
            return Text()
        if run.failure:
            return self._failure(run, palette)
        if not run.live:
            return Text("This run ended before its first epoch: there is nothing to show.", palette.muted)
        progress = run.record.progress
        if progress is None:
            waiting = "Starting: the first time takes a few seconds." if run.ours else "Waiting for the run …"
            return Text(waiting, palette.muted)
        title = _TITLES.get(progress.phase, "Getting ready for the first epoch")
        text = Text.assemble((f"{title}\n\n", f"bold {palette.text}"), justify="center")
        if progress.total:
            cells = min(_BAR, max(8, self.app.size.width - 12))
            text.append(bar(progress.done / progress.total, cells), palette.bar(palette.primary))
            text.append(f"\n\n{count(progress.done)} of {count(progress.total)}", palette.muted)
        if progress.note:
            text.append(f"\n{harmless(progress.note)}", palette.muted)
        return text

    def _failure(self, run: ShownRun, palette: Palette) -> Text:
        failure = run.failure
        assert failure is not None
        title = "Something in xray-tui broke" if failure.bug else "The run could not go on"
        text = Text.assemble((f"{title}\n\n", f"bold {palette.error}"))
        text.append("\n".join(harmless(line) for line in failure.message.splitlines()), palette.text)
        if failure.hint:
            hint = "\n".join(harmless(line) for line in failure.hint.splitlines())
            text.append(f"\n\n{hint}", palette.muted)
        if run.ours:
            text.append(f"\n\n{KeyMap.of(self.app).shown_key('start')}", f"bold {palette.primary}").append(
                " opens the start form again", palette.muted
            )
        return text
