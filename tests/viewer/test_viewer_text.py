"""Text of others, made safe to look at: nothing hides, nothing acts, and what is shown says what was written."""

from __future__ import annotations

import re
import unicodedata
from html.parser import HTMLParser

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from influence_assets.viewer import text
from influence_assets.viewer.markup import element
from tests.browser.viewer_world import hostile_texts

HIDING = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(st.text())
def test_what_is_shown_has_no_character_that_hides(written: str) -> None:
    shown = text.visible(written)
    assert all(unicodedata.category(char) not in HIDING or char in "\n\t" for char in shown)


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"])))
def test_plain_text_is_shown_as_it_stands(written: str) -> None:
    assert text.visible(written) == written


@given(st.text())
def test_pieces_put_together_are_the_text_with_codes(written: str) -> None:
    assert "".join(part for _, part in text.pieces(written)) == text.visible(written)
    assert all(text.visible(part) == part for _, part in text.pieces(written))


@pytest.mark.parametrize(
    ("written", "shown"),
    [("a\u202eb", "a\\u202eb"), ("\x1b[0m", "\\x1b[0m"), ("né à 日本 🙂", "né à 日本 🙂"), ("\ud800", "\\ud800")],
)
def test_codes_name_the_character(written: str, shown: str) -> None:
    assert text.visible(written) == shown


@given(st.text(max_size=300), st.integers(5, 90))
def test_one_line_is_one_line_and_short(written: str, limit: int) -> None:
    line = text.one_line(written, limit)
    assert len(line) <= limit
    assert "\n" not in line


class Parsed(HTMLParser):
    """What a browser would find: the elements with their attributes, and all text."""

    def __init__(self, made: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(str(made))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.one_of(st.text(), st.sampled_from(list(hostile_texts().values()))))
def test_an_element_holds_its_text_and_no_element_besides(written: str) -> None:
    parsed = Parsed(element("div", written, title=written))
    assert parsed.text == text.visible(written)
    (name, attributes), *marks = parsed.elements
    assert (name, attributes.get("title", "")) == ("div", text.visible(written))
    assert all(mark == ("span", {"class": "unseen"}) for mark in marks)


def test_only_markup_made_here_is_not_escaped() -> None:
    assert element("p", Markup("<b>ours</b>"), "<b>theirs</b>") == "<p><b>ours</b>&lt;b&gt;theirs&lt;/b&gt;</p>"


@pytest.mark.parametrize("name", list(hostile_texts()))
def test_markdown_leaves_no_mark_and_no_address_unescaped(name: str) -> None:
    escaped = re.sub(r"(?<!\\)(`+) ?[^`]*? ?\1", "", text.markdown(hostile_texts()[name]))  # code spans are no marks
    marks = "`*_{}[]()<>#!|~$:&"
    assert all(escaped[n - 1] == "\\" for n, char in enumerate(escaped) if char in marks)
    assert "//attacker" not in escaped.replace("\\", "")


def test_an_address_stands_in_a_code_span_whatever_is_in_it() -> None:
    """An address whose characters are escaped would be a link all the same."""
    assert text.markdown("see https://a.test/x, me@a.test") == "see `https://a.test/x,` `me@a.test`"
    assert text.markdown("www.a.test/``b`") == "``` www.a.test/``b` ```"


def test_a_frame_of_lists_and_maps_becomes_text() -> None:
    from influence_assets.viewer.widgets import as_text

    frame = pl.DataFrame({"a\u202e": ["x\u200b", None], "n": [1, 2], "list": [["<b>"], []]})
    shown = as_text(frame)
    assert shown.columns == ["a\\u202e", "n", "list"]
    assert shown.rows() == [("x\\u200b", 1, "['<b>']"), (None, 2, "[]")]
