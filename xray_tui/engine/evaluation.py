"""After the last epoch: the operating point, chosen on validation; then test, unsealed and evaluated."""

from collections.abc import Callable, Sequence
from pathlib import Path

from xray_tui import metrics
from xray_tui.data import unsealings
from xray_tui.data.folders import ImageFile
from xray_tui.data.pixels import Pixels
from xray_tui.engine import checkpoints, results, suspicions
from xray_tui.engine.epoch import Predictions
from xray_tui.engine.passes import Passes
from xray_tui.engine.plan import Plan
from xray_tui.engine.reading import Reader
from xray_tui.engine.times import Times
from xray_tui.errors import UserError
from xray_tui.events import Emit, OperatingPoint, TestUnsealed, Warning
from xray_tui.files import Insist
from xray_tui.words import count

_SEALED = "test stays sealed, as --unseal never has it; `xray-tui evaluate RUN` evaluates the run on it"


class Evaluation:
    """Of the weights that the plan's model holds.

    Args:
        folder: of the checkpoints; rank 0 alone writes there.
        insist: waits where the disk is full.
        point: that was chosen with the weights before.
    """

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        reader: Reader,
        passes: Passes,
        emit: Emit,
        times: Times,
        insist: Insist,
        point: OperatingPoint | None = None,
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._reader = reader
        self._passes = passes
        self._emit = emit
        self._times = times
        self._insist = insist
        self._point = point

    @property
    def _threshold(self) -> float | None:
        return self._point.threshold if self._point else None

    def note_selection(self, run: str) -> None:
        """Where the folder test validates, the best epoch is chosen on it: other runs are to know."""
        plan = self._plan
        if plan.roles.split == "recipe" and plan.world.main:
            trouble = self._look(plan.roles.validation, run)
            if isinstance(trouble, str):
                self._warn(trouble)

    def choose_operating_point(self, validation: Pixels, epoch: int) -> None:
        """Choose threshold and temperature, as far as the settings want any, and keep them with the weights.

        Validation is predicted once more: a run that was resumed here has no other predictions of the best
        epoch, and those of a frozen stage may come from kept features, which differ in the last bit.

        Args:
            epoch: whose weights the model holds.
        """
        settings, positive = self._plan.settings.evaluation, self._plan.positive
        rule = settings.operating_point
        if not settings.chooses:
            return
        found = self._passes.predict(validation, "validation")
        temperature = metrics.temperature(found.probabilities, found.actual) if settings.calibrate else None
        found = tempered(found, temperature)
        scores, is_positive = found.probabilities[:, positive], found.actual == positive
        threshold = metrics.operating_threshold(rule, scores, is_positive)
        if settings.calibrate and temperature is None:
            self._warn("validation tells no temperature: the probabilities stay as they are")
        if rule != "likeliest" and threshold is None:
            self._warn(f"validation tells no threshold for {rule}: the likeliest class is called")
        predicted = metrics.predicted_at(found.probabilities, positive, threshold)
        rates = metrics.rate(predicted, found.actual, positive, found.probabilities.shape[1])
        point = OperatingPoint(
            epoch=epoch,
            rule=rule,
            threshold=threshold,
            temperature=temperature,
            accuracy=rates.accuracy,
            sensitivity=rates.sensitivity,
            specificity=rates.specificity,
        )
        self._point = point
        self._emit(point)
        if self._plan.world.main:
            self._keep(lambda: checkpoints.keep_operating_point(self._folder, point))

    def evaluate_test(self, run: str, epoch: int | None, held: tuple[Pixels, Pixels] | None = None) -> None:
        """Read test, for the first and only time, and evaluate the model on it; or say why not.

        Args:
            run: name of its directory.
            epoch: whose weights the model holds.
            held: train and validation, where copies of test images are looked for; ``None`` reads them.
        """
        plan = self._plan
        if skipped := self._why_not(run):
            self._emit(results.test_skipped(skipped))
            return
        if changed := self._reader.test_changed():
            self._emit(changed)
        with self._times("reading images"):
            pixels = self._reader.test()
        if pixels.broken:
            self._emit(self._reader.warning(pixels.broken))
        if not len(pixels):
            self._emit(results.test_skipped("none of the test images can be read"))
            return
        for suspicion in suspicions.at_end(plan, held or self._read_again(), pixels):
            self._emit(suspicion)
        found = self._passes.predict(pixels, "test")
        found = tempered(found, self._point.temperature if self._point else None)
        sources = self._reader.sources(pixels)
        with self._times("intervals"):
            self._emit(results.test_evaluated(found, sources, epoch, plan.positive, self._threshold))

    def _read_again(self) -> tuple[Pixels, Pixels] | None:
        """Train and validation, long after they were learned from: mostly the cache has them still."""
        try:
            with self._times("reading images"):
                return self._reader.train_and_validation()
        except UserError as error:
            why = f"copies of test images in train and validation were not looked for: {error.message}"
            self._emit(Warning(kind="duplicates", message=why))
            return None

    def _why_not(self, run: str) -> str:
        """Why test is not to be read; empty where it is, and everybody has been told."""
        plan = self._plan
        if not plan.roles.test:
            return f"no images play the test role with --split {plan.roles.split}"
        if plan.settings.evaluation.unseal == "never":
            return _SEALED
        if trouble := plan.world.tell(self._reader.test_trouble()):
            return trouble
        looks = plan.world.tell(self._look(plan.roles.test, run) if plan.world.main else "")
        if isinstance(looks, str):
            return f"{looks}; `xray-tui evaluate RUN` evaluates the run once it can"
        if looks.damaged:
            lines = "line" if looks.damaged == 1 else "lines"
            self._warn(
                f"{count(looks.damaged)} {lines} of {unsealings.ledger_file()} cannot be read: test may have "
                "been looked at more often"
            )
        self._emit(TestUnsealed(images=len(plan.roles.test), times=looks.times))
        return ""

    def _look(self, images: Sequence[ImageFile], run: str) -> unsealings.Looks | str:
        """Note in the ledger that these are looked at, whose folder is called test; or why that cannot be."""
        plan = self._plan
        test = unsealings.digest_of(plan.listing.root, images)
        directory = Path(plan.settings.run.runs_dir) / run
        try:
            return self._insist(
                lambda: unsealings.look(test, directory), lambda: str(unsealings.ledger_file())
            )
        except OSError as error:
            return (
                f"it cannot be noted in {unsealings.ledger_file()} that test is looked at "
                f"({error.strerror or error})"
            )

    def _keep(self, write: Callable[[], Path]) -> None:
        try:
            with self._times("checkpoints"):
                self._insist(write, self._folder.__str__)
        except OSError as error:
            raise UserError(
                f"the operating point cannot be written into {self._folder}: {error.strerror or error}",
                "a resume chooses it anew",
            ) from error

    def _warn(self, message: str) -> None:
        self._emit(Warning(kind="evaluation", message=message))


def tempered(found: Predictions, temperature: float | None) -> Predictions:
    """The predictions as they are with logits divided by a temperature, where there is one."""
    if temperature is None:
        return found
    probabilities = metrics.tempered(found.probabilities, temperature)
    return Predictions(probabilities, metrics.losses(probabilities, found.actual), found.actual)
