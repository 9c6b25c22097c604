"""Text in Markdown: what a reader sees of it is the text again."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from xray_tui.runs.markdown import code, plain, table
from xray_tui.words import harmless

TEXT = st.text(st.sampled_from("ab1 \\`*_{}[]()<>#+-=.!|~&;:$/\"'\n\té") | st.characters(), max_size=12)
ALL_AT_ONCE = r"\`*_a_ __b__ [c](d) ![e] <i>f</i> &amp; &#65; ~~g~~ h|i"


def rendered(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)


def seen(tokens: list[Token]) -> list[str]:
    """The text of each paragraph, heading or cell; blanks in a row are one, as in HTML."""
    found = []
    for token in tokens:
        assert token.type not in ("html_block", "fence", "code_block", "hr")
        if token.type == "inline":
            parts = token.children or []
            assert {part.type for part in parts} <= {"text", "code_inline"}
            found.append(" ".join("".join(part.content for part in parts).split()))
    return found


def expected(text: str) -> str:
    return " ".join(harmless(text).split())


@given(TEXT)
@example(ALL_AT_ONCE)
@example("# a #")
@example("1. a")
@example("    a")
@example("a\\|b")
def test_text_is_text_wherever_it_stands(text: str) -> None:
    for start in ("* ", "> ", "# ", "* Positive is "):
        for end in ("", ", it says", " (a)"):
            told = seen(rendered(f"{start}{plain(text)}{end}"))
            assert " ".join(told) == expected(f"{start[2:]}{text}{end}")
    lines = table([plain(text), code(text)], [[code(text), plain(text)]])
    assert seen(rendered("\n".join(lines))) == [expected(text)] * 4


@given(TEXT)
@example("`")
@example("` a ``")
@example("a\\|b")
def test_code_is_code_however_many_backticks_it_has(text: str) -> None:
    (token,) = (token for token in rendered(f"is {code(text)} it") if token.type == "inline")
    assert [part.type for part in token.children or []] == ["text", "code_inline", "text"]
    assert seen([token]) == [" ".join(f"is {expected(text)} it".split())]


@given(st.lists(TEXT, min_size=2, max_size=3))
@example(["a | b", "--- | ---"])
@example(["a", ":--"])
@example(["a", "==="])
def test_lines_of_a_note_stay_lines(lines: list[str]) -> None:
    for token in rendered("\n".join(f"> {plain(line)}" for line in lines)):
        assert token.tag in ("blockquote", "p", "")


@pytest.mark.parametrize(
    "name",
    ["person12_virus_3.jpeg", "NORMAL", "A & B", "No finding (2)", "0.5", "20261124-101500", "Patient 3."],
)
def test_ordinary_names_are_written_as_they_are(name: str) -> None:
    assert plain(name) == name
    assert code(name) == f"`{name}`"
