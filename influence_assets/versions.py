"""Code versions: what an asset's rows depend on besides its upstream rows.

A code version is the hash of the Python files of a family, of its prompt files, and of the part of the study that it
reads. So an edit of any of them makes exactly the assets of that family stale, and nothing has to be bumped by hand.
Rerunning is cheap where the questions to models did not change: the replies are in the cache.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from pydantic import BaseModel

from resources.content import Json, sha256_of, sha256_of_files

PACKAGE = Path(__file__).resolve().parent

# What only draws or wires: an edit there changes no row.
_NO_ROWS = {"assets.py", "checks.py", "plots.py", "show.py", "__init__.py"}


def code_version(
    families: Iterable[str], *, data: Iterable[Path] = (), settings: Iterable[BaseModel | Json] = ()
) -> str:
    """12 hex digits over the families' modules, the data files or folders, and the settings."""
    files = [file for path in data for file in (sorted(path.rglob("*.yaml")) if path.is_dir() else [path])]
    parts = [
        _modules(tuple(families)),
        sha256_of_files(files),
        *(sha256_of(part.model_dump(mode="json") if isinstance(part, BaseModel) else part) for part in settings),
    ]
    return sha256_of(parts)[:12]


@cache
def _modules(families: tuple[str, ...]) -> str:
    """Read once: what a process runs is what it has imported."""
    return sha256_of_files(
        path for family in families for path in (PACKAGE / family).rglob("*.py") if path.name not in _NO_ROWS
    )
