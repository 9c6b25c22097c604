"""The event types: the one language between the engine and everyone who watches it.

An event is a small immutable record. Its array fields (named in ``ARRAYS``) exist in memory only:
the journal leaves them out, and an event read back from the journal has ``None`` there. Rates are
fractions; what is undefined is ``None``, never NaN.
"""

import math
import time
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, Struct, field

Stage = Literal["frozen", "unfrozen"]
Phase = Literal[
    "weights",
    "reading",
    "features",
    "train",
    "statistics",
    "validation",
    "explaining",
    "waiting",
    "full",
    "test",
    "predicting",
]
"""``statistics`` are those of BatchNorms for averaged weights; ``waiting`` is for a person, ``full`` for room
on the disk."""
Control = Literal["pause", "resume", "unfreeze", "learning_rate", "stop", "detach"]
Outcome = Literal["done", "interrupted", "failed"]

# What a journal may hold: read back, more than that is refused. (Nothing is checked as an event is made.)
MOST_COUNTED = 2**53
"""Beyond it a float has no room for each number."""
MOST_EPOCHS = 10**9
Count = Annotated[int, Meta(ge=0, le=MOST_COUNTED)]
EpochNumber = Annotated[int, Meta(ge=0, le=MOST_EPOCHS)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Coefficient = Annotated[float, Meta(ge=-1, le=1)]
Number = Annotated[float, Meta(ge=-1e39, le=1e39)]
"""A loss, a rate, seconds: more than a float32 holds, and so little that sums of them are finite."""
Moment = Annotated[float, Meta(ge=0, le=253_402_300_000)]
"""Unix seconds, to the year 9999: there is no later date."""

Array = Any
"""A numpy array; shape and dtype stand at the field. (``Any``: events know nobody, not even numpy.)"""


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


class Event(Struct, frozen=True, kw_only=True, tag_field="type", tag=_snake):
    """One thing that happened in a run."""

    ARRAYS: ClassVar[tuple[str, ...]] = ()

    t: Moment = field(default_factory=time.time)
    """When, in seconds since the Unix epoch."""


class Source(Struct, frozen=True):
    """One validation or test image: where its row in ``predictions/`` comes from."""

    path: str
    """Relative to the data folder, with forward slashes."""
    actual: int
    patient: str


class RunStarted(Event, frozen=True, kw_only=True):
    ARRAYS: ClassVar[tuple[str, ...]] = ("validation", "grid")

    run: str
    """Name of the run directory."""
    settings: dict[str, Any]
    """The resolved settings, as the tree of ``settings.Settings``."""
    device: str
    """The device in words: ``cuda:0 (NVIDIA H100)``, ``cpu (2 threads)``."""
    backbone: str
    weights: str
    """Where the backbone's weights came from."""
    classes: list[str]
    images: dict[str, dict[str, Count]]
    """Readable images by role (train, validation, test) and class."""
    split_note: str
    """How the split was chosen, in words."""
    unreadable: Count
    parameters: Count
    patients: dict[str, Count] = {}
    """Of the images, by role, where any tells its patient; an image that does not is one."""
    versions: dict[str, str] = {}
    """Of what computes: xray-tui, torch, Python."""
    validation: list[Source] | None = None
    grid: Array = None
    """The first train images, as the recipe crops them without augmentation: uint8 (N <= 32, H, W)."""


class StageStarted(Event, frozen=True, kw_only=True):
    stage: Stage
    first_epoch: EpochNumber
    epochs: EpochNumber
    learning_rate: Number
    trainable_parameters: Count
    total_parameters: Count


class Histogram(Struct, frozen=True):
    """Counts of values between edges, as TensorBoard wants them."""

    counts: Array
    """int64 (B,)"""
    edges: Array
    """float64 (B + 1,)"""
    minimum: float
    maximum: float
    total: float
    """Sum of the values."""
    squares: float
    """Sum of their squares."""


class Scored(Event, frozen=True, kw_only=True):
    """What predictions of a role are worth; the names are those of ``metrics.Metrics``."""

    accuracy: Fraction | None
    auc: Fraction | None
    sensitivity: Fraction | None
    specificity: Fraction | None
    confusion: list[list[Count]]
    """Images by actual class (rows) and predicted class (columns)."""
    balanced_accuracy: Fraction | None = None
    average_precision: Fraction | None = None
    f1: Fraction | None = None
    mcc: Coefficient | None = None
    """Matthews' correlation coefficient."""
    brier: Number | None = None
    calibration_error: Fraction | None = None


class EpochEnded(Scored, frozen=True, kw_only=True):
    ARRAYS: ClassVar[tuple[str, ...]] = ("probabilities", "losses", "actual", "histograms")

    stage: Stage
    epoch: EpochNumber
    train_loss: Number | None
    validation_loss: Number | None
    learning_rate: Number
    """As it stood when the epoch ended."""
    images_per_second: Number
    """Train images a second, the time of validation left out."""
    seconds: Number
    """The whole epoch, validation included; pauses are left out of both."""
    probabilities: Array = None
    """Of the validation images: float32 (N, C)."""
    losses: Array = None
    """Of the validation images: float32 (N,)."""
    actual: Array = None
    """Of the validation images: int64 (N,)."""
    histograms: dict[str, Histogram] | None = None
    """Of the head's weights and gradients, by ``weights/NAME`` and ``gradients/NAME``."""


class Best(Event, frozen=True, kw_only=True):
    stage: Stage
    epoch: EpochNumber
    validation_loss: Number
    accuracy: Fraction | None


class Mistake(Struct, frozen=True):
    """A misclassified validation image."""

    path: str
    """Relative to the data folder."""
    actual: int
    predicted: int
    probability: float | None
    """Of the predicted class."""
    loss: Number | None


class Mistakes(Event, frozen=True, kw_only=True):
    ARRAYS: ClassVar[tuple[str, ...]] = ("images",)

    stage: Stage
    epoch: EpochNumber
    total: Count
    worst: list[Mistake]
    """The worst by loss first, a fixed number at most."""
    images: Array = None
    """Of the worst, as the body saw them: uint8 (K, H, W)."""


class ControlUsed(Event, frozen=True, kw_only=True):
    control: Control
    stage: Stage | None
    epoch: EpochNumber | None
    why: str = "a person"
    """Who asked, or what: ``a person``, ``SIGTERM``."""
    value: Number | None = None
    """Of ``learning_rate``: the new one."""

    @property
    def words(self) -> str:
        """What was asked, for a person: ``unfreeze``, ``learning rate 0.0003``."""
        name = self.control.replace("_", " ")
        return name if self.value is None else f"{name} {self.value:g}"


class CheckpointSaved(Event, frozen=True, kw_only=True):
    checkpoint: Literal["best", "last"]
    epoch: EpochNumber
    """Of ``best``, the epoch whose weights it holds; of ``last``, the epoch that a resume goes on with."""
    path: str
    """Relative to the run directory."""
    bytes: Count


class Warning(Event, frozen=True, kw_only=True):
    kind: str
    """A stable word to look for: ``unreadable``, ``request``, ``handover``."""
    message: str
    paths: list[str] = []


class StageEnded(Event, frozen=True, kw_only=True):
    stage: Stage
    epochs: EpochNumber
    """Epochs that ended in this stage."""
    why: str
    """``finished``, ``unfreeze now``."""
    seconds: Number


class Explained(Event, frozen=True, kw_only=True):
    """What the best weights look at and tell apart in validation; once, when the stage that brought them has
    ended.
    """

    ARRAYS: ClassVar[tuple[str, ...]] = (
        "images",
        "heat",
        "sources",
        "probabilities",
        "features",
        "thumbnails",
    )

    stage: Stage
    epoch: EpochNumber
    """Whose weights they are: the best so far, which is of this stage."""
    mistakes: list[Mistake]
    """That epoch's worst by loss first, a dozen at most."""
    images: Array = None
    """Of the mistakes, as the body saw them: uint8 (K, S, S)."""
    heat: Array = None
    """Grad-CAM of the mistakes, for the class predicted: float32 (K, h, w) in 0 to 1, of the size of the
    feature map."""
    sources: list[Source] | None = None
    """Validation images of every class, N at most 2,000."""
    probabilities: Array = None
    """Of these: float32 (N, C)."""
    features: Array = None
    """What the head's last layer is given of each: float32 (N, D)."""
    thumbnails: Array = None
    """uint8 (N, T, T)"""


class OperatingPoint(Event, frozen=True, kw_only=True):
    """What was chosen on validation, with the weights of the best epoch, for all that comes after."""

    epoch: EpochNumber
    """Whose weights they are."""
    rule: str
    """As the setting ``evaluation.operating_point`` has it."""
    threshold: Fraction | None
    """Positive is called from this probability on; ``None`` calls the likeliest class."""
    temperature: Number | None
    """That logits are divided by; ``None`` where nothing was calibrated."""
    accuracy: Fraction | None
    """Of validation, at this point, as the next two."""
    sensitivity: Fraction | None
    specificity: Fraction | None


class TestUnsealed(Event, frozen=True, kw_only=True):
    """Test is about to be read."""

    __test__: ClassVar[bool] = False  # pytest would collect a class of this name

    images: Count
    times: Count
    """How many of this user's runs have looked at these images, this one included."""


class TestEvaluated(Scored, frozen=True, kw_only=True):
    """Test with the weights of the best epoch, at the operating point."""

    __test__: ClassVar[bool] = False  # pytest would collect a class of this name
    ARRAYS: ClassVar[tuple[str, ...]] = ("probabilities", "losses", "sources")

    skipped: str
    """Why test was not evaluated; empty where it was."""
    epoch: EpochNumber | None
    """The epoch whose weights were evaluated."""
    images: Count
    loss: Number | None
    intervals: dict[str, tuple[Number, Number]] = {}
    """Of 95 %, by the name of a field above; by patient."""
    probabilities: Array = None
    """Calibrated, where that was asked for: float32 (N, C)."""
    losses: Array = None
    """float32 (N,)"""
    sources: list[Source] | None = None
    """The test images, in the order of the two."""


PRUNER = "the sweep's pruner"
"""Who asks a run to stop that falls behind the others of its sweep; a colon and figures may follow."""


class RunEnded(Event, frozen=True, kw_only=True):
    outcome: Outcome
    why: str
    best_epoch: EpochNumber | None
    seconds: Number

    @property
    def pruned(self) -> bool:
        """Whether it was stopped for it was not worth to go on: nobody is to resume it."""
        return self.outcome == "interrupted" and self.why.startswith(f"stopped by {PRUNER}")


class Resumed(Event, frozen=True, kw_only=True):
    """The run goes on from its last checkpoint, perhaps in another process and long after its end."""

    epoch: EpochNumber
    """The first epoch that is run again or anew; what the journal tells of it and of later ones is void."""
    stage: Stage | None = None
    """The stage it goes on in; ``None`` where it begins anew."""


class Progress(Event, frozen=True, kw_only=True):
    """Where the epoch under way stands. Never in the journal: only the newest matters."""

    phase: Phase
    stage: Stage | None = None
    epoch: EpochNumber | None = None
    done: Count = 0
    total: Count = 0
    """In images, but in bytes or steps where ``phase`` says so."""
    images_per_second: Number | None = None
    note: str = ""


AnyEvent = (
    RunStarted
    | StageStarted
    | EpochEnded
    | Best
    | Mistakes
    | ControlUsed
    | CheckpointSaved
    | Warning
    | StageEnded
    | Explained
    | OperatingPoint
    | TestUnsealed
    | TestEvaluated
    | RunEnded
    | Resumed
    | Progress
)
Emit = Callable[[Event], None]


def finite(value: float | None) -> float | None:
    """The value, or ``None`` where it is not a finite number."""
    return None if value is None or not math.isfinite(value) else float(value)
