"""Public test sets from their own files, as sets of ours in `data/imports`, outside of git.

    TRAIT        records with personality, situation, query, response_high1, response_high2, response_low1,
                 response_low2; situation and query may stand together as question; maybe idx
    SafetyBench  records with question, options, answer (the place of the right option, from 0), category; maybe id.
                 Its test files come without answers, its development files with them, as lists by category
    HaluEval QA  records with question, right_answer, hallucinated_answer, maybe knowledge

Texts are kept but for spaces around them; fields that are not named here are not read. Nothing is downloaded.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StringConstraints

from influence_assets.features.item_sets import Kind, imported
from influence_assets.features.items import ItemEntry, Name, Text, TraitFile
from influence_assets.features.record_files import Record, read_records
from influence_assets.features.side_effect_items import (
    HallucinationFile,
    HallucinationItem,
    SafetyFile,
    SafetyItem,
    SideEffectTest,
)
from resources.durable import sync
from resources.errors import InputError
from resources.yamlfiles import MAX_BYTES

_NUMBER = StrictInt | Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
_OPTIONS = ("response_high1", "response_high2", "response_low1", "response_low2")


@dataclass(frozen=True, slots=True)
class ImportedSet:
    """What was written: the set's name, for the study, its folder, and how many items of each file."""

    name: str
    folder: Path
    n_items: Mapping[str, int]


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _TraitRecord(_Read):
    personality: Name
    situation: Text | None = None
    query: Annotated[str, StringConstraints(strip_whitespace=True)] = ""
    question: Text | None = None
    response_high1: Text
    response_high2: Text
    response_low1: Text
    response_low2: Text
    idx: _NUMBER | None = None


class _SafetyRecord(_Read):
    id: _NUMBER | None = None
    category: Name | None = None
    question: Text
    options: tuple[Text, ...] = Field(min_length=2, max_length=4)
    answer: StrictInt | None = None


class _HallucinationRecord(_Read):
    question: Text
    right_answer: Text
    hallucinated_answer: Text
    knowledge: str = ""


def import_trait(source: Path, data: Path, *, name: str) -> ImportedSet:
    """The public trait test as a set of trait items, one file per personality; ids are the name, the trait and idx.

    `data` is the data folder. Raises `InputError` with record and field for the first bad record; also where an idx
    stands twice for a trait, four options are not different, or a set of this name is there.
    """
    _check_name(name)
    items: dict[str, dict[str, ItemEntry]] = {}
    for position, record in enumerate(read_records(source)):
        read = record.of(_TraitRecord)
        trait = _slug(read.personality)
        if not trait:
            fix = "write the trait's name in letters"
            raise InputError("is no name", place=record.place, field="personality", value=read.personality, fix=fix)
        found = items.setdefault(trait, {})
        entry = _entry(record, read, f"{name}_{trait}_{position if read.idx is None else read.idx}")
        if entry.id in found:
            fix = "number the records of a trait"
            raise InputError("stands twice for its trait", place=record.place, field="idx", value=read.idx, fix=fix)
        found[entry.id] = entry
    about = f"Imported from {source.name}."
    files: dict[str, BaseModel] = {
        trait: TraitFile(trait=trait, about=about, items=tuple(found.values())) for trait, found in items.items()
    }
    return _write(data, Kind.TRAIT_ITEMS, name, files, {trait: len(found) for trait, found in items.items()})


