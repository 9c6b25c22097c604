"""The groups of a body: where it can be cut into a lower part that stays frozen and an upper one that learns.

A cut is possible between any two modules that a plain Sequential runs one after the other. The groups
have the names that the classifier's author gave them: ``layer4`` of a ResNet, ``features.7`` of an
EfficientNet, ``_blocks.11`` of EfficientNet-Lite0.
"""

from collections.abc import Iterator

from torch import nn

from xray_tui.errors import UserError

_DEPTH = 2
"""A block of blocks is deep enough to cut at."""


def groups(body: nn.Module) -> list[str]:
    """Names of the groups that learning can begin from, from the input upwards."""
    names = list(_walk(body, "", _DEPTH))
    return names[1:]  # from the first one on, everything learns


def layers(body: nn.Module) -> list[list[nn.Parameter]]:
    """Parameters of each group, those below the first cut among them, from the input upwards."""
    found: dict[str, list[nn.Parameter]] = {name: [] for name in _walk(body, "", _DEPTH)}
    for name, parameter in body.named_parameters():
        of = max((group for group in found if f"{name}.".startswith(f"{group}.")), key=len)
        found[of].append(parameter)
    return [parameters for parameters in found.values() if parameters]


def cut(body: nn.Module, group: str) -> tuple[nn.Sequential, nn.Sequential]:
    """The modules of a body below a group, and the group with those above it; they are not copied.

    Raises:
        UserError: the body has no such group, or there is nothing below it.
    """
    if group not in (names := groups(body)):
        raise UserError(
            f"--unfreeze-from {group}: the backbone has no such group",
            f"its groups are {', '.join(names)}" if names else "it has none: it is unfrozen as a whole",
        )
    below, above = _cut(body, group.split("."))
    return nn.Sequential(*below), nn.Sequential(*above)


def _walk(module: nn.Module, prefix: str, depth: int) -> Iterator[str]:
    for name, child in module.named_children():
        yield f"{prefix}{name}"
        if depth > 1 and type(child) is nn.Sequential:
            yield from list(_walk(child, f"{prefix}{name}.", depth - 1))[1:]


def _cut(module: nn.Module, path: list[str]) -> tuple[list[nn.Module], list[nn.Module]]:
    children = dict(module.named_children())
    names = list(children)
    at = names.index(path[0])
    below, above = [children[name] for name in names[:at]], [children[name] for name in names[at + 1 :]]
    if len(path) == 1:
        return below, [children[path[0]], *above]
    inner_below, inner_above = _cut(children[path[0]], path[1:])
    return below + inner_below, inner_above + above
