"""Reads the images of a plan into the pixel cache, and tells what it found."""

import platform

import numpy as np
import torch

from xray_tui import __version__, config
from xray_tui.data import pixels
from xray_tui.data.augmentation import plain
from xray_tui.data.pixel_cache import cache_of
from xray_tui.data.pixels import Broken, Pixels
from xray_tui.engine.epoch import Step
from xray_tui.engine.plan import Plan
from xray_tui.engine.reporting import Reporter
from xray_tui.errors import UserError
from xray_tui.events import Array, RunStarted, Source, Warning
from xray_tui.files import Insist, at_once
from xray_tui.words import count

_GRID = 32


class Reader:
    """Reads each role once: train and validation before the first epoch, test after the last."""

    def __init__(self, plan: Plan, reporter: Reporter, insist: Insist = at_once) -> None:
        self._plan = plan
        self._reporter = reporter
        self._root = plan.listing.root
        self._training = plan.settings.training
        self._cache = cache_of(plan.settings.data, insist)
        self._test_began = self._stamps()

    def train_and_validation(self) -> tuple[Pixels, Pixels]:
        """Raises a ``UserError`` where too much is unreadable, or too little is left to train on."""
        train, validation = self._plan.world.first_on_host(self._train_and_validation)
        self._check_same(train.broken + validation.broken)
        return train, validation

    def test(self) -> Pixels:
        test = self._plan.world.first_on_host(self._test)
        self._check_same(test.broken)
        return test

    def train(self) -> Pixels:
        """Train alone, in the only process; raises as :meth:`train_and_validation`."""
        files = self._plan.roles.train
        train = self._train(self._reporter.steps("reading", len(files)))
        pixels.check_broken(train.broken, len(files), self._plan.settings.data.unreadable)
        if len(train) < 2:
            raise UserError(
                f"{len(train)} train images can be read: too few",
                "mend the files named above, or choose another data folder",
            )
        return train

    def _check_same(self, broken: list[Broken]) -> None:
        self._plan.world.check_same([file.path for file in broken], "other images cannot be read")

    def _train_and_validation(self) -> tuple[Pixels, Pixels]:
        roles, training = self._plan.roles, self._training
        total = len(roles.train) + len(roles.validation)
        step = self._reporter.steps("reading", total)
        train = self._train(step)
        validation = pixels.read_plain(
            self._root,
            roles.validation,
            self._plan.settings.resize,
            training.image_size,
            lambda done: step(len(roles.train) + done),
            self._cache,
        )
        pixels.check_broken(train.broken + validation.broken, total, self._plan.settings.data.unreadable)
        if len(train) < 2 or not len(validation):
            raise UserError(
                f"{len(train)} train and {len(validation)} validation images can be read: too few",
                "mend the files named above, or choose another data folder",
            )
        return train, validation

    def _train(self, step: Step) -> Pixels:
        files, resize = self._plan.roles.train, self._training.resize
        return pixels.read_train(self._root, files, resize, step, self._cache)

    def _test(self) -> Pixels:
        resize, crop = self._plan.settings.resize, self._training.image_size
        step = self._reporter.steps("reading", len(self._plan.roles.test))
        return pixels.read_plain(self._root, self._plan.roles.test, resize, crop, step, self._cache)

    def test_trouble(self) -> str:
        """Why test cannot be read at all; empty where it can."""
        return "" if self._root.is_dir() else f"the data folder {self._root} is not there any more"

    def test_changed(self) -> Warning | None:
        """The test images whose files are others than when this process began; they are read last."""
        now = self._stamps()
        then = self._test_began
        others = [f.path for f, a, b in zip(self._plan.roles.test, then, now, strict=True) if a != b]
        if not others:
            return None
        are = "image has" if len(others) == 1 else "images have"
        message = f"{count(len(others))} test {are} changed since the run began"
        return Warning(kind="images_changed", message=message, paths=others)

    def _stamps(self) -> list[tuple[int, int] | None]:
        """Size and time of each test image's file."""
        found: list[tuple[int, int] | None] = []
        for file in self._plan.roles.test:
            try:
                stat = (self._root / file.place).stat()
                found.append((stat.st_size, stat.st_mtime_ns))
            except OSError:
                found.append(None)
        return found

    def run_started(self, run: str, train: Pixels, validation: Pixels) -> RunStarted:
        """The run's first event, with all that was found out before the first epoch."""
        plan = self._plan
        classes = plan.listing.classes
        roles = {"train": train.files, "validation": validation.files, "test": plan.roles.test}
        return RunStarted(
            run=run,
            settings=config.to_tree(plan.settings),
            device=plan.hardware.words,
            backbone=plan.backbone.name,
            weights=plan.backbone.source,
            classes=classes,
            images={
                role: {name: sum(f.label == label for f in files) for label, name in enumerate(classes)}
                for role, files in roles.items()
            },
            split_note=plan.roles.note,
            unreadable=len(train.broken) + len(validation.broken),
            parameters=plan.model.parameter_counts()[1],
            patients={
                role: len(set(map(plan.names.patient, files)))
                for role, files in roles.items()
                if any(map(plan.names.named_patient, files))
            },
            versions={
                "xray-tui": __version__,
                "torch": str(torch.__version__),
                "Python": platform.python_version(),
            },
            validation=self.sources(validation),
            grid=self._grid(train),
        )

    def sources(self, pixels: Pixels) -> list[Source]:
        """The images of a role, as the predictions name them."""
        return [Source(f.path, f.label, self._plan.names.patient(f)) for f in pixels.files]

    def warning(self, broken: list[Broken]) -> Warning:
        """What to say of files that were passed over."""
        images = "image" if len(broken) == 1 else "images"
        return Warning(
            kind="unreadable",
            message=f"{count(len(broken))} {images} cannot be read: passed over",
            paths=[f"{b.path} ({b.why})" for b in broken],
        )

    def _grid(self, train: Pixels) -> Array:
        """Train images spread over all of train: uint8 (N <= 32, S, S)."""
        resize, crop = self._training.resize, self._training.image_size
        chosen = np.linspace(0, len(train) - 1, min(_GRID, len(train))).round().astype(int)
        return np.stack([plain(train.images[int(i)], resize, crop)[0].numpy() for i in chosen])
