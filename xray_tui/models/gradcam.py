"""Grad-CAM: which places of an image speak for a class (Selvaraju et al. 2017)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from xray_tui.models.classifier import Classifier


@dataclass(frozen=True)
class ClassMap:
    heat: Tensor
    """float32 (h, w) in 0 to 1, of the size of the body's feature map; the strongest place is 1. All zero
    where no place speaks for the class."""
    target: int
    """The class it is about."""
    probabilities: Tensor
    """float32 (C,)"""


def grad_cam(model: Classifier, image: Tensor, target: int | None = None) -> ClassMap:
    """Ask a classifier where it looked.

    Each channel of the body's last feature map is weighted with the mean over its pixels of the gradient
    of the class's score, which is taken before the softmax; what remains positive of the sum is the map.
    The head's pool needs no care of its own: the gradient runs through maxima and means alike.

    The gradient begins at the feature map, so the body, whose activations may work in place and whose
    parameters may be frozen, only runs forward. Nothing is drawn from a random generator, and no gradient
    is left on a parameter.

    Args:
        model: in eval mode.
        image: float32 (1, C, H, W), normalised.
        target: the class to explain; the likeliest by default.

    Raises:
        ValueError: the model is in training mode: its BatchNorms would move, its dropouts draw.
    """
    if model.training:
        raise ValueError("Grad-CAM needs a model in eval mode")
    with torch.no_grad():
        feature_map = model.feature_map(image).detach().float()
    with torch.enable_grad():
        feature_map.requires_grad_()
        scores = model.head[:-1](model.pool(feature_map))[0]  # less its last layer, the LogSoftmax
        chosen = int(scores.argmax()) if target is None else target
        (gradient,) = torch.autograd.grad(scores[chosen], feature_map)
    with torch.no_grad():
        weights = gradient.mean((2, 3), keepdim=True)
        heat = (weights * feature_map).sum(1)[0].relu()
        strongest = heat.max()
        if strongest > 0:
            heat = heat / strongest
        return ClassMap(heat, chosen, scores.softmax(0))
