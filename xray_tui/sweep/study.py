"""The study of a sweep: which settings were tried, and what came of them. optuna keeps it, in SQLite.

Several processes may work on one study. It lies on a disk of their own machine: neither SQLite's
write-ahead log nor the locks work over a network.
"""

import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from xray_tui import config
from xray_tui.errors import UserError
from xray_tui.runs import state
from xray_tui.runs.directory import RunDirectory
from xray_tui.settings import Settings
from xray_tui.settings_file import leaves
from xray_tui.sweep import choosing
from xray_tui.sweep.choosing import PrunerName, SamplerName
from xray_tui.sweep.lock import Lock
from xray_tui.sweep.space import Metric, Space, Value

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial, Trial

TriedState = Literal["finished", "pruned", "failed", "running"]

_STATES: dict[str, TriedState] = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed"}
"""optuna's; whatever has another one has not ended."""

FOLDER = ".sweeps"
"""Of the runs folder: where studies are."""
_PATIENCE_SECONDS = 60.0
"""For another process that is writing."""
_FEWEST_FOR_IMPORTANCE = 10
"""Finished trials. A forest fitted to fewer says more of chance than of the settings."""


@dataclass(frozen=True)
class Tried:
    """A configuration that was tried, or is being tried."""

    number: int
    state: TriedState
    params: dict[str, Value]
    """By the dotted path of the setting."""
    value: float | None
    """Of the metric; of a pruned one as it was then."""
    epoch: int | None
    """The best one, whose weights the run keeps."""
    run: str
    """Name of the run directory; empty where it did not come to that."""
    why: str
    """Where it did not finish."""


@dataclass(frozen=True)
class Taken:
    """A trial that this process is at."""

    trial: "Trial"
    run: RunDirectory | None = None
    """Where it came to one already."""
    left: bool = False
    """Another process began it, and did not come to its end."""

    @property
    def number(self) -> int:
        return self.trial.number

    @property
    def params(self) -> dict[str, Value]:
        return self.trial.params


