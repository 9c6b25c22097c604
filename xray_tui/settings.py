"""What can be set of a run: one tree, in which every number of the recipe has its default, once."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

Split = Literal["auto", "recipe", "folders", "holdout"]
Unfreeze = Literal["auto", "ask"]
Precision = Literal["auto", "float32", "bfloat16"]
Compile = Literal["auto", "on", "off"]
BatchNorm = Literal["learn", "keep"]
OnNan = Literal["stop", "rollback"]
Preset = Literal["recipe", "tuned"]
OptimizerName = Literal["adam", "adamw"]
Schedule = Literal["constant", "cosine", "one_cycle"]
Balance = Literal["none", "weights", "sampling"]
Averaging = Literal["none", "ema", "swa"]
Tta = Literal["none", "flip"]
Unseal = Literal["end", "never"]

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Rate = Annotated[float, Meta(gt=0)]


class DataSettings(Struct, frozen=True, forbid_unknown_fields=True):
    root: Annotated[
        str,
        Meta(description="folder with train/, test/ and perhaps val/; a CSV of labels; MedMNIST's .npz"),
    ] = ""
    columns: Annotated[
        str,
        Meta(
            description="columns of a CSV of labels, where their names do not tell: path=FILE, label=FINDING "
            "(also split and patient)"
        ),
    ] = ""
    split: Annotated[Split, Meta(description="which folder plays which role")] = "auto"
    positive: Annotated[
        str, Meta(description="class that sensitivity and AUC speak of (default: the last by name)")
    ] = ""
    limit: Annotated[Count, Meta(description="images per split, stratified (0: all)")] = 0
    holdout: Annotated[
        Fraction, Meta(description="part of the images, by patient, that --split holdout validates on")
    ] = 0.15
    unreadable: Annotated[Fraction, Meta(description="part of the images that may be unreadable")] = 0.05
    cache: Annotated[
        str,
        Meta(
            min_length=1,
            description="decoded pixels: auto (in your cache folder), off (in memory) or a folder",
        ),
    ] = "auto"
    cache_gigabytes: Annotated[
        Rate, Meta(description="what the cached pixels of all runs may take on the disk, in GB")
    ] = 20.0
    hash_names: Annotated[
        bool,
        Meta(
            description="call images by keyed digests instead of file names in all that a run writes or "
            "shows; hides neither the data folder's path nor what the pixels show"
        ),
    ] = False


class ModelSettings(Struct, frozen=True, forbid_unknown_fields=True):
    backbone: Annotated[
        str,
        Meta(description="efficientnet_lite0, a torchvision classifier, timm:NAME or torchxrayvision:NAME"),
    ] = "resnet50"
    weights: Annotated[str, Meta(description="auto (the published ones), none (random) or a file")] = "auto"
    hidden: Annotated[Positive, Meta(description="width of the head's hidden layer")] = 512
    dropout: Annotated[Fraction, Meta(description="dropout of the head")] = 0.5


class StageSettings(Struct, frozen=True, forbid_unknown_fields=True):
    epochs: Annotated[Count, Meta(description="epochs of the stage (0: leave it out)")]
    learning_rate: Annotated[Rate, Meta(description="Adam's learning rate in the stage")]


class OptimizerSettings(Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[OptimizerName, Meta(description="adam, or adamw with decoupled weight decay")] = "adam"
    weight_decay: Annotated[
        float, Meta(ge=0, le=1, description="adamw's decay of weights; biases and norms have none")
    ] = 0.0
    schedule: Annotated[
        Schedule, Meta(description="the learning rate over a stage: constant, cosine or one_cycle")
    ] = "constant"
    warm_up: Annotated[
        Fraction, Meta(description="part of a stage in which a schedule rises to the learning rate")
    ] = 0.25
    head_factor: Annotated[
        Rate, Meta(description="the head's learning rate once unfrozen, as a multiple of the body's")
    ] = 1.0
    group_factor: Annotated[
        Rate, Meta(le=1, description="learning rate of a group of the body by that of the one above it")
    ] = 1.0


class LossSettings(Struct, frozen=True, forbid_unknown_fields=True):
    balance: Annotated[
        Balance, Meta(description="classes count alike: by weights in the loss, or by sampling")
    ] = "none"
    label_smoothing: Annotated[
        float, Meta(ge=0, lt=1, description="part of the target that is spread over all classes")
    ] = 0.0
    mixup: Annotated[
        float, Meta(ge=0, le=10, description="alpha of mixup once unfrozen: images are blended (0: off)")
    ] = 0.0
    cutmix: Annotated[
        float, Meta(ge=0, le=10, description="alpha of CutMix once unfrozen: a patch is replaced (0: off)")
    ] = 0.0


class AveragingSettings(Struct, frozen=True, forbid_unknown_fields=True):
    kind: Annotated[
        Averaging,
        Meta(description="the weights that count, once unfrozen: the last (none) or an average, ema or swa"),
    ] = "none"
    decay: Annotated[float, Meta(ge=0, lt=1, description="of ema, what a step keeps of the average")] = 0.995
    start: Annotated[Fraction, Meta(description="of swa, the part of the stage before its first epoch")] = 0.5


class AugmentationSettings(Struct, frozen=True, forbid_unknown_fields=True):
    scale: Annotated[Rate, Meta(le=1, description="smallest part of the area that a random crop keeps")] = 0.8
    rotation: Annotated[float, Meta(ge=0, le=180, description="largest rotation, in degrees")] = 10.0
    jitter: Annotated[Fraction, Meta(description="brightness, contrast and saturation jitter")] = 0.4
    flip: Annotated[Fraction, Meta(description="probability of a horizontal flip")] = 0.5
    gamma: Annotated[
        float, Meta(ge=0, le=3, description="largest logarithm of a random gamma, up or down (0: none)")
    ] = 0.0
    blur: Annotated[Fraction, Meta(description="probability of a Gaussian blur")] = 0.0
    noise: Annotated[
        Fraction, Meta(description="largest standard deviation of Gaussian noise, as part of white")
    ] = 0.0
    erase: Annotated[Fraction, Meta(description="probability that a random rectangle is erased")] = 0.0
    letters: Annotated[
        Fraction, Meta(description="probability that letters are burnt in near the sides, as devices do")
    ] = 0.0


class TrainingSettings(Struct, frozen=True, forbid_unknown_fields=True):
    frozen: Annotated[StageSettings, Meta(description="only the head learns")] = StageSettings(
        epochs=10, learning_rate=1e-3
    )
    unfrozen: Annotated[StageSettings, Meta(description="everything learns")] = StageSettings(
        epochs=5, learning_rate=1e-6
    )
    batchnorm: Annotated[
        BatchNorm,
        Meta(description="the body's BatchNorm statistics once unfrozen: learn (as published) or keep"),
    ] = "learn"
    unfreeze: Annotated[Unfreeze, Meta(description="after the frozen stage: go on, or wait for a person")] = (
        "auto"
    )
    unfreeze_from: Annotated[
        str, Meta(description="lowest group of the backbone that learns once unfrozen (default: all do)")
    ] = ""
    augment_views: Annotated[
        str,
        Meta(
            pattern=r"^(auto|off|[1-9]\d*)$",
            description="augmented views that a frozen part sees in turn: auto, off (a new one an epoch) or "
            "a whole number from 1",
        ),
    ] = "auto"
    batch_size: Annotated[int, Meta(ge=2, description="images per batch")] = 128
    image_size: Annotated[int, Meta(ge=32, le=2048, description="side of the crop, in pixels")] = 256
    resize_factor: Annotated[
        float, Meta(ge=1, le=2, description="short side before the crop, by the crop (1: nothing is cut off)")
    ] = 300 / 256
    seed: Annotated[Count, Meta(description="seed of everything random")] = 0
    on_nan: Annotated[
        OnNan,
        Meta(description="where a loss is not a number: stop, or go back and halve the learning rate"),
    ] = "stop"
    gradual: Annotated[
        Count,
        Meta(description="unfrozen epochs in which the body's groups join, from the top (0: at once)"),
    ] = 0
    patience: Annotated[
        Count, Meta(description="epochs without a better one after which a stage ends (0: never)")
    ] = 0
    optimizer: OptimizerSettings = OptimizerSettings()
    loss: LossSettings = LossSettings()
    averaging: AveragingSettings = AveragingSettings()
    augmentation: AugmentationSettings = AugmentationSettings()

    @property
    def views(self) -> int | None:
        """Augmented views of an image; ``None`` for a new one in every epoch."""
        return None if self.augment_views == "off" else int(self.augment_views)

    @property
    def resize(self) -> int:
        """Short side, in pixels, that images have before the crop: the recipe's 300 for its 256."""
        return round(self.image_size * self.resize_factor)


