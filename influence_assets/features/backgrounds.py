"""Backgrounds as people write them: sets of factors and their categories, one YAML file each in `data/backgrounds`.

The file's stem is the set's name; a study names the sets that it uses. Names of factors and categories are data: they
may be any text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from influence_assets.personas.frameworks import MAX_PROSE, Name, Prose
from influence_assets.personas.words import normal
from resources.errors import InputError
from resources.yamlfiles import load_yaml, problem_at, read_tree

FOLDER = "backgrounds"
_SENTENCE_ENDS = (".", "!", "?", "。")


def _inside_a_sentence(text: str) -> str:
    phrase = text.strip()
    if not phrase:
        raise ValueError("is blank; write it out")
    if len(phrase.splitlines()) > 1:
        raise ValueError("has a line break, but stands inside a sentence; write it on one line")
    if phrase.endswith(_SENTENCE_ENDS):
        raise ValueError("ends a sentence, but stands inside one; take the last mark away")
    return phrase


Phrase = Annotated[str, StringConstraints(max_length=MAX_PROSE), AfterValidator(_inside_a_sentence)]


class Kind(StrEnum):
    """What a factor is about: what a person has lived with for years, what presses at the moment, or a trait."""

    LONG_TERM = "long_term"
    SHORT_TERM = "short_term"
    TRAIT = "trait"


class Half(StrEnum):
    """What a text is for: choosing features, layers and coefficients, or measuring what was chosen."""

    SELECTION = "selection"
    HELDOUT = "heldout"


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OwnTexts(_Data):
    """Ready contrast texts of a category: of a stated half, or of `either`, which are split by seed.

    A file may write a plain list for `either` alone.
    """

    selection: tuple[Prose, ...] = ()
    heldout: tuple[Prose, ...] = ()
    either: tuple[Prose, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _list_is_either(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        # Looked through here, where a place in the list is a line of the file; afterwards it would be one of `either`.
        for index, text in enumerate(value):
            if not isinstance(text, str):
                raise problem_at((index,), "is not text", value=text, fix="quote it if it is meant as text")
            if not text.strip():
                raise problem_at((index,), "is blank", value=text, fix="write it out or remove the line")
        return {"either": value}

    def located(self) -> Iterator[tuple[Half | None, int, str]]:
        """Every text as (stated half or None, place in its list, text), in file order."""
        for half, texts in ((Half.SELECTION, self.selection), (Half.HELDOUT, self.heldout), (None, self.either)):
            for place, text in enumerate(texts):
                yield half, place, text

    def __len__(self) -> int:
        return len(self.selection) + len(self.heldout) + len(self.either)


class Category(_Data):
    """One of a factor's categories. `about` completes "a person who ..."; `keyword` is a short noun phrase."""

    about: Phrase
    keyword: Phrase
    texts: OwnTexts = OwnTexts()


class Factor(_Data):
    """One thing in which people differ, with the categories that it can take.

    `opposites` are pairs of categories at the two ends; a category has at most one opposite.
    """

    name: Name
    about: Prose
    kind: Kind
    categories: dict[Name, Category] = Field(min_length=2)
    opposites: tuple[tuple[Name, Name], ...] = ()

    @model_validator(mode="after")
    def _opposites_are_categories(self) -> Self:
        seen: set[str] = set()
        for index, pair in enumerate(self.opposites):
            for side, category in enumerate(pair):
                at = ("opposites", index, side)
                if category not in self.categories:
                    fix = f"use two of {', '.join(self.categories)}"
                    raise problem_at(at, "is no category of this factor", value=category, fix=fix)
                if category in seen:
                    fix = "name every category once among the opposites"
                    raise problem_at(at, "has an opposite already", value=category, fix=fix)
                seen.add(category)
        return self

    @model_validator(mode="after")
    def _categories_differ(self) -> Self:
        _refuse_same(self.categories, "about")
        _refuse_same(self.categories, "keyword")
        return self

    @model_validator(mode="after")
    def _texts_stand_once(self) -> Self:
        # The same text for two categories carries neither; in two halves it would leak from one into the other.
        owner: dict[str, str] = {}
        for name, category in self.categories.items():
            for half, place, text in category.texts.located():
                first = owner.get(wording(text))
                if first is not None:
                    at = ("categories", name, "texts", *((half.value,) if half else ()), place)
                    problem = f"stands twice, first as a text of {first}"
                    raise problem_at(at, problem, value=text, fix="keep one of them")
                owner[wording(text)] = name
        return self

    def opposite(self, category: str) -> str | None:
        """The category at the other end; None where there is none."""
        ends = {**dict(self.opposites), **{second: first for first, second in self.opposites}}
        return ends.get(category)


