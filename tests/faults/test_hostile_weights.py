"""Weights from anywhere: nothing in them is run, and what is none is told by name."""

import io
import json
import os
import pickle
import struct
import subprocess
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.faults.hostile_files import JSON, spoilt
from tests.forked import run_program
from xray_tui.errors import UserError
from xray_tui.models.weights import fit, read_weights

STATE = {"conv.weight": torch.ones(4, 3, 3, 3), "bn.bias": torch.zeros(4)}


class Payload:
    """Runs a program when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return subprocess.check_call, (["touch", str(self._mark)],)


def as_zip(content: object) -> bytes:
    out = io.BytesIO()
    torch.save(content, out)
    return out.getvalue()


def as_legacy(content: object) -> bytes:
    out = io.BytesIO()
    torch.save(content, out, _use_new_zipfile_serialization=False)
    return out.getvalue()


@pytest.mark.parametrize("make", [as_zip, as_legacy, pickle.dumps])
@pytest.mark.parametrize("name", ["x.pth", "x.pt", "x.bin", "x.safetensors", "x"])
def test_a_payload_is_refused_and_never_run(tmp_path: Path, name: str, make: Any) -> None:
    mark, file = tmp_path / "sprung", tmp_path / name
    content = make(STATE | {"conv.weight": Payload(mark)})
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"is refused|cannot be read as weights") as caught:
        read_weights(file)
    assert str(file) in caught.value.message
    assert not mark.exists()
    if make is pickle.dumps:  # the trap is a real one
        pickle.loads(content)
        assert mark.exists()


def test_the_command_refuses_a_payload(tmp_path: Path, chest: Path) -> None:
    mark, file = tmp_path / "sprung", tmp_path / "x.pth"
    file.write_bytes(as_zip(Payload(mark)))
    train = ("train", str(chest), "--backbone", "shufflenet_v2_x0_5")
    options = ("--weights", str(file), "--runs-dir", str(tmp_path / "runs"), "--device", "cpu")
    code, told = run_program(*train, *options, folder=tmp_path)
    assert code == 2
    assert "is refused" in told
    assert "Traceback" not in told
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_a_damaged_file_is_told_by_name_or_fits(tmp_path: Path, kind: str) -> None:
    """A bit that turned within a number makes another number: nobody can tell."""
    file = tmp_path / f"x.{'safetensors' if kind == 'safetensors' else 'pth'}"
    if kind == "safetensors":
        save_file(STATE, file)
    else:
        file.write_bytes(as_zip(STATE) if kind == "zip" else as_legacy(STATE))
    told = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for content in (*spoilt(file.read_bytes(), 150), *JSON.values()):
            file.write_bytes(content)
            try:
                found = read_weights(file)
            except UserError as error:
                told.append(error.message)
            else:
                assert all(isinstance(tensor, torch.Tensor) for tensor in found.values())
    assert len(told) > 150
    for message in told:
        assert str(file) in message
        assert message.isprintable()
        assert len(message) < 400


@pytest.mark.parametrize("claimed", [99_999_999, 2**33, 2**63 - 1, 2**64 - 1])
def test_a_head_that_claims_gigabytes_takes_none(tmp_path: Path, claimed: int) -> None:
    file = tmp_path / "x.safetensors"
    file.write_bytes(struct.pack("<Q", claimed) + b'{"a":1}')
    begun = time.perf_counter()
    with pytest.raises(UserError, match="cannot be read as weights"):
        read_weights(file)
    assert time.perf_counter() - begun < 1


def test_tensors_that_are_larger_than_the_file_are_told(tmp_path: Path) -> None:
    head = {"a": {"dtype": "F32", "shape": [2**30], "data_offsets": [0, 2**32]}}
    encoded = json.dumps(head).encode()
    file = tmp_path / "x.safetensors"
    file.write_bytes(struct.pack("<Q", len(encoded)) + encoded + bytes(16))
    with pytest.raises(UserError, match=r"x\.safetensors cannot be read as weights"):
        read_weights(file)


def test_an_archive_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    """Torch's own reader would unpack it."""
    whole = tmp_path / "whole.pth"
    torch.save({"a": torch.zeros(2**22)}, whole)
    file = tmp_path / "x.pth"
    with zipfile.ZipFile(whole) as read, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for member in read.infolist():
            packed.writestr(member.filename, read.read(member))
    assert file.stat().st_size < 2**17
    with pytest.raises(UserError, match="would unpack to 17 MB"):
        read_weights(file)


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    (tmp_path / "zero.pth").symlink_to("/dev/zero")
    (tmp_path / "loop.pth").symlink_to(tmp_path / "loop.pth")
    (tmp_path / "folder.pth").mkdir()
    for name in ("folder.pth", "pipe.pth", "zero.pth", "", "gone.pth"):
        with pytest.raises(UserError, match="There is no weights file"):
            read_weights(tmp_path / name)
    for name in ("loop.pth", "x" * 300, "\0"):
        with pytest.raises(UserError, match="cannot be read as weights"):
            read_weights(tmp_path / name)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")  # old files hold such tensors all the same
@pytest.mark.parametrize(
    "make",
    [
        lambda tensor: tensor.to_sparse(),
        lambda tensor: tensor.to(torch.complex64),
        lambda tensor: torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8),
    ],
)
def test_tensors_that_are_no_weights_are_told(make: Any) -> None:
    body = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False))
    with pytest.raises(UserError, match=r"1 sparse, quantised or complex \(0\.weight\)"):
        fit(body, {"0.weight": make(torch.ones(4, 3, 3, 3))}, name="some", origin="x.pth")
