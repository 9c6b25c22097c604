"""Convolutions whose backward pass is quick on a CPU in bfloat16.

The forward pass there is quick: the processor has instructions for it. Of the gradients (torch 2.14, oneDNN)

* a depthwise convolution's take five to ten times as long in bfloat16 as in float32 (3 x 3, stride 2, 32
  images of 96 channels at 129 px: 489 against 39 ms), and mobile networks spend most of a step there;
* a weight's of the others is a sum of matrix products, one for each of its pixels, and takes up to fifteen
  times as long as those (1 x 1, 2048 to 512 channels, 16 images at 8 px: 125 against 8 ms).

So the first are computed in float32, and the second as matrix products. And of a 1 x 1 convolution with a
stride and fewer than 8 channels going in, the gradient of channels_last images is wrong, or the process dies
(torch 2.14, oneDNN): there the pixels that the stride leaves out are left out beforehand.
"""

from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_Pair = tuple[int, int]
_LARGEST_KERNEL = 3
_BROKEN_CHANNELS = 8
_LEAST_CHANNELS = 16
"""A larger kernel, or fewer channels going in, and the products are too thin to be quicker."""


class QuickConv2d(nn.Conv2d):
    """An nn.Conv2d of the same numbers, but for the rounding of its gradients under CPU autocast."""

    pad: nn.Module | None
    """What pads the images first, where that is not the convolution's own doing."""
    step: _Pair
    """Of the pixels that are looked at, where that is not the convolution's own stride."""

    @classmethod
    def of(cls, convolution: nn.Conv2d) -> Self:
        """With the parameters of that convolution, not copied."""
        padding = (0, 0) if convolution.padding == "valid" else convolution.padding
        made = cls(
            convolution.in_channels,
            convolution.out_channels,
            cast(_Pair, convolution.kernel_size),
            cast(_Pair, convolution.stride),
            cast(_Pair, padding),
            cast(_Pair, convolution.dilation),
            convolution.groups,
            convolution.bias is not None,
            device="meta",
        )
        made.weight, made.bias = convolution.weight, convolution.bias
        pad = getattr(convolution, "static_padding", None)  # of EfficientNet-Lite
        made.pad = None if isinstance(pad, nn.Identity) else pad
        made.step = (1, 1)
        if _breaks(convolution):
            made.step, made.stride = cast(_Pair, made.stride), (1, 1)
        return made.train(convolution.training)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) → (N, O, h, w)."""
        if self.pad is not None:
            images = self.pad(images)
        if self.step != (1, 1):
            images = images[:, :, :: self.step[0], :: self.step[1]]
        if (
            images.device.type != "cpu"
            or not torch.is_grad_enabled()
            or not torch.is_autocast_enabled("cpu")
            or torch.get_autocast_dtype("cpu") != torch.bfloat16
        ):
            return cast(Tensor, self._conv_forward(images, self.weight, self.bias))
        with torch.autocast("cpu", enabled=False):
            geometry = self.stride, cast(_Pair, self.padding), self.dilation, self.groups
            made: Tensor = _Convolution.apply(images.bfloat16(), self.weight, self.bias, *geometry)
        return made


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        images: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: _Pair,
        padding: _Pair,
        dilation: _Pair,
        groups: int,
    ) -> Tensor:
        """bfloat16 images and float32 parameters → bfloat16."""
        low = weight.bfloat16()
        context.save_for_backward(images, low)
        context.geometry = stride, padding, dilation, groups
        return F.conv2d(
            images, low, None if bias is None else bias.bfloat16(), stride, padding, dilation, groups
        )

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, weight = context.saved_tensors
        stride, padding, dilation, groups = context.geometry
        of_images, of_weight, of_bias = (bool(wanted) for wanted in context.needs_input_grad[:3])
        products = groups == 1
        if not products:
            gradient, images, weight = gradient.float(), images.float(), weight.float()
        found_images, found_weight, _ = torch.ops.aten.convolution_backward(
            gradient,
            images,
            weight,
            None,
            list(stride),
            list(padding),
            list(dilation),
            False,
            [0, 0],
            groups,
            [of_images, of_weight and not products, False],
        )
        if of_weight and products:
            found_weight = _of_weight(gradient, images, weight.shape[2:], stride, padding, dilation)
        return (
            found_images.to(context.saved_tensors[0].dtype) if of_images else None,
            found_weight,
            gradient.float().sum((0, 2, 3)) if of_bias else None,
            *(None,) * 4,
        )


def _of_weight(
    gradient: Tensor, images: Tensor, kernel: tuple[int, ...], stride: _Pair, padding: _Pair, dilation: _Pair
) -> Tensor:
    """float32 (O, C, *kernel): for each of its pixels, the product of what came out and what that saw."""
    height, width = gradient.shape[2:]
    came = gradient.permute(0, 2, 3, 1).reshape(-1, gradient.shape[1]).t()
    images = F.pad(images, (padding[1], padding[1], padding[0], padding[0])).permute(0, 2, 3, 1)
    found = gradient.new_empty((*kernel, gradient.shape[1], images.shape[3]), dtype=torch.float32)
    for y in range(kernel[0]):
        for x in range(kernel[1]):
            top, left = y * dilation[0], x * dilation[1]
            rows = slice(top, top + stride[0] * (height - 1) + 1, stride[0])
            columns = slice(left, left + stride[1] * (width - 1) + 1, stride[1])
            found[y, x] = came @ images[:, rows, columns].reshape(-1, images.shape[3])
    return found.permute(2, 3, 0, 1)


def replace_convolutions(module: nn.Module) -> None:
    """Swap the convolutions inside ``module`` that gain by it, in place. Names and parameters stay."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d) and _is_plain(child) and (_gains(child) or _breaks(child)):
                setattr(parent, name, QuickConv2d.of(child))


def _is_plain(convolution: nn.Conv2d) -> bool:
    """Whether it does what an nn.Conv2d does; others pad as they go, or standardise their weights."""
    return type(convolution) is nn.Conv2d or hasattr(convolution, "static_padding")


def _breaks(convolution: nn.Conv2d) -> bool:
    pointwise = convolution.kernel_size == (1, 1) and convolution.padding in ((0, 0), "valid")
    few = convolution.groups == 1 and convolution.in_channels < _BROKEN_CHANNELS
    return pointwise and few and convolution.stride != (1, 1)


def _gains(convolution: nn.Conv2d) -> bool:
    if convolution.padding_mode != "zeros" or isinstance(convolution.padding, str):
        return False
    if convolution.groups == 1:
        thick = convolution.in_channels >= _LEAST_CHANNELS
        return thick and max(convolution.kernel_size) <= _LARGEST_KERNEL
    return convolution.groups == convolution.in_channels == convolution.out_channels
