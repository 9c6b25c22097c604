import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import NOON, summary

from xray_tui.errors import UserError
from xray_tui.runs.directory import RunDirectory
from xray_tui.runs.fields import FIELDS, ordered
from xray_tui.runs.filters import parse
from xray_tui.runs.index import Summary

DAY = time.strftime("%Y-%m-%d", time.localtime(NOON))
RUNS = {
    "a": summary(name="night run", note="with jitter", accuracy=0.8912, seconds=645.0),
    "b": summary(
        name="demo",
        directory=RunDirectory(Path("/runs/20261123-101500-efficientnet_lite0")),
        status="failed",
        stage="frozen",
        accuracy=0.70,
        auc=None,
        seconds=59.0,
        started=NOON - 86400,
        cfg={"training.batch_size": 16, "model.backbone": "efficientnet_lite0"},
        backbone="efficientnet_lite0",
    ),
    "c": summary(
        name="bob's (old) run|2",
        directory=RunDirectory(Path("/runs/20240229-000000-resnet18")),
        status="interrupted",
        stage=None,
        epochs=0,
        best_epoch=None,
        loss=None,
        accuracy=None,
        auc=None,
        seconds=None,
        started=None,
        cfg={"training.frozen.learning_rate": 1e-4, "training.augmentation.flip": 0.25},
    ),
}


def matching(text: str) -> str:
    found = parse(text)
    return "".join(letter for letter, run in RUNS.items() if found.matches(run))


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("", "abc"),
        ("   ", "abc"),
        ("NIGHT", "a"),
        ("jitter", "a"),
        ("resnet", "ac"),
        ("efficientnet", "b"),
        ("fail", "b"),
        ("20240229", "c"),
        ('"night run"', "a"),
        ("night demo", ""),
        ("night | demo", "ab"),
        ("night|demo", "ab"),
        ("resnet jitter | demo", "ab"),  # and binds more
        ("resnet (jitter | demo)", "a"),
        ("!resnet", "b"),
        ("!!resnet", "ac"),
        ("!(night | demo)", "c"),
        ("! night", "bc"),
        ('"(old)"', "c"),
        ("bob's", "c"),
        ('"run|2"', "c"),
        ("name:run", "ac"),
        ("name=demo", "b"),
        ('name="NIGHT RUN"', "a"),
        ("name!=demo", "ac"),
        ('name:"night run" stage:unfrozen has:note', "a"),
        ("has:note", "a"),
        ('note=""', "bc"),
        ("!has:auc", "bc"),
        ("has:cfg.seed", "abc"),
        ("stage:frozen", "b"),
        ("stage:unf", "a"),
        ("stage!=frozen", "ac"),
        ("status:done|status:int", "ac"),
        ("data:chest", "abc"),
        ("backbone=resnet50", "ac"),
        ("epochs>=15", "ab"),
        ("epochs=0", "c"),
        ("acc>=88%", "a"),
        ("acc>=0.88", "a"),
        ("ACCURACY>=.88", "a"),
        ("acc=89.1%", "a"),  # as it is shown
        ("acc=89%", "a"),
        ("acc=0.89", "a"),
        ("acc=0.8912", "a"),
        ("acc=0.8913", ""),
        ("acc<=89.1%", "ab"),
        ("acc>89.1%", "a"),
        ("acc!=0.70", "ac"),
        ("!acc=0.7", "ac"),
        ("acc<1", "ab"),
        ("auc>0.95", "a"),
        ("loss<0.3", "ab"),
        ("loss:0.278", "ab"),
        ("seconds>=10m", "a"),
        ("seconds<1h30m", "ab"),
        ("seconds<60", "b"),
        ("seconds=59s", "b"),
        ("took=10:45", "a"),
        ("seconds=11m", "a"),  # as far as it was written
        ("seconds<1.5d", "ab"),
        (f"started:{DAY}", "a"),
        (f"date>={DAY}", "a"),
        (f"date<{DAY}", "b"),
        ("date<=2026", "ab"),
        ("date>2026", ""),
        ("date:2026-11", "ab"),
        ("cfg.batch_size=16", "b"),
        ("cfg.batch-size>=64", "ac"),
        ("cfg.training.batch_size<64", "b"),
        ("cfg.frozen_lr=1e-4", "c"),
        ("cfg.frozen.learning_rate=0.0001", "c"),
        ("cfg.frozen.learning_rate!=0.0001", "ab"),
        ("cfg.flip:25%", "c"),
        ("cfg.backbone:RESNET", "ac"),
        ("cfg.split=auto", "abc"),
    ],
)
def test_what_a_filter_finds(text: str, runs: str) -> None:
    assert matching(text) == runs


