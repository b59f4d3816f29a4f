"""The small file that says which settings were in force when something was last used, so that a change is noticed."""

from __future__ import annotations

from pathlib import Path
from typing import Generic, TypeVar

from filelock import FileLock
from pydantic import BaseModel, ValidationError

from resources.content import canonical
from resources.durable import write_whole
from resources.errors import InputError

S = TypeVar("S", bound=BaseModel)


class Marker(Generic[S]):
    """Holds `plain` as long as there is no file. `fix` says what removing a damaged file does."""

    def __init__(self, path: Path, plain: S, *, fix: str) -> None:
        self._path, self._plain, self._fix = path, plain, fix

    def read(self) -> S:
        """The settings that were used last; an `InputError` when the file holds none."""
        try:
            return type(self._plain).model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return self._plain
        except ValidationError as error:
            raise InputError("does not name a home", place=self._path, value=str(error), fix=self._fix) from None

    def write(self, settings: S) -> None:
        """These are in force now."""
        said = canonical(settings.model_dump(mode="json", exclude_unset=True))
        write_whole(self._path, said, self._path.parent)

    def lock(self) -> FileLock:
        """Held by whoever brings things over."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(self._path.with_suffix(".lock"))
