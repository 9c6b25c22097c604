"""What README and CONTRIBUTING say of settings and events is what the code has.

``python -m tests.test_reference`` writes it anew.
"""

import tomllib
from pathlib import Path

import msgspec
import pytest

from xray_tui import config, reference
from xray_tui.cli import main
from xray_tui.event_lines import encode
from xray_tui.events import AnyEvent, Best
from xray_tui.settings import OPTIONS, Settings

ROOT = Path(__file__).parents[1]
PLACES = {
    "settings": (ROOT / "README.md", reference.settings_reference),
    "events": (ROOT / "CONTRIBUTING.md", reference.events_reference),
}


def marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: written by `python -m tests.test_reference` -->\n\n", f"\n<!-- end of {name} -->"


def between(text: str, name: str) -> str:
    begin, end = marks(name)
    return text.partition(begin)[2].partition(end)[0]


def write() -> None:
    for name, (file, made) in PLACES.items():
        text, (begin, end) = file.read_text(encoding="utf-8"), marks(name)
        before, rest = text.split(begin)
        file.write_text(f"{before}{begin}{made()}{end}{rest.partition(end)[2]}", encoding="utf-8")


@pytest.mark.parametrize("name", PLACES)
def test_the_documents_have_the_newest(name: str) -> None:
    file, made = PLACES[name]
    newest = between(file.read_text(encoding="utf-8"), name) == made()
    assert newest, f"{file.name} is behind: `python -m tests.test_reference` writes it anew"


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_every_setting_has_a_row_that_is_right() -> None:
    head, _, *lines = reference.settings_reference().splitlines()
    rows = {row[0].strip("`"): dict(zip(cells(head), row, strict=True)) for row in map(cells, lines)}
    assert set(rows) == config.paths_of(Settings())
    assert all(row["what it is"] and row["may be"] for row in rows.values())
    row = rows["training.batch_size"]
    assert (row["may be"], row["default"]) == ("a whole number, at least 2", "`128`; tuned: `32`")
    assert (row["option"], row["environment"]) == ("`--batch-size`", "`XRAY_TUI_BATCH_SIZE`")
    assert rows["training.unfrozen.epochs"]["default"] == "`5`"  # the preset's is no other
    assert rows["training.loss.label_smoothing"]["may be"] == "a number, at least 0 and below 1"
    assert rows["data.split"]["may be"] == "one of auto, recipe, folders, holdout"
    assert sum(bool(row["option"]) for row in rows.values()) == len(OPTIONS) - 1  # DATA is no option


def test_every_event_of_a_journal_has_its_fields() -> None:
    rows = [cells(line) for line in reference.events_reference().splitlines()[2:]]
    told = {kind.strip("`"): fields for kind, fields in rows}
    assert set(told) | {"progress"} == {kind.__struct_config__.tag for kind in AnyEvent.__args__}
    line = msgspec.json.decode(encode(Best(stage="frozen", epoch=1, validation_loss=0.5, accuracy=None), 1))
    assert [word for word in line if f"`{word}`" in told["best"]] == [
        "stage",
        "epoch",
        "validation_loss",
        "accuracy",
    ]
    assert told["best"].endswith("`accuracy` float or null")
    assert "probabilities" not in told["epoch_ended"]  # arrays are in no journal


def test_the_settings_shown_are_a_config_file_that_says_where_they_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XRAY_TUI_SEED", "4")
    mine = tmp_path / "mine.toml"
    mine.write_text("preset = 'tuned'\n[training]\nbatch_size = 8\n[data]\nroot = '/a \"b\" ü'\n")
    with pytest.raises(SystemExit) as ended:
        main(["config", "show", "--config", str(mine), "--limit", "3"])
    assert not ended.value.code
    out = capsys.readouterr().out
    wanted = config.load({"training.seed": 4, "data.limit": 3}, file=mine)
    assert tomllib.loads(out) == config.to_tree(wanted)
    said = dict(line.split("  # ") for line in out.splitlines() if "#" in line)
    assert said["seed = 4"] == "environment"
    assert said["limit = 3"] == "command line"
    assert said["batch_size = 8"] == "config file"
    assert said["head_factor = 10.0"] == "preset"
    assert 'name = ""' in out.splitlines()  # a default is said nothing of


def test_the_rest_is_printed_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XRAY_TUI_CONFIG_DIR", str(tmp_path))
    for command in ("path", "reference"):
        with pytest.raises(SystemExit):
            main(["config", command])
    assert capsys.readouterr().out == f"{tmp_path / 'config.toml'}\n{reference.settings_reference()}"


if __name__ == "__main__":
    write()
