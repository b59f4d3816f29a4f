"""Which tokens of a text stand for it."""

from __future__ import annotations

from enum import StrEnum


class Pooling(StrEnum):
    """Which of a text's tokens stand for it: its last one, the mean over all, or every one as a row of its own."""

    LAST = "last"
    MEAN = "mean"
    TOKENS = "tokens"
