"""How much a test that destroys does: little enough for every `make test`, or the long form of `make torture`."""

from __future__ import annotations

import os

LONG = os.environ.get("INFLUENCE_TORTURE") == "1"


def scaled(short: int, long: int) -> int:
    """How often: `short` in `make test`, `long` in `make torture`."""
    return long if LONG else short
