"""Trait items: a situation and four ways to act in it, two of a trait's high pole and two of its low pole.

A set of items is a folder of `data/trait_items/` (people's own) or of `data/imports/trait_items/` (imports, outside of
git), with one YAML file per trait, named as the trait:

    trait: openness
    about: what high and low mean
    items:
      - id: openness_01
        situation: You find a free evening in your calendar.
        query: What do you do?             # may be left out
        high: [one high option, another]
        low: [one low option, another]
        half: heldout                      # may be left out: then a seeded hash of the id decides

Layers, coefficients and features are chosen on the selection half; what is reported comes from the held-out half.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from influence_assets.features.item_sets import Kind, set_folder
from resources.content import sha256_of
from resources.errors import InputError
from resources.yamlfiles import load_yaml, problem_at

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=10_000)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class Half(StrEnum):
    """What an item is for: choosing, or reporting."""

    SELECTION = "selection"
    HELDOUT = "heldout"


class ItemEntry(BaseModel):
    """One entry of `items` in a trait's file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Name
    situation: Text
    query: Annotated[str, StringConstraints(strip_whitespace=True, max_length=10_000)] = ""
    high: tuple[Text, Text]
    low: tuple[Text, Text]
    half: Half | None = None

    def twin(self) -> tuple[str, int] | None:
        """Field and place of the first option that stands there a second time."""
        options = [("high", n, text) for n, text in enumerate(self.high)]
        options += [("low", n, text) for n, text in enumerate(self.low)]
        seen: set[str] = set()
        for field, place, text in options:
            if text in seen:
                return field, place
            seen.add(text)
        return None


class TraitFile(BaseModel):
    """One file of a set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trait: Name
    about: Text
    items: tuple[ItemEntry, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        first: dict[str, int] = {}
        for place, item in enumerate(self.items):
            if item.id in first:
                problem = f"the id is that of item {first[item.id] + 1} too"
                raise problem_at(("items", place, "id"), problem, value=item.id, fix="rename one of them")
            first[item.id] = place
            if twin := item.twin():
                problem = "the option stands twice in its item"
                value = getattr(item, twin[0])[twin[1]]
                raise problem_at(("items", place, *twin), problem, value=value, fix="write four different options")
        return self


@dataclass(frozen=True, slots=True)
class TraitItem:
    """One item of a trait test. `high` and `low` are the two options of either pole."""

    id: str
    item_set: str
    trait: str
    situation: str
    query: str
    high: tuple[str, str]
    low: tuple[str, str]
    half: Half

    @property
    def text(self) -> str:
        """Situation and query, joined by a space."""
        return f"{self.situation} {self.query}".strip()


def load_items(data: Path, sets: Sequence[str], *, seed: int = 0) -> tuple[TraitItem, ...]:
    """The items of the named sets, in the order of the names, of the traits' names and of the files.

    `seed` decides the half of items that do not state theirs. Raises `InputError`: an unknown set (what exists is
    listed), a set without files, a file that is not as it should be (with its line), an id that stands twice over all
    sets.
    """
    items: list[TraitItem] = []
    owner: dict[str, Path] = {}
    for name in dict.fromkeys(sets):
        for path, file in _files(set_folder(data, Kind.TRAIT_ITEMS, name)):
            for entry in file.items:
                if entry.id in owner:
                    problem, fix = f"the id is in {owner[entry.id]} too", "rename one of the items"
                    raise InputError(problem, place=path, field="items.id", value=entry.id, fix=fix)
                owner[entry.id] = path
            items += _items(name, file, seed)
    return tuple(items)


def halves(trait: str, ids: Sequence[str], *, seed: int) -> dict[str, Half]:
    """A half for every id: the half of them (rounded down) whose seeded hash is smallest is for selection."""
    drawn = set(sorted(ids, key=lambda one: sha256_of(["trait item", seed, trait, one]))[: len(ids) // 2])
    return {one: Half.SELECTION if one in drawn else Half.HELDOUT for one in ids}


def _files(folder: Path) -> Iterator[tuple[Path, TraitFile]]:
    paths = sorted(path for path in folder.glob("*.yaml") if not path.name.startswith("."))
    if not paths:
        raise InputError("holds no trait items", place=folder, fix="write one YAML file per trait in it")
    for path in paths:
        file = load_yaml(path, TraitFile)
        if file.trait != path.stem:
            fix = f"name the file {file.trait}.yaml or write trait: {path.stem}"
            raise InputError("the file is not named as its trait", place=path, field="trait", value=file.trait, fix=fix)
        yield path, file


def _items(item_set: str, file: TraitFile, seed: int) -> Iterator[TraitItem]:
    drawn = halves(file.trait, [entry.id for entry in file.items if entry.half is None], seed=seed)
    for entry in file.items:
        yield TraitItem(
            id=entry.id,
            item_set=item_set,
            trait=file.trait,
            situation=entry.situation,
            query=entry.query,
            high=entry.high,
            low=entry.low,
            half=entry.half or drawn[entry.id],
        )
