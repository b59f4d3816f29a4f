"""What a partition key may hold: anything that has a UTF-8 form and that Dagster takes. It is stored as it is."""

from __future__ import annotations

from resources.sql import encodable

# Dagster refuses partition keys that hold one of these.
_NOT_IN_A_KEY = ("...", "\a", "\b", "\f", "\n", "\r", "\t", "\v", "\0")


def key_problem(key: str) -> str | None:
    """Why a text cannot be a partition key, or None."""
    found = [part for part in _NOT_IN_A_KEY if part in key]
    if found:
        return f"holds {found[0]!a}, which no partition key can"
    return None if encodable(key) else "has no UTF-8 form"
