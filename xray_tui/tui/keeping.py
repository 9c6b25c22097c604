"""Keeping runs in order: notes, names, the trash, tables of them; each asked for in a line of words."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.app import App

from xray_tui.errors import UserError
from xray_tui.files import replace_bytes
from xray_tui.runs import upkeep
from xray_tui.runs.compare import Comparison, compare, to_markdown
from xray_tui.runs.directory import RunDirectory, list_runs
from xray_tui.runs.index import Summary, summary
from xray_tui.tui.screens.ask import Answer, AskScreen
from xray_tui.tui.screens.words import WordsScreen
from xray_tui.words import count, harmless

_SCREENFUL, _MANY = 60, 200
_TABLES, _TEXT = (".csv", ".json", ".md"), (".md",)


def newest_of_many(folder: Path) -> Sequence[Summary]:
    """The newest runs, a screenful; none where the folder holds so few that all are read as quickly."""
    directories = list_runs(folder)
    return [summary(directory) for directory in directories[:_SCREENFUL]] if len(directories) > _MANY else []


@dataclass(frozen=True)
class Keeping:
    """What is asked of the runs layer."""

    newest: Callable[[Path], Sequence[Summary]] = newest_of_many
    look: Callable[[RunDirectory], Summary] = summary
    compare: Callable[[Sequence[RunDirectory]], Comparison] = compare
    to_markdown: Callable[[Comparison], str] = to_markdown
    set_note: Callable[[RunDirectory, str], None] = upkeep.set_note
    rename: Callable[[RunDirectory, str], None] = upkeep.rename
    delete: Callable[[RunDirectory], Path] = upkeep.delete
    export: Callable[[Sequence[Summary], Path], None] = upkeep.export


class RunKeeper:
    """Asks the person, then does it in a thread, and says what came of it.

    Its methods are coroutines that wait for an answer: they run in a worker.

    Args:
        folder: the runs folder.
    """

    def __init__(self, app: App[Any], keeping: Keeping, folder: Path) -> None:
        self._app, self._keeping, self._folder = app, keeping, folder

    async def note(self, run: Summary) -> None:
        """Write a note about a run."""
        ask = WordsScreen(f"A note about {run.name}", "Empty takes the note away.", "keep it", run.note)
        words = await self._app.push_screen_wait(ask)
        if words is not None:
            await self._do(self._keeping.set_note, run.directory, words)

    async def rename(self, run: Summary) -> None:
        """Give a run another name."""
        words = f"Its folder stays {run.directory.name}. Empty gives back the name it started with."
        named = run.name if run.name != run.directory.name else ""
        ask = WordsScreen(f"Another name for {run.name}", words, "rename", named)
        name = await self._app.push_screen_wait(ask)
        if name is not None:
            await self._do(self._keeping.rename, run.directory, name)

    async def delete(self, run: Summary) -> bool:
        """Move a run to the trash, after asking. Whether that was done."""
        folder = harmless(run.directory.name)
        words = f"Nothing is erased: the folder {folder} goes into .trash beside the others."
        answers = [Answer("delete", "y", "move it"), Answer("stay", "escape", "keep it")]
        ask = AskScreen(f"Move {harmless(run.name)} to the trash?", words, answers)
        if await self._app.push_screen_wait(ask) != "delete":
            return False
        moved: list[Path] = []
        done = await self._do(lambda: moved.append(self._keeping.delete(run.directory)))
        if done:
            self._app.notify(f"It is now in {harmless(str(moved[0]))}", title="run deleted", markup=False)
        return done

    async def export(self, runs: Sequence[Summary]) -> None:
        """Write runs into a file of the person's choice."""
        many = "1 run" if len(runs) == 1 else f"{count(len(runs))} runs"
        file = await self._ask_file(f"Export {many}", "runs.csv", _TABLES)
        if file is not None and await self._do(self._keeping.export, runs, file):
            self._app.notify(harmless(str(file)), title=f"{many} exported", markup=False)

    async def write(self, comparison: Comparison) -> None:
        """Write a comparison as Markdown into a file of the person's choice."""
        letters = "-".join(run.directory.name[:15] for run in comparison.runs[:2])
        file = await self._ask_file("Write the comparison", f"comparison-{letters}.md", _TEXT)
        if file is None:
            return
        words = self._keeping.to_markdown(comparison)
        if await self._do(replace_bytes, file, words.encode("utf-8", "replace")):
            self._app.notify(harmless(str(file)), title="comparison written", markup=False)

    async def _ask_file(self, title: str, name: str, suffixes: Sequence[str]) -> Path | None:
        """A file to write; one that is there already is asked about."""

        def check(words: str) -> str:
            try:
                known = Path(words).expanduser().suffix.lower() in suffixes
            except RuntimeError:  # what stands behind the ~ is no user
                return "There is no such home folder."
            return "" if known else f"It ends in {' or '.join(suffixes)}."

        words = f"A file that ends in {' or '.join(suffixes)}; without a folder it goes into {self._folder}"
        given = await self._app.push_screen_wait(WordsScreen(title, words, "write", name, check=check))
        if given is None:
            return None
        file = self._folder / Path(given).expanduser()
        try:
            there = await asyncio.to_thread(file.exists)
        except OSError as error:
            tell_error(self._app, error)
            return None
        if there:
            answers = [Answer("replace", "y", "replace it"), Answer("stay", "escape", "leave it")]
            ask = AskScreen("Replace the file?", harmless(str(file)), answers)
            if await self._app.push_screen_wait(ask) != "replace":
                return None
        return file

    async def _do(self, work: Callable[..., Any], *given: Any) -> bool:
        """Do it in a thread; what a person can mend becomes a toast."""
        try:
            await asyncio.to_thread(work, *given)
        except (UserError, OSError) as error:
            tell_error(self._app, error)
            return False
        return True


def tell_error(app: App[Any], error: UserError | OSError) -> None:
    """What went wrong, as a toast."""
    if isinstance(error, UserError):
        words = f"{error.message}\n{error.hint}".rstrip()
    else:
        words = f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
    app.notify("\n".join(harmless(line) for line in words.splitlines()), severity="error", markup=False)
