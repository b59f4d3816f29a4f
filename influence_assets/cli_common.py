"""What the commands share: the console for everything that is not a result, and the project they work in."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from influence_assets.project import Project

console = Console(stderr=True)


def project() -> Project:
    """The project of the working directory; see `influence_assets/project.py`."""
    from influence_assets.project import Project, find_root

    return Project(find_root())


def busy(label: str) -> AbstractContextManager[None]:
    """Says on a terminal what is being done, for what may take more than two seconds."""
    from influence_assets.progress import working

    return working(console, label)
