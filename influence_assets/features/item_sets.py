"""Where sets of test items lie: a folder each, people's own ones in `data/<kind>`, imports in `data/imports/<kind>`.

Imports are outside of git: what they hold belongs to others.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from resources.errors import InputError


class Kind(StrEnum):
    """What a set holds; the name of the folder that the sets of a kind lie in."""

    TRAIT_ITEMS = "trait_items"
    SIDE_EFFECTS = "side_effects"

    @property
    def words(self) -> str:
        """The kind in an error's words."""
        return self.value.replace("_", " ")


def imported(data: Path, kind: Kind) -> Path:
    """The folder that imported sets of a kind lie in."""
    return data / "imports" / kind.value


def set_folder(data: Path, kind: Kind, name: str) -> Path:
    """The folder of one set. Raises `InputError` for an unknown name (what exists is listed) and one in both places.

    Names are looked up, never put together to a path, so that none can lead elsewhere.
    """
    found: dict[str, Path] = {}
    for root in (data / kind.value, imported(data, kind)):
        for folder in sorted(path for path in root.glob("*") if path.is_dir() and not path.name.startswith(".")):
            if folder.name in found:
                problem = f"{found[folder.name]} is a set of this name too"
                raise InputError(problem, place=folder, fix="rename one of the two folders")
            found[folder.name] = folder
    if name not in found:
        there = ", ".join(sorted(found)) or "none"
        raise InputError(f"no such set of {kind.words}", place=data / kind.value, value=name, fix=f"there are: {there}")
    return found[name]
