"""Records of public test sets: a JSON list, JSON lines, or a JSON object of named lists, read strictly.

A field that stands twice, NaN, and what is no object are refused. Every record has a place for complaints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from influence_assets.influence.strict_json import strict_json
from resources.content import Json
from resources.errors import InputError
from resources.yamlfiles import first_problem

MAX_BYTES = 256 * 1024 * 1024

R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `place` is the file and the record's number from 1, or its line; `group` the name of its list."""

    place: str
    values: Mapping[str, Json]
    group: str = ""

    def of(self, schema: type[R]) -> R:
        """The record as a value of `schema`; `InputError` names record and field."""
        try:
            return schema.model_validate(self.values)
        except ValidationError as error:
            raise first_problem(error, lambda _: self.place) from None


def read_records(path: Path) -> list[Record]:
    """The records of a file in its order; at least one. Raises `InputError`."""
    text = _text(path)
    first = next((line for line in text.splitlines() if line.strip()), "")
    # A line that is an object by itself begins JSON lines; an object over many lines holds named lists.
    if first.lstrip().startswith("{") and first.rstrip().endswith("}") and _lines_follow(text):
        records = [
            _record(_parsed(path, line, f"{path}:{n}"), f"{path}:{n}")
            for n, line in enumerate(text.split("\n"), start=1)
            if line.strip()
        ]
    else:
        records = _whole(path, _parsed(path, text, str(path)))
    if not records:
        raise InputError("holds no records", place=path, fix="give a file with at least one")
    return records


def _lines_follow(text: str) -> bool:
    """Whether there is more than one line, or the only one is a record: none of its values is a list of objects."""
    if len(text.strip().split("\n")) > 1:
        return True
    try:
        tree = strict_json(text)
    except ValueError:
        return True
    return not (isinstance(tree, dict) and tree and all(isinstance(value, list) for value in tree.values()))


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError("is larger than 256 MiB", place=path, value=size, fix="split it")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", place=path, fix="give a file that is there") from None
    except UnicodeDecodeError:
        raise InputError("is not UTF-8", place=path, fix="save it as UTF-8") from None


def _parsed(path: Path, text: str, place: str) -> Json:
    try:
        return strict_json(text)
    except ValueError as error:
        fix = "give a JSON list of records, or one record a line"
        raise InputError(f"is not JSON: {str(error)[:200]}", place=place or path, fix=fix) from None


def _whole(path: Path, tree: Json) -> list[Record]:
    if isinstance(tree, dict) and all(isinstance(value, list) for value in tree.values()):
        return [record for name, values in tree.items() for record in _listed(path, values, name)]
    if isinstance(tree, list):
        return _listed(path, tree, "")
    raise InputError("is no list of records", place=path, fix="give a JSON list of records, or one record a line")


def _listed(path: Path, values: Json, group: str) -> list[Record]:
    assert isinstance(values, Sequence)
    where = f"{path}: {group}" if group else f"{path}"
    return [_record(value, f"{where} record {n}", group) for n, value in enumerate(values, start=1)]


def _record(value: Json, place: str, group: str = "") -> Record:
    if not isinstance(value, dict):
        raise InputError("is no record", place=place, value=value, fix="write an object of fields with values")
    return Record(place, value, group)
