"""Everything a run needs, settled before an image is read: every ``auto`` has its answer here."""

import hashlib
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import torch

from xray_tui import config
from xray_tui.data import pseudonyms, sources, splits
from xray_tui.data.folders import Listing
from xray_tui.data.pixel_cache import cache_of
from xray_tui.data.pseudonyms import OWN_NAMES, Names
from xray_tui.data.splits import Roles
from xray_tui.engine import hardware, process, room
from xray_tui.engine.hardware import Hardware
from xray_tui.engine.world import ALONE, World
from xray_tui.errors import UserError
from xray_tui.events import Emit, Progress
from xray_tui.models.backbones import Backbone, load_backbone
from xray_tui.models.classifier import Classifier
from xray_tui.models.names import check_name
from xray_tui.settings import Settings

AUTO_VIEWS = 3
"""Augmented views of a train image that a frozen part is shown, by default."""
_TOLD_AT_ONCE = 100
"""Files between two words about how many are done."""


@dataclass(frozen=True)
class Plan:
    settings: Settings
    """Without ``auto``: what config.toml keeps."""
    listing: Listing
    roles: Roles
    hardware: Hardware
    backbone: Backbone
    model: Classifier
    """On the device, channels_last."""
    world: World = ALONE
    names: Names = OWN_NAMES
    """What images are called; those of the roles are called so."""
    positive_was_named: bool = True
    """Else it is the last class by name."""

    @property
    def positive(self) -> int:
        return self.listing.classes.index(self.settings.data.positive)

    @cached_property
    def digest(self) -> str:
        """Of the files by role, in their order: a resume must find the same ones."""
        digest = hashlib.blake2b(digest_size=16)
        for role in ("train", "validation", "test"):
            digest.update(f"{role}\n".encode())
            for file in getattr(self.roles, role):
                digest.update(f"{file.label} {file.path}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()


def make(
    settings: Settings, emit: Emit, *, untrained: bool = False, trains: bool = True, world: World = ALONE
) -> Plan:
    """Settle a run.

    Cheap questions first: names and folders are checked before weights are loaded (or downloaded,
    once), and all of that before an image is read.

    Args:
        untrained: leave the backbone's own weights out: a checkpoint brings all of them.
        trains: memory must have room for that, and compiling may pay.

    Raises:
        UserError: anything that a person can mend; with several processes, also that they differ.
    """
    process.keep_objects()  # by now torch has been imported
    training = settings.training
    check_name(settings.model.backbone)
    if training.frozen.epochs + training.unfrozen.epochs == 0:
        raise UserError(
            "both stages have 0 epochs: nothing to train", "set --frozen-epochs or --unfrozen-epochs"
        )
    if not settings.data.root:
        raise UserError("no data given", f"name {sources.WANTED}")
    if trains and (cache := cache_of(settings.data)):
        cache.make_folder()

    def tell(note: str, done: int, total: int) -> None:
        if done % _TOLD_AT_ONCE == 0 or done == total:
            emit(Progress(phase="reading", done=done, total=total, note=note))

    listing = world.first_on_host(
        lambda: sources.scan(Path(settings.data.root), settings.data.columns, partial(tell, "unpacking"))
    )
    positive = settings.data.positive or listing.classes[-1]
    if positive not in listing.classes:
        raise UserError(
            f"--positive {positive}: no such class", f"the classes are {', '.join(listing.classes)}"
        )
    roles, names = splits.assign(listing, settings.data, training.seed, partial(tell, "headers")), OWN_NAMES
    if settings.data.hash_names:
        names = pseudonyms.hiding(world.tell(pseudonyms.own_key() if world.main else b""), listing)
        roles = names.hide(roles)
    chosen = hardware.choose(settings.hardware, world)
    emit(Progress(phase="weights", note=f"loading {settings.model.backbone}"))
    backbone, model = network(settings, len(listing.classes), chosen.device, untrained=untrained, world=world)
    model = world.prepare(model, chosen.device)
    world.same(model.state_dict().values())
    model.unfreeze(from_group=training.unfreeze_from)  # is there such a group, and room for what learns?
    if training.gradual and not model.groups_from(training.unfreeze_from):
        raise UserError(
            f"--gradual {training.gradual}: {settings.model.backbone} has no groups to unfreeze one by one",
            "leave --gradual out: it is unfrozen as a whole",
        )
    if trains and training.unfrozen.epochs:
        room.check(model, chosen, world.on_host(training.batch_size, chosen.device), training.image_size)
    views = str(AUTO_VIEWS) if training.augment_views == "auto" else training.augment_views
    compiles = trains and hardware.compiles(settings, chosen, _frozen_passes(settings, views, roles))
    if compiles:
        model.compile_batch = training.batch_size
    cache_folder = settings.data.cache
    if cache_folder not in ("auto", "off"):
        cache_folder = str(Path(cache_folder).expanduser().absolute())
    weights = settings.model.weights
    if weights not in ("auto", "none"):
        weights = str(Path(weights).expanduser().absolute())
    resolved = config.replace(
        settings,
        {
            "data.root": str(listing.source),
            "data.split": roles.split,
            "data.positive": positive,
            "training.augment_views": views,
            "data.cache": cache_folder,
            "model.weights": weights,
            "hardware.device": chosen.settings.device,
            "hardware.precision": chosen.settings.precision,
            "hardware.threads": chosen.settings.threads,
            "hardware.compile": "on" if compiles else "off",
            "run.runs_dir": str(Path(settings.run.runs_dir).expanduser().absolute()),
        },
    )
    named = bool(settings.data.positive)
    plan = Plan(resolved, listing, roles, chosen, backbone, model, world, names, named)
    if world.size > 1:
        world.check_same(plan.digest, f"{listing.source} holds other images")
    return plan


def network(
    settings: Settings, classes: int, device: torch.device, *, untrained: bool, world: World = ALONE
) -> tuple[Backbone, Classifier]:
    """The network that settings describe: on the device, channels_last, in eval mode.

    Args:
        classes: how many there are.
        untrained: as of :func:`make`.

    Raises:
        UserError: there is no such backbone, its weights cannot be had, or the device has no room.
    """
    model = settings.model
    weights = "none" if untrained else model.weights
    seed, side = settings.training.seed, settings.training.image_size
    backbone = world.first_on_host(lambda: load_backbone(model.backbone, weights, seed=seed, image_size=side))
    made = Classifier(backbone, classes, hidden=model.hidden, dropout=model.dropout, seed=seed)
    with room.enough(device):
        return backbone, made.to(device).to(memory_format=torch.channels_last)


def _frozen_passes(settings: Settings, views: str, roles: Roles) -> int:
    """How many images will be run through the frozen body."""
    epochs = settings.training.frozen.epochs
    if not epochs:
        return 0
    seen = epochs if views == "off" else min(epochs, int(views))
    return seen * len(roles.train) + len(roles.validation)
