from pathlib import Path

import msgspec
import pytest
import torch
from safetensors import safe_open
from torch import nn
from torch.optim import Adam

from xray_tui.engine import checkpoints
from xray_tui.engine.average import Average
from xray_tui.engine.checkpoints import Position
from xray_tui.engine.learner import Learner
from xray_tui.engine.objective import Objective
from xray_tui.errors import UserError
from xray_tui.settings import AveragingSettings, LossSettings, OptimizerSettings

POSITION = Position(stage="unfrozen", first_epoch=10, next_epoch=12, best_epoch=11, best_loss=0.25)


def model_and_learner(seed: int = 0) -> tuple[nn.Module, Learner]:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 6 * 6, 2))
    model = model.to(memory_format=torch.channels_last)
    objective = Objective(LossSettings(), [1, 1], torch.device("cpu"), 0, mixes=False)
    optimizer, average = Adam(model.parameters(), lr=1e-2), Average(model, AveragingSettings(kind="ema"))
    return model, Learner(optimizer, objective, 1e-2, OptimizerSettings(), average)


def steps(model: nn.Module, learner: Learner, count: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        images = torch.rand(5, 3, 8, 8, generator=generator).contiguous(memory_format=torch.channels_last)
        learner.optimizer.zero_grad()
        model(images).square().sum().backward()
        learner.optimizer.step()
        learner.follow()


def assert_equal(model: nn.Module, again: nn.Module) -> None:
    for one, other in zip(model.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_going_on_from_last_equals_never_having_stopped(tmp_path: Path) -> None:
    model, learner = model_and_learner()
    steps(model, learner, 3, seed=1)
    checkpoints.save_last(tmp_path, model, learner, POSITION, torch.tensor([7, 2**32 - 1]))
    steps(model, learner, 3, seed=2)

    again, its_learner = model_and_learner(seed=9)
    marks = checkpoints.load_last(tmp_path, again, its_learner, averaged=3)
    assert marks is not None
    assert marks.tolist() == [7, 2**32 - 1]
    assert checkpoints.read_position(tmp_path) == POSITION
    for parameter in again.parameters():  # a moment with other strides than its parameter goes wrong silently
        state = its_learner.optimizer.state[parameter]
        assert state["exp_avg"].stride() == parameter.stride()
        assert state["exp_avg_sq"].stride() == parameter.stride()
    steps(again, its_learner, 3, seed=2)
    assert_equal(model, again)
    with learner.counting(), its_learner.counting():
        assert_equal(model, again)


@pytest.mark.filterwarnings("ignore:for .*no-op")
def test_what_adam_remembers_lies_where_its_parameter_does(tmp_path: Path) -> None:
    model, learner = model_and_learner()
    steps(model, learner, 1, seed=1)
    checkpoints.save_last(tmp_path, model, learner, POSITION, torch.tensor([7]))

    elsewhere, its_learner = model_and_learner()
    its_learner.optimizer, its_learner.average = Adam(elsewhere.to("meta").parameters()), None
    checkpoints.load_last(tmp_path, elsewhere, its_learner, averaged=0)
    kept = [slot for state in its_learner.optimizer.state.values() for slot in state.values()]
    assert len(kept) == 3 * len(list(elsewhere.parameters()))
    assert {slot.device.type for slot in kept} == {"meta"}, "a fused update takes no other"


def test_last_keeps_the_weights_that_are_trained_and_tells_those_that_count(tmp_path: Path) -> None:
    model, learner = model_and_learner()
    steps(model, learner, 3, seed=1)
    trained = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    position = msgspec.structs.replace(POSITION, averaged=3)
    with learner.counting():  # a person asks for another learning rate while it is validated
        counting = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        file = checkpoints.save_last(tmp_path, model, learner, position, torch.tensor([7]))
        assert all(torch.equal(tensor, counting[name]) for name, tensor in model.state_dict().items())
    assert not torch.equal(trained["0.weight"], counting["0.weight"])

    found = checkpoints.read_network(file)
    assert found.keys() == counting.keys()
    assert all(torch.equal(tensor, counting[name]) for name, tensor in found.items())
    again, its_learner = model_and_learner(seed=9)
    checkpoints.load_last(tmp_path, again, its_learner, averaged=3)
    assert all(torch.equal(tensor, trained[name]) for name, tensor in again.state_dict().items())


def test_best_round_trip(tmp_path: Path) -> None:
    model, _ = model_and_learner(0)
    other, _ = model_and_learner(1)
    checkpoints.save_best(tmp_path, model, epoch=3)
    checkpoints.load_best(tmp_path, other)
    for one, two in zip(model.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(one, two)


def test_weights_of_another_epoch_than_the_best_are_told(tmp_path: Path) -> None:
    model, _ = model_and_learner(0)
    checkpoints.save_best(tmp_path, model, epoch=3)
    checkpoints.check_best(tmp_path, 3)
    with pytest.raises(UserError, match="still has the weights of epoch 3: those of the best, epoch 4"):
        checkpoints.check_best(tmp_path, 4)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = model_and_learner(0)
    checkpoints.save_best(tmp_path, model, epoch=3)
    before = (tmp_path / checkpoints.BEST).read_bytes()

    def half(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", half)
    with pytest.raises(OSError, match="No space"):
        checkpoints.save_best(tmp_path, model, epoch=3)
    assert (tmp_path / checkpoints.BEST).read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [checkpoints.BEST]


def test_missing_damaged_and_foreign_files_are_named(tmp_path: Path) -> None:
    model, _ = model_and_learner()
    with pytest.raises(UserError, match="no checkpoint"):
        checkpoints.load_best(tmp_path, model)
    (tmp_path / checkpoints.BEST).write_bytes(b"\x80\x04pickle")
    with pytest.raises(UserError, match=r"damaged"):
        checkpoints.load_best(tmp_path, model)
    checkpoints.save_best(tmp_path, nn.Linear(3, 2), epoch=3)
    with pytest.raises(UserError, match=r"best\.safetensors does not fit .*: \d+ missing") as said:
        checkpoints.load_best(tmp_path, model)
    assert len(str(said.value)) < 500
    (tmp_path / checkpoints.BEST).rename(tmp_path / checkpoints.LAST)
    with pytest.raises(UserError, match="not a checkpoint to resume from"):
        checkpoints.read_position(tmp_path)


def test_a_checkpoint_is_read_while_it_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Grad-CAM reads the weights of a run that goes on: now and then safetensors meets two files."""
    model, _ = model_and_learner()
    checkpoints.save_best(tmp_path, model, epoch=3)
    raised = [RuntimeError("file <best> size is smaller than it was")] * 3

    def met_two(file: Path, framework: str) -> safe_open:
        if raised:
            raise raised.pop()
        return safe_open(file, framework=framework)

    monkeypatch.setattr(checkpoints, "safe_open", met_two)
    monkeypatch.setattr(checkpoints, "_PAUSE_SECONDS", 0.0)
    checkpoints.load_best(tmp_path, model)
    assert not raised
