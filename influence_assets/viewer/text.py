"""Text that others wrote, made safe to look at: nothing in it acts, and nothing in it hides.

Models write what we show. A right-to-left override, a zero-width letter or an escape sequence would make a page say
something other than the table holds, so each is shown as its code. Pages that take Markdown get it escaped.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_KEPT = frozenset("\n\t")
# Letters and symbols by category that no font draws.
_BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:&^=@])")
_LINK = re.compile(r"(?:https?://|www\.)\S*|[\w.+-]{1,64}@\S+", re.IGNORECASE)


def is_seen(char: str) -> bool:
    """Whether a reader sees this character as what it is. Line breaks, tabs and all kinds of spaces are seen."""
    if char in _KEPT:
        return True
    return (char.isprintable() or unicodedata.category(char) == "Zs") and char not in _BLANKS


def code(char: str) -> str:
    r"""A character that cannot be seen as its code, such as `\u202e`."""
    return ascii(char)[1:-1]


def pieces(text: str) -> Iterator[tuple[bool, str]]:
    """The text in stretches: (True, as it stands) and (False, one code for each character that cannot be seen)."""
    start = 0
    for place, char in enumerate(text):
        if not is_seen(char):
            if place > start:
                yield True, text[start:place]
            yield False, code(char)
            start = place + 1
    if start < len(text):
        yield True, text[start:]


def visible(value: object) -> str:
    """A value as text in which every control, bidirectional or invisible character stands as its code."""
    return "".join(part for _, part in pieces(str(value)))


def one_line(value: object, limit: int = 80) -> str:
    """`visible` on one line of at most `limit` characters."""
    text = " ".join(visible(value).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def markdown(value: object) -> str:
    """`visible`, escaped for places that read Markdown: labels, headings, messages.

    Addresses become links there even when every character of theirs is escaped, except inside a code span.
    """
    shown, escaped, end = visible(value), "", 0
    for link in _LINK.finditer(shown):
        escaped += _MARKDOWN.sub(r"\\\1", shown[end : link.start()]) + _code_span(link[0])
        end = link.end()
    return escaped + _MARKDOWN.sub(r"\\\1", shown[end:])


def _code_span(text: str) -> str:
    """Fenced by more backticks than stand together anywhere in it."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}" if "`" in text else f"{fence}{text}{fence}"
