"""How persona code reads a text: its words, its form with case and punctuation aside, its form that can be stored."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def words_of(text: str) -> list[str]:
    """Lower-case words; a typographic apostrophe means the same as a plain one."""
    return _WORD.findall(text.replace("’", "'").lower())


def normal(text: str) -> str:
    """The words with single spaces: equal for texts that differ in case, punctuation or spacing alone."""
    return " ".join(words_of(text))


def storable(text: str) -> str:
    """The text with a question mark for each half of a surrogate pair, which JSON may hold and a table may not."""
    return text.encode("utf-8", "replace").decode("utf-8")