class BackgroundSet(_Data):
    """One file of `data/backgrounds`."""

    about: Prose
    factors: tuple[Factor, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [factor.name for factor in self.factors]
        for index, name in enumerate(names):
            if name in names[:index]:
                fix = f"change it or factors[{names.index(name)}]"
                raise problem_at(("factors", index, "name"), "stands twice", value=name, fix=fix)
        return self


def _refuse_same(categories: Mapping[str, Category], field: str) -> None:
    owner: dict[str, str] = {}
    for name, category in categories.items():
        phrase: str = getattr(category, field)
        first = owner.setdefault(wording(phrase), name)
        if first != name:
            at = ("categories", name, field)
            raise problem_at(at, f"is that of the category {first}", value=phrase, fix="say what tells the two apart")


def wording(text: str) -> str:
    """Equal for texts that differ in case, punctuation or spacing alone; the text itself where it has no words."""
    return normal(text) or text.strip()


def load_backgrounds(data: Path, names: Sequence[str]) -> tuple[Factor, ...]:
    """The factors of the named sets of `data/backgrounds`, in the order of the names and of each file.

    Raises `InputError` with file, line, field, value and fix for what is wrong in a file, for a set that does not exist
    or is named twice, and for a factor that stands in two sets.
    """
    folder = data / FOLDER
    files = {path.stem: path for path in sorted(folder.glob("*.yaml")) if not path.name.startswith(".")}
    factors: dict[str, tuple[Path, Factor]] = {}
    for position, name in enumerate(names):
        if name not in files:
            known = ", ".join(files) or "none"
            raise InputError("no such set of backgrounds", place=folder, value=name, fix=f"there are: {known}")
        if name in names[:position]:
            raise InputError("the set of backgrounds is named twice", value=name, fix="name it once")
        for index, factor in enumerate(load_yaml(files[name], BackgroundSet).factors):
            first, _ = factors.setdefault(factor.name, (files[name], factor))
            if first != files[name]:
                raise _in_two_sets(files[name], index, factor, first)
    return tuple(factor for _, factor in factors.values())


def _in_two_sets(path: Path, index: int, factor: Factor, first: Path) -> InputError:
    return InputError(
        f"is also a factor of {first.name}",
        place=f"{path}:{read_tree(path)[1]['factors', index, 'name']}",
        field=f"factors[{index}].name",
        value=factor.name,
        fix="change one of the names, or use one of the two sets",
    )


def chosen(factors: Sequence[Factor], factor: str, category: str) -> Category:
    """The category of that name of the factor of that name; an `InputError` that lists what there is."""
    found = next((item for item in factors if item.name == factor), None)
    if found is None:
        known = ", ".join(item.name for item in factors) or "none"
        raise InputError("no such factor", value=factor, fix=f"there are: {known}")
    if category not in found.categories:
        known = ", ".join(found.categories)
        raise InputError(f"no such category of the factor {factor}", value=category, fix=f"there are: {known}")
    return found.categories[category]


def of_kind(factors: Sequence[Factor], kind: Kind) -> tuple[Factor, ...]:
    """The factors of one kind, in order."""
    return tuple(factor for factor in factors if factor.kind is kind)