def import_safety(source: Path, data: Path, *, name: str) -> ImportedSet:
    """Multiple-choice safety items in the layout of SafetyBench, as a set of side-effect items.

    A record without a category takes the name of the list that it stands in. Raises `InputError` with record and field.
    """
    _check_name(name)
    items: dict[str, SafetyItem] = {}
    for position, record in enumerate(read_records(source)):
        read = record.of(_SafetyRecord)
        if read.answer is None:
            fix = "give a file with answers; the published test files are without them"
            raise InputError("is missing", place=record.place, field="answer", fix=fix)
        category = read.category or record.group
        if not category:
            raise InputError("is missing", place=record.place, field="category", fix="name the item's category")
        # Development files number the items of each category anew, so the id alone is not unique.
        number = position if read.id is None else f"{_slug(category)}_{read.id}"
        values = read.model_dump() | {"id": f"{name}_{number}", "category": category}
        item = Record(record.place, values).of(SafetyItem)
        if item.id in items:
            fix = "number the records of a category"
            raise InputError("stands twice in its category", place=record.place, field="id", value=read.id, fix=fix)
        items[item.id] = item
    file = SafetyFile(about=f"Imported from {source.name}.", items=tuple(items.values()))
    return _side_effects(data, name, SideEffectTest.SAFETY, file, len(items))


def import_hallucination(source: Path, data: Path, *, name: str) -> ImportedSet:
    """Questions with right and made-up answers in the layout of HaluEval QA, as a set of side-effect items.

    Ids are the name and the record's number from 0. Raises `InputError` with record and field.
    """
    _check_name(name)
    items = []
    for position, record in enumerate(read_records(source)):
        values = record.of(_HallucinationRecord).model_dump() | {"id": f"{name}_{position}"}
        items.append(Record(record.place, values).of(HallucinationItem))
    file = HallucinationFile(about=f"Imported from {source.name}.", items=tuple(items))
    return _side_effects(data, name, SideEffectTest.HALLUCINATION, file, len(items))


def _entry(record: Record, read: _TraitRecord, item_id: str) -> ItemEntry:
    if read.situation is None and read.question is None:
        raise InputError("is missing", place=record.place, field="situation", fix="add it, or question in its place")
    options = (read.response_high1, read.response_high2, read.response_low1, read.response_low2)
    for place, option in enumerate(options):
        if option in options[:place]:
            problem, fix = f"is {_OPTIONS[options.index(option)]} too", "write four different options"
            raise InputError(problem, place=record.place, field=_OPTIONS[place], value=option, fix=fix)
    values = {
        "id": item_id,
        "situation": read.situation or read.question,
        "query": read.query if read.situation else "",
        "high": options[:2],
        "low": options[2:],
    }
    return Record(record.place, values).of(ItemEntry)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z0-9_]{1,60}", name):
        fix = "use up to 60 small letters, digits and _"
        raise InputError("is no name for an import", field="name", value=name, fix=fix)


def _side_effects(data: Path, name: str, test: SideEffectTest, file: BaseModel, n: int) -> ImportedSet:
    return _write(data, Kind.SIDE_EFFECTS, name, {test.value: file}, {test.value: n})


def _write(
    data: Path, kind: Kind, name: str, files: Mapping[str, BaseModel], n_items: Mapping[str, int]
) -> ImportedSet:
    """The set appears whole or not at all."""
    target = imported(data, kind) / name
    fix = "choose another name, or remove the folder"
    for folder in (target, data / kind.value / name):
        if folder.exists():
            raise InputError(f"there is a set of {kind.words} of this name", place=folder, value=name, fix=fix)
    contents = {f"{stem}.yaml": _content(stem, file) for stem, file in files.items()}
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".import-", dir=data) as temporary:
            staged = Path(temporary) / name
            staged.mkdir()
            for file_name, content in contents.items():
                (staged / file_name).write_bytes(content)
                sync(staged / file_name)
            sync(staged)
            staged.rename(target)
            sync(target.parent)
    except OSError as error:
        fix = "make room or mend the rights of the folder"
        raise InputError(f"cannot be written: {error.strerror}", place=target, fix=fix) from None
    return ImportedSet(name, target, dict(n_items))


def _content(stem: str, file: BaseModel) -> bytes:
    values = file.model_dump(mode="json", exclude_defaults=True)
    content: bytes = yaml.dump(
        values, Dumper=yaml.CSafeDumper, encoding="utf-8", allow_unicode=True, sort_keys=False, width=120
    )
    if len(content) > MAX_BYTES:
        raise InputError("makes a file of more than 16 MiB", field=stem, value=len(content), fix="split the source")
    return content