@pytest.mark.parametrize("name", ["foo", "tok", "acuracy", "dat", "tim", "epoch_"])
def test_only_fields_that_are_listed_are_suggested(name: str) -> None:
    with pytest.raises(UserError, match=f"no field {name}") as error:
        ordered([], name)
    suggested, _, listed = error.value.hint.rpartition("fields are ")
    if suggested:
        assert suggested.removeprefix("did you mean ").removesuffix("?\n") in listed.split(", ")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("acuracy>3", "character 1: no field acuracy", "did you mean acc?"),
        ("demo   zzz:3", "character 8: no field zzz", "fields are name, note"),
        ("has:notes", "no field notes", "did you mean note?"),
        ("acc>=", "character 1: acc>= wants a value", "such as acc>=88%"),
        ("acc>=88", "acc is never more than 1", "88%"),
        ("acc>=high", "acc is a number, and high is none", "such as acc>=88%"),
        ("acc>=101%", "acc is never more than 1", "fraction"),
        ("name>3", "name is a text, which > does not compare", "use : or = or !="),
        ("stage:thawed", "stage is never thawed", "it is frozen or unfrozen"),
        ("seconds<soon", "seconds is a time, and soon is none", "1h30m"),
        ("date>=2026-13", "started is a date, and 2026-13 is none", "2026-11-01"),
        ("date>=2026-02-30", "started is a date", "today"),
        ("date>=99999", "started is a date", "today"),
        ("cfg.learning_rate=1", "may be one of 2 settings", "cfg.training.frozen.learning_rate or"),
        ("cfg.bachsize=1", "no setting bachsize", "did you mean batch_size"),
        ("cfg.batch_size=x", "cfg.batch_size is a number", "cfg.batch_size>=128"),
        ("cfg.:x", "cfg. wants a setting", "cfg.batch_size"),
        ("has:", "has: wants a field", "has:note"),
        ("has>note", "has: wants a field", "has:note"),
        ("a |", "character 4: a word is missing", "|"),
        ("| a", "character 1: a word is missing", "|"),
        ("a ()", "character 4: a word is missing", "( )"),
        ("!", "character 1: a word is missing after !", "!status:failed"),
        ("(a", "character 1: this ( is never closed", '"("'),
        ("a)", "character 2: this ) closes nothing", '")"'),
        ('name:"night', "name: wants a value", ""),
        ('a "night', "character 3: this quotation mark is never closed", ""),
        ("(" * 21 + "a" + ")" * 21, "more than 20 parentheses", ""),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str, hint: str) -> None:
    with pytest.raises(UserError) as error:
        parse(text)
    assert message in error.value.message
    assert hint in error.value.hint


def test_remedies_come_before_the_long_list_of_fields() -> None:
    def hints(text: str) -> list[str]:
        with pytest.raises(UserError) as error:
            parse(text)
        return error.value.hint.split("\n")

    quoting, fields = hints("zzz>=3")
    assert quoting == 'to look for the words, quote them: "zzz>=3"'
    assert fields.startswith("fields are name, note")
    assert [hint.split(" ")[0] for hint in hints("acuracy>3")] == ["did", "to", "fields"]
    assert [hint.split(" ")[0] for hint in hints("cfg.bachsize=1")] == ["did", "to"]