class Study:
    """
    Args:
        runs: the runs folder.
        settings: what trials have in common.

    Raises:
        UserError: optuna is not installed, the study cannot be opened, or was begun with another space,
            another metric or other settings.
    """

    def __init__(
        self,
        runs: Path,
        name: str,
        space: Space,
        settings: Settings,
        *,
        sampler: SamplerName = "tpe",
        pruner: PrunerName = "median",
    ) -> None:
        choosing.prepare()
        self.name, self.space, self.settings = _checked(name), space, settings
        self.runs = runs
        self.database = runs / FOLDER / f"{name}.db"
        self._sampler = sampler
        # In an order of their own: what is drawn for a seed must not depend on that of the file.
        self._distributions = {
            path: choosing.distribution(space.dimensions[path]) for path in sorted(space.dimensions)
        }
        with self._told():
            self.database.parent.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(self.database.with_suffix(".lock"))
            with self._lock.alone():  # two that make the tables at once would trip over each other
                self._study = self._open(choosing.pruner(pruner, space, settings))

    @property
    def metric(self) -> Metric:
        return self.space.metric

    def take(self, trials: int) -> Taken | None:
        """A trial for this process: one that a process which is gone has left, else a new one.

        Args:
            trials: how many there are to be, by all processes together.

        Returns:
            ``None`` where there are so many already.
        """
        with self._told(), self._lock.alone():
            known = self._study.get_trials(deepcopy=False)
            for trial in known:
                if _state(trial) == "running" and (left := self._take_over(trial.number)):
                    return left
            if len(known) >= trials:
                return None
            self._study.sampler = self._sampler_for(len(known))
            asked = self._study.ask(self._distributions)
            self._lock.hold(asked.number)
            return Taken(asked)

    def let_go(self, taken: Taken) -> None:
        """This process is not at the trial any more; whose end was not told is there to be taken again."""
        self._lock.let_go(taken.number)

    def note_run(self, taken: Taken, run: RunDirectory) -> None:
        with self._told():
            taken.trial.set_user_attr("run", run.name)

    def note_death(self, taken: Taken) -> int:
        """A process died at the trial: how often that was."""
        with self._told():
            deaths = int(taken.trial.user_attrs.get("deaths", 0)) + 1
            taken.trial.set_user_attr("deaths", deaths)
        return deaths

    def report(self, taken: Taken, epochs: int, value: float) -> bool:
        """Tell where a trial stands.

        Args:
            epochs: that have ended.
            value: of the metric, were the trial to end now.

        Returns:
            Whether it is to be pruned.
        """
        with self._told():
            # What a resumed run does again it told before.
            if epochs not in self._frozen(taken.number).intermediate_values:
                taken.trial.report(value, epochs)
            return bool(taken.trial.should_prune())

    def finish(self, taken: Taken, value: float, epoch: int) -> None:
        self._tell(taken, "COMPLETE", value, epoch=epoch)

    def prune(self, taken: Taken, why: str, epoch: int | None) -> None:
        self._tell(taken, "PRUNED", why=why, epoch=epoch)

    def fail(self, taken: Taken, why: str) -> None:
        self._tell(taken, "FAIL", why=why)

    def tried(self) -> list[Tried]:
        """All configurations, in the order in which they were begun."""
        with self._told():
            return [_tried(trial) for trial in self._study.get_trials(deepcopy=False)]

    def best(self) -> Tried | None:
        """The best of those that finished."""
        finished = self.ranked(self.tried())
        return finished[0] if finished else None

    def ranked(self, tried: list[Tried]) -> list[Tried]:
        """Those that finished, the best first."""
        values = [(one.value, one) for one in tried if one.state == "finished" and one.value is not None]
        values.sort(key=lambda pair: pair[0], reverse=self.metric.direction == "maximize")
        return [one for _, one in values]

    def importance(self) -> dict[str, float] | str:
        """What part of the variance among finished trials each setting explains, the largest first.

        By the functional analysis of variance of a random forest: Hutter, Hoos & Leyton-Brown (2014).

        Returns:
            Or why that cannot be said.
        """
        from optuna.importance import FanovaImportanceEvaluator, get_param_importances  # brings scikit-learn

        values = [one.value for one in self.tried() if one.state == "finished"]
        if len(values) < _FEWEST_FOR_IMPORTANCE:
            few = f"too few trials: {len(values)} finished, {_FEWEST_FOR_IMPORTANCE} say something"
            pruned = any(one.state == "pruned" for one in self.tried())
            return f"{few}; with --pruner none all finish" if pruned else few
        if len(set(values)) == 1:
            return "all trials came to the same"
        with self._told():
            found = get_param_importances(self._study, evaluator=FanovaImportanceEvaluator(seed=0))
        return {path: float(part) for path, part in found.items()}

    def close(self) -> None:
        self._lock.close()

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.database, timeout=_PATIENCE_SECONDS, check_same_thread=False)

    def _open(self, pruner: "optuna.pruners.BasePruner") -> "optuna.Study":
        import optuna
        from sqlalchemy import QueuePool

        # Readers then wait for no writer. It is a property of the file, and stays.
        with closing(self._connect()) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        # Not as a URL: % and ? in a folder's name would mean something else there.
        engine = {"creator": self._connect, "poolclass": QueuePool}
        storage = optuna.storages.RDBStorage("sqlite://", engine_kwargs=engine)
        study = optuna.create_study(
            storage=storage,
            study_name=self.name,
            direction=self.metric.direction,
            pruner=pruner,
            load_if_exists=True,
        )
        common = dict(leaves(config.to_tree(self.settings)))
        begun = study.user_attrs
        if "space" in begun:
            self._check_same(begun["space"], begun["settings"], common)
        else:
            study.set_user_attr("settings", common)
            study.set_user_attr("space", self.space.to_tree())
        return study

    def _check_same(self, space: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        hint = "go on with the same, or begin another study: --study NAME"
        if (metric := space["metric"]) != self.metric.name:
            raise UserError(f"the study {self.name} judges by {metric}, not by {self.metric.name}", hint)
        ours = self.space.to_tree()["space"]
        for path in sorted(space["space"].keys() | ours.keys()):
            was, now = space["space"].get(path, "nothing"), ours.get(path, "nothing")
            if was != now:
                raise UserError(f"the study {self.name} searches {path} in {was}, not in {now}", hint)
        for path, value in old.items():
            if path in new and value != new[path] and not path.startswith(("run.", "hardware.")):
                raise UserError(f"the study {self.name} was begun with {path} {value}, not {new[path]}", hint)

    def _take_over(self, number: int) -> Taken | None:
        """A trial that nobody is at, though it has not ended."""
        from optuna.trial import Trial

        if not self._lock.hold(number):
            return None
        trial = self._frozen(number)  # it may have ended just before
        run = RunDirectory(self.runs / trial.user_attrs["run"]) if "run" in trial.user_attrs else None
        if _state(trial) != "running" or (run is not None and state.read(run).live):
            self._lock.let_go(number)
            return None
        return Taken(Trial(self._study, trial._trial_id), run, left=True)

    def _frozen(self, number: int) -> "FrozenTrial":
        return self._study.get_trials(deepcopy=False)[number]

    def _sampler_for(self, number: int) -> "optuna.samplers.BaseSampler":
        """Seeded by study and trial: processes side by side draw differently, and a sweep that was broken off
        draws what it would have drawn.
        """
        words = f"{self.name}\0{self.settings.training.seed}\0{number}"
        return choosing.sampler(self._sampler, zlib.crc32(words.encode()))

    def _tell(
        self, taken: Taken, state: str, value: float | None = None, *, why: str = "", epoch: int | None = None
    ) -> None:
        from optuna.trial import TrialState

        with self._told():
            if why:
                taken.trial.set_user_attr("why", why)
            if epoch is not None:
                taken.trial.set_user_attr("epoch", epoch)
            self._study.tell(taken.number, value, TrialState[state])

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What keeps the study from being read or written, as a ``UserError``."""
        from optuna.exceptions import StorageInternalError
        from sqlalchemy.exc import DatabaseError

        try:
            yield
        except (OSError, sqlite3.Error, DatabaseError, StorageInternalError) as error:
            cause = error.__cause__ or error
            why = getattr(cause, "orig", None) or getattr(cause, "strerror", None) or cause
            raise UserError(
                f"the study cannot be read or written: {self.database}: {why}",
                "is it on a disk of this machine, with room, and may you write there?",
            ) from error


def _checked(name: str) -> str:
    if not name or name.startswith(".") or any(c in '/\\:*?"<>|' or not c.isprintable() for c in name):
        raise UserError(f"--study {name}: no name for a file", "letters, digits, blanks, - and _")
    return name


def _state(trial: "FrozenTrial") -> TriedState:
    return _STATES.get(trial.state.name, "running")


def _tried(trial: "FrozenTrial") -> Tried:
    told = trial.user_attrs
    return Tried(
        number=trial.number,
        state=_state(trial),
        params=dict(trial.params),
        value=trial.value,
        epoch=told.get("epoch"),
        run=told.get("run", ""),
        why=told.get("why", ""),
    )
