import copy

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from xray_tui.models.seeded import SeededDropout, SeededStochasticDepth, replace_random_layers, reseed


def test_dropout_scales_what_it_keeps() -> None:
    kept = SeededDropout(0.25)(torch.full((400, 400), 3.0))
    assert set(kept.unique().tolist()) == {0.0, 4.0}
    assert (kept == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert kept.mean().item() == pytest.approx(3.0, abs=0.03)


def test_dropout_has_the_gradient_of_its_mask() -> None:
    inputs = torch.ones(8, 8, requires_grad=True)
    outputs = SeededDropout(0.5)(inputs)
    outputs.sum().backward()
    assert torch.equal(inputs.grad, outputs.detach())


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_dropout_at_its_ends(p: float) -> None:
    inputs = torch.rand(5, 5)
    assert torch.equal(SeededDropout(p)(inputs), nn.Dropout(p)(inputs))


def test_eval_mode_passes_through() -> None:
    inputs = torch.rand(5, 5)
    assert SeededDropout(0.5).eval()(inputs) is inputs
    assert SeededStochasticDepth(0.5, "row").eval()(inputs) is inputs


def test_feature_dropout_drops_whole_features() -> None:
    kept = SeededDropout(0.5, features=True)(torch.ones(50, 40, 3, 3))
    assert torch.equal(kept.amin((2, 3)), kept.amax((2, 3)))
    assert kept.mean().item() == pytest.approx(1.0, abs=0.1)


def test_stochastic_depth_drops_rows_or_the_batch() -> None:
    rows = SeededStochasticDepth(0.25, "row")(torch.ones(2000, 2, 2, 2))
    assert torch.equal(rows.amin((1, 2, 3)), rows.amax((1, 2, 3)))
    assert rows.mean().item() == pytest.approx(1.0, abs=0.05)
    batch = SeededStochasticDepth(0.5, "batch")
    values = set()
    for step in range(20):
        batch.reseed(step)
        values.add(tuple(batch(torch.ones(4, 2)).unique().tolist()))
    assert values == {(0.0,), (2.0,)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_dtype_and_memory_format_are_kept(dtype: torch.dtype) -> None:
    inputs = torch.ones(2, 3, 4, 4, dtype=dtype).to(memory_format=torch.channels_last)
    outputs = SeededDropout(0.5)(inputs)
    assert outputs.dtype == dtype
    assert outputs.is_contiguous(memory_format=torch.channels_last)


def two_dropouts() -> nn.Sequential:
    return nn.Sequential(SeededDropout(0.5), SeededDropout(0.5))


def masks(module: nn.Sequential, seed: int, epoch: int, step: int) -> list[Tensor]:
    reseed(module, seed, epoch, step)
    return [layer(torch.ones(8, 64)) for layer in module]


def test_masks_depend_on_seed_epoch_step_and_layer_only() -> None:
    first = masks(two_dropouts(), 1, 2, 3)
    torch.manual_seed(99)
    module = two_dropouts()
    for _ in range(3):
        module(torch.ones(8, 64))  # what ran before does not matter
    again = masks(module, 1, 2, 3)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], first[1])
    for other in ((2, 2, 3), (1, 3, 3), (1, 2, 4), (1, 23, 3)):
        assert not torch.equal(first[0], masks(module, *other)[0])


def test_a_mask_does_not_depend_on_the_number_of_threads() -> None:
    layer, found, threads = SeededDropout(0.5), [], torch.get_num_threads()
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            layer.reseed(7)
            found.append(layer(torch.ones(300, 1000)))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*found)


def test_the_process_generator_is_left_alone() -> None:
    module = two_dropouts()
    before = torch.get_rng_state()
    masks(module, 1, 2, 3)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_copy_starts_from_the_seed() -> None:
    layer = SeededDropout(0.5)
    layer.reseed(5)
    first = layer(torch.ones(64))
    assert torch.equal(copy.deepcopy(layer)(torch.ones(64)), first)


def test_every_random_layer_is_replaced() -> None:
    module = nn.Sequential(nn.Dropout(0.1), nn.Sequential(nn.Dropout2d(0.2), StochasticDepth(0.3, "row")))
    module.eval()
    replace_random_layers(module)
    first, (second, third) = module
    assert isinstance(first, SeededDropout)
    assert (first.p, first.features, first.training) == (0.1, False, False)
    assert isinstance(second, SeededDropout)
    assert (second.p, second.features) == (0.2, True)
    assert isinstance(third, SeededStochasticDepth)
    assert (third.p, third.mode) == (0.3, "row")


def test_a_torchvision_body_no_longer_draws_from_the_process() -> None:
    body = torchvision.models.efficientnet_b0(weights=None).features
    replace_random_layers(body)
    assert not any(isinstance(module, (nn.Dropout, StochasticDepth)) for module in body.modules())
    before = torch.get_rng_state()
    body.train()(torch.ones(2, 3, 64, 64))
    assert torch.equal(torch.get_rng_state(), before)


def test_an_unknown_dropout_is_not_passed_over() -> None:
    with pytest.raises(TypeError, match="AlphaDropout"):
        replace_random_layers(nn.Sequential(nn.AlphaDropout()))
