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

        async def keep(words: str) -> str:
            return await _trouble(self._keeping.set_note, run.directory, words)

        title, words = f"A note about {run.name}", "Empty takes the note away."
        await self._app.push_screen_wait(WordsScreen(title, words, "keep it", run.note, use=keep))

    async def rename(self, run: Summary) -> None:
        """Give a run another name."""

        async def rename(name: str) -> str:
            return await _trouble(self._keeping.rename, run.directory, name)

        words = f"Its folder stays {run.directory.name}. Empty gives back the name it started with."
        named = run.name if run.name != run.directory.name else ""
        ask = WordsScreen(f"Another name for {run.name}", words, "rename", named, use=rename)
        await self._app.push_screen_wait(ask)

    async def delete(self, run: Summary) -> bool:
        """Move a run to the trash, after asking. Whether that was done."""
        folder = harmless(run.directory.name)
        words = f"Nothing is erased: the folder {folder} goes into .trash beside the others."
        answers = [Answer("delete", "y", "move it"), Answer("stay", "escape", "keep it")]
        ask = AskScreen(f"Move {harmless(run.name)} to the trash?", words, answers)
        if await self._app.push_screen_wait(ask) != "delete":
            return False
        try:
            moved = await asyncio.to_thread(self._keeping.delete, run.directory)
        except (UserError, OSError) as error:
            tell_error(self._app, error)
            return False
        self._app.notify(f"It is now in {harmless(str(moved))}", title="run deleted", markup=False)
        return True

    async def export(self, runs: Sequence[Summary]) -> None:
        """Write runs into a file of the person's choice."""
        many = "1 run" if len(runs) == 1 else f"{count(len(runs))} runs"

        def write(file: Path) -> None:
            self._keeping.export(runs, file)

        file = await self._write(f"Export {many}", "runs.csv", _TABLES, write)
        if file is not None:
            self._app.notify(harmless(str(file)), title=f"{many} exported", markup=False)

    async def write(self, comparison: Comparison) -> None:
        """Write a comparison as Markdown into a file of the person's choice."""

        def write(file: Path) -> None:
            replace_bytes(file, self._keeping.to_markdown(comparison).encode("utf-8", "replace"))

        letters = "-".join(run.directory.name[:15] for run in comparison.runs[:2])
        file = await self._write("Write the comparison", f"comparison-{letters}.md", _TEXT, write)
        if file is not None:
            self._app.notify(harmless(str(file)), title="comparison written", markup=False)

    async def _write(
        self, title: str, name: str, suffixes: Sequence[str], write: Callable[[Path], None]
    ) -> Path | None:
        """Ask for a file until it is written, or the person leaves; one that is there is asked about."""

        def check(words: str) -> str:
            try:
                known = Path(words).expanduser().suffix.lower() in suffixes
            except RuntimeError:  # what stands behind the ~ is no user
                return "There is no such home folder."
            return "" if known else f"It ends in {' or '.join(suffixes)}."

        def named(words: str) -> Path:
            return self._folder / Path(words).expanduser()

        async def try_to(words: str) -> str:
            file = named(words)
            try:
                there = await asyncio.to_thread(file.exists)
            except OSError as error:
                return _in_words(error)
            if there and not await self._may_replace(file):
                return "It is there, and stays as it is."
            return await _trouble(write, file)

        words = f"A file that ends in {' or '.join(suffixes)}; without a folder it goes into {self._folder}"
        ask = WordsScreen(title, words, "write", name, proposed=True, check=check, use=try_to)
        given = await self._app.push_screen_wait(ask)
        return None if given is None else named(given)

    async def _may_replace(self, file: Path) -> bool:
        answers = [Answer("replace", "y", "replace it"), Answer("stay", "escape", "leave it")]
        ask = AskScreen("Replace the file?", harmless(str(file)), answers)
        return await self._app.push_screen_wait(ask) == "replace"


async def _trouble(work: Callable[..., Any], *given: Any) -> str:
    """Do it in a thread; what went wrong that a person can mend, and nothing where it is done."""
    try:
        await asyncio.to_thread(work, *given)
    except (UserError, OSError) as error:
        return _in_words(error)
    return ""


def tell_error(app: App[Any], error: UserError | OSError) -> None:
    """What went wrong, as a toast."""
    app.notify(_in_words(error), severity="error", markup=False)


def _in_words(error: UserError | OSError) -> str:
    if isinstance(error, UserError):
        words = f"{error.message}\n{error.hint}".rstrip()
    else:
        words = f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
    return "\n".join(harmless(line) for line in words.splitlines())
