"""The short form of the fuzzing: what once broke something, and a few dozen inputs for each parser."""

from pathlib import Path

import hypothesis.strategies as st
import pytest

from tests.faults import fuzz
from tests.faults.fuzz_targets import Target, targets

TARGETS = targets()
_KEPT = sorted(fuzz.CORPUS.glob("*/*"))


@pytest.mark.parametrize("file", _KEPT, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_what_once_broke_a_parser_does_so_no_more(tmp_path: Path, file: Path) -> None:
    fuzz.attempt(TARGETS[file.parent.name], file.read_bytes(), tmp_path)


@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_takes_what_it_is_made_for(tmp_path: Path, name: str) -> None:
    for content in TARGETS[name].seeds:
        assert fuzz.attempt(TARGETS[name], content, tmp_path), content[:100]


@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_takes_or_refuses_what_is_damaged(name: str) -> None:
    found = fuzz.fuzz(TARGETS[name], 20, rounds=1, examples=40)
    assert found.failures == {}
    assert found.tried >= 40


def test_a_parser_that_breaks_is_found_with_the_smallest_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def read(content: bytes, folder: Path) -> None:
        if 7 in content:
            raise KeyError("seven")

    monkeypatch.setattr(fuzz, "targets", lambda: {"x": Target("x", read, st.binary())})
    assert fuzz.main(["x", "--seconds", "0.5", "--out", str(tmp_path)]) == 1
    (file,) = (tmp_path / "x").iterdir()
    assert file.read_bytes() == b"\7"
    assert "KeyError" in capsys.readouterr().out
    monkeypatch.setattr(fuzz, "targets", lambda: {"x": Target("x", lambda *_: None, st.binary())})
    assert fuzz.main(["x", "--seconds", "0.2", "--out", str(tmp_path)]) == 0


@pytest.mark.parametrize("harm", ["print", "words"])
def test_words_on_the_terminal_and_long_messages_are_failures(tmp_path: Path, harm: str) -> None:
    def read(content: bytes, folder: Path) -> None:
        if harm == "print":
            print("a warning")
        else:
            raise ValueError("x" * 5000)

    with pytest.raises(AssertionError):
        fuzz.attempt(Target("x", read, st.binary(), (ValueError,)), b"", tmp_path)
