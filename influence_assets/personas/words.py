"""How persona code reads a text: its words, and its form with case and punctuation aside."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def words_of(text: str) -> list[str]:
    """Lower-case words; a typographic apostrophe means the same as a plain one."""
    return _WORD.findall(text.replace("’", "'").lower())


def normal(text: str) -> str:
    """The words with single spaces: equal for texts that differ in case, punctuation or spacing alone."""
    return " ".join(words_of(text))