class EvaluationSettings(Struct, frozen=True, forbid_unknown_fields=True):
    tta: Annotated[
        Tta, Meta(description="test-time augmentation: flip means over an image and its mirror image")
    ] = "none"
    zoom: Annotated[
        float,
        Meta(ge=1, le=2, description="validation and test show the middle of images, so many times enlarged"),
    ] = 1.0
    operating_point: Annotated[
        str,
        Meta(
            pattern=r"^(likeliest|youden|(sensitivity|specificity):(0?\.\d+|1(\.0*)?))$",
            description="where positive is called, chosen on validation: likeliest (class), youden, "
            "sensitivity:X or specificity:X, X between 0 and 1",
        ),
    ] = "likeliest"
    calibrate: Annotated[
        bool, Meta(description="scale the logits by a temperature, fitted on validation at the end")
    ] = False
    unseal: Annotated[Unseal, Meta(description="when test is evaluated: at the end, or never")] = "end"
    explain: Annotated[
        bool, Meta(description="after each stage, Grad-CAM of its worst mistakes and a map of validation")
    ] = True

    @property
    def chooses(self) -> bool:
        """Whether a threshold or a temperature is chosen on validation once the last epoch has ended."""
        return self.calibrate or self.operating_point != "likeliest"


class HardwareSettings(Struct, frozen=True, forbid_unknown_fields=True):
    device: Annotated[
        str, Meta(pattern=r"^(auto|cpu|mps|cuda(:(0|[1-9]\d?))?)$", description="auto, cpu, cuda[:N] or mps")
    ] = "auto"
    precision: Annotated[Precision, Meta(description="arithmetic of the body")] = "auto"
    threads: Annotated[Count, Meta(description="CPU threads (0: one a core)")] = 0
    compile: Annotated[
        Compile, Meta(description="torch.compile for the frozen part (auto: on a CPU, for a long run)")
    ] = "auto"