def test_every_field_has_an_example_that_works() -> None:
    for field in FIELDS:
        parse(field.example)
        assert field.help
        assert field.example.startswith(field.name)


def test_a_setting_of_another_kind_in_an_old_run_matches_nothing() -> None:
    old = summary()
    old.settings["training"]["batch_size"] = "large"
    assert not parse("cfg.batch_size>1").matches(old)
    old.settings["training"] = "none"
    assert not parse("cfg.batch_size>1").matches(old)
    assert not parse("has:cfg.batch_size").matches(old)


WORDS = st.sampled_from(
    ["demo", "!demo", '"night run"', "acc>=88%", "(a|b)", "stage:frozen", "has:note", "cfg.batch_size=16"]
)
FILTERS = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)
# Everything that means something to the parser, in any order.
PIECES = st.lists(
    st.sampled_from([*':"()|!<=>%.- \\\0½\ud800', ">=", "!="])
    | st.sampled_from(["acc", "cfg.", "date", "seconds", "name", "has", "1e999", "9" * 400, "1h", "2026-02"])
).map("".join)


@given(st.text() | PIECES)
@settings(max_examples=200)
def test_no_text_is_worse_than_an_error_of_the_person(text: str) -> None:
    try:
        found = parse(text)
    except UserError:
        return
    for run in RUNS.values():
        assert found.matches(run) in (True, False)


@pytest.mark.parametrize("piece", ["!", "demo ", "a", "a.", "1", "é"])
def test_a_long_text_is_no_trouble(piece: str) -> None:
    began = time.monotonic()
    assert not parse(piece * 5001 + "x").matches(RUNS["a"]) or piece == "!"
    assert time.monotonic() - began < 2
    with pytest.raises(UserError):
        parse("seconds<" + piece * 5000 + "?")


def test_days_are_those_of_the_clock() -> None:
    now, old = summary(started=time.time()), summary(started=time.time() - 3 * 86400)
    assert [parse("date:today").matches(run) for run in (now, old)] == [True, False]
    assert [parse("date>=yesterday").matches(run) for run in (now, old)] == [True, False]
    assert [parse("date<yesterday").matches(run) for run in (now, old)] == [False, True]


@given(FILTERS)
@settings(max_examples=40)
def test_not_not_is_nothing(text: str) -> None:
    assert matching(f"!!({text})") == matching(text)
    assert set(matching(f"!({text})")) == set("abc") - set(matching(text))


@given(FILTERS, FILTERS)
@settings(max_examples=40)
def test_and_narrows_or_widens(one: str, other: str) -> None:
    assert set(matching(f"({one}) ({other})")) == set(matching(one)) & set(matching(other))
    assert set(matching(f"{one} | {other}")) == set(matching(one)) | set(matching(other))


@given(st.text(min_size=1))
def test_a_quoted_text_is_looked_for_as_it_is(text: str) -> None:
    def quoted(words: str) -> str:
        return '"' + words.replace("\\", "\\\\").replace('"', '\\"') + '"'

    run: Summary = summary(name=text)
    assert parse(quoted(text)).matches(run)
    assert parse(f"name={quoted(text)}").matches(run)
    assert not parse(f"name={quoted(text + '.')}").matches(run)


def test_order() -> None:
    def order(name: str, **how: bool) -> list[str]:
        return [
            next(k for k, run in RUNS.items() if run is found)
            for found in ordered(RUNS.values(), name, **how)
        ]

    assert order("acc") == ["a", "b", "c"]
    assert order("acc", reverse=True) == ["b", "a", "c"], "what a run does not have stays last"
    assert order("name") == ["c", "b", "a"]
    assert order("started") == ["a", "b", "c"]
    assert order("cfg.frozen_lr") == ["a", "b", "c"]
    assert [run.loss for run in ordered([summary(loss=0.5), summary(loss=0.2)], "loss")] == [0.2, 0.5]
    with pytest.raises(UserError, match="no field colour"):
        order("colour")