class RunSettings(Struct, frozen=True, forbid_unknown_fields=True):
    runs_dir: Annotated[str, Meta(description="folder that keeps the runs")] = "runs"
    name: Annotated[str, Meta(description="name of the run")] = ""
    checkpoint_minutes: Annotated[
        float, Meta(ge=0, description="minutes between two checkpoints within an epoch (0: at its end only)")
    ] = 3.0


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    preset: Annotated[Preset, Meta(description="recipe (as published) or tuned")] = "recipe"
    data: DataSettings = DataSettings()
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    hardware: HardwareSettings = HardwareSettings()
    run: RunSettings = RunSettings()

    @property
    def resize(self) -> int:
        """Short side, in pixels, that images have before the crop where they are not augmented."""
        return round(self.training.resize * self.evaluation.zoom)


# What a preset changes, as dotted paths into the tree.
PRESETS: dict[Preset, dict[str, Any]] = {
    "recipe": {},
    "tuned": {
        "data.split": "holdout",
        "training.frozen.epochs": 2,
        "training.unfrozen.epochs": 5,
        "training.unfrozen.learning_rate": 1e-4,
        "training.batchnorm": "keep",
        "training.batch_size": 32,
        "training.resize_factor": 1.0,
        "training.optimizer.name": "adamw",
        "training.optimizer.weight_decay": 0.02,
        "training.optimizer.schedule": "one_cycle",
        "training.optimizer.head_factor": 10.0,
        "training.loss.balance": "weights",
        "training.loss.label_smoothing": 0.1,
        "training.augmentation.scale": 0.5,
        "training.augmentation.rotation": 12.0,
        "training.augmentation.jitter": 0.45,
        "training.augmentation.gamma": 0.5,
        "training.augmentation.blur": 0.3,
        "training.augmentation.erase": 0.25,
        "evaluation.tta": "flip",
        "evaluation.zoom": 1.25,
        "evaluation.operating_point": "youden",
        "evaluation.calibrate": True,
    },
}

# The short names that the command line, the environment and the start form share.
OPTIONS: dict[str, str] = {
    "data": "data.root",
    "backbone": "model.backbone",
    "weights": "model.weights",
    "preset": "preset",
    "columns": "data.columns",
    "split": "data.split",
    "positive": "data.positive",
    "unfreeze": "training.unfreeze",
    "unfreeze_from": "training.unfreeze_from",
    "batchnorm": "training.batchnorm",
    "on_nan": "training.on_nan",
    "augment_views": "training.augment_views",
    "gradual": "training.gradual",
    "patience": "training.patience",
    "optimizer": "training.optimizer.name",
    "weight_decay": "training.optimizer.weight_decay",
    "schedule": "training.optimizer.schedule",
    "warm_up": "training.optimizer.warm_up",
    "head_factor": "training.optimizer.head_factor",
    "group_factor": "training.optimizer.group_factor",
    "balance": "training.loss.balance",
    "label_smoothing": "training.loss.label_smoothing",
    "mixup": "training.loss.mixup",
    "cutmix": "training.loss.cutmix",
    "averaging": "training.averaging.kind",
    "tta": "evaluation.tta",
    "zoom": "evaluation.zoom",
    "operating_point": "evaluation.operating_point",
    "calibrate": "evaluation.calibrate",
    "unseal": "evaluation.unseal",
    "explain": "evaluation.explain",
    "frozen_epochs": "training.frozen.epochs",
    "unfrozen_epochs": "training.unfrozen.epochs",
    "frozen_lr": "training.frozen.learning_rate",
    "unfrozen_lr": "training.unfrozen.learning_rate",
    "batch_size": "training.batch_size",
    "image_size": "training.image_size",
    "resize_factor": "training.resize_factor",
    "limit": "data.limit",
    "unreadable": "data.unreadable",
    "cache": "data.cache",
    "hash_names": "data.hash_names",
    "device": "hardware.device",
    "precision": "hardware.precision",
    "compile": "hardware.compile",
    "seed": "training.seed",
    "runs_dir": "run.runs_dir",
    "name": "run.name",
    "checkpoint_minutes": "run.checkpoint_minutes",
}
