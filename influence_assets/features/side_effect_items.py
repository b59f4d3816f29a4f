"""Items on what steering does beside its trait: safe conduct, false answers, and bias between paired attributes.

A set is a folder of `data/side_effects/` or, for imports, of `data/imports/side_effects/`, with at least one of
`safety.yaml`, `hallucination.yaml` and `bias.yaml`. The first two have the layout of public test sets (SafetyBench:
question, options, answer, category; HaluEval QA: question, right_answer, hallucinated_answer, knowledge). A file on
bias crosses `templates` (texts on a person) with `attributes` (pairs of words).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from influence_assets.features.item_sets import Kind, set_folder
from influence_assets.features.items import Name, Text
from resources.errors import InputError
from resources.yamlfiles import load_yaml, problem_at

ALL = "all"
"""What tables call all categories together; no category may be called so."""


def _no_category_of_all(name: str) -> str:
    if name == ALL:
        raise ValueError(f"{ALL} stands for all categories together; give it another name")
    return name


Category = Annotated[Name, AfterValidator(_no_category_of_all)]


class SideEffectTest(StrEnum):
    """The three tests; also the names of a set's files."""

    SAFETY = "safety"
    HALLUCINATION = "hallucination"
    BIAS = "bias"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SafetyItem(_Strict):
    """A question with two to four options; `answer` is the place of the right one, from 0."""

    id: Name
    category: Category
    question: Text
    options: tuple[Text, ...] = Field(min_length=2, max_length=4)
    answer: int = Field(ge=0, strict=True)

    @model_validator(mode="after")
    def _one_right_option(self) -> Self:
        if self.answer >= len(self.options):
            fix = f"count the options from 0, up to {len(self.options) - 1}"
            raise problem_at(("answer",), "is the place of no option", value=self.answer, fix=fix)
        if len(set(self.options)) < len(self.options):
            raise problem_at(("options",), "an option stands twice", value=self.options, fix="write different options")
        return self


class HallucinationItem(_Strict):
    """A question of fact with a right and a made-up answer; `knowledge`, if any, is shown with the question."""

    id: Name
    category: Category = "facts"
    question: Text
    right_answer: Text
    hallucinated_answer: Text
    knowledge: Annotated[str, StringConstraints(strip_whitespace=True, max_length=50_000)] = ""

    @model_validator(mode="after")
    def _different_answers(self) -> Self:
        if self.right_answer == self.hallucinated_answer:
            problem = "is the right answer too"
            fix = "write a wrong answer"
            raise problem_at(("hallucinated_answer",), problem, value=self.hallucinated_answer, fix=fix)
        return self


class BiasTemplate(_Strict):
    """A text on a person that says nothing of the attributes."""

    id: Name
    text: Text


class SafetyFile(_Strict):
    """`safety.yaml`."""

    about: Text
    items: tuple[SafetyItem, ...] = Field(min_length=1)


class HallucinationFile(_Strict):
    """`hallucination.yaml`."""

    about: Text
    items: tuple[HallucinationItem, ...] = Field(min_length=1)


class BiasFile(_Strict):
    """`bias.yaml`. An attribute's name is the category of its rows."""

    about: Text
    attributes: dict[Category, tuple[Name, Name]] = Field(min_length=1)
    templates: tuple[BiasTemplate, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _different_words(self) -> Self:
        for name, (first, second) in self.attributes.items():
            if first.casefold() == second.casefold():
                raise problem_at(("attributes", name), "pairs a word with itself", value=first, fix="write two words")
        return self


@dataclass(frozen=True, slots=True)
class BiasItem:
    """One template and one pair of words."""

    id: str
    category: str
    text: str
    first: str
    second: str


@dataclass(frozen=True)
class SideEffectItems:
    """The items of some sets."""

    safety: tuple[SafetyItem, ...]
    hallucination: tuple[HallucinationItem, ...]
    bias: tuple[BiasItem, ...]


F = TypeVar("F", bound=BaseModel)


def load_side_effects(data: Path, sets: Sequence[str]) -> SideEffectItems:
    """The items of the named sets, in the order of names and files.

    Raises `InputError`: an unknown set (what exists is listed), one without files, a file that is not as it should be
    (with its line), an id that stands twice in a test over all sets.
    """
    safety: list[SafetyItem] = []
    hallucination: list[HallucinationItem] = []
    bias: list[BiasItem] = []
    for name in dict.fromkeys(sets):
        folder = set_folder(data, Kind.SIDE_EFFECTS, name)
        if not any((folder / f"{test}.yaml").exists() for test in SideEffectTest):
            fix = f"write {', '.join(f'{test}.yaml' for test in SideEffectTest)}, or some of them"
            raise InputError("holds no items on side effects", place=folder, fix=fix)
        if one := _read(folder, SideEffectTest.SAFETY, SafetyFile):
            safety += one.items
        if two := _read(folder, SideEffectTest.HALLUCINATION, HallucinationFile):
            hallucination += two.items
        if three := _read(folder, SideEffectTest.BIAS, BiasFile):
            bias += _crossed(three)
        _refuse_twins(folder, SideEffectTest.SAFETY, [item.id for item in safety])
        _refuse_twins(folder, SideEffectTest.HALLUCINATION, [item.id for item in hallucination])
        _refuse_twins(folder, SideEffectTest.BIAS, [f"{item.id} of {item.category}" for item in bias])
    return SideEffectItems(tuple(safety), tuple(hallucination), tuple(bias))


def _read(folder: Path, test: SideEffectTest, schema: type[F]) -> F | None:
    path = folder / f"{test}.yaml"
    return load_yaml(path, schema) if path.exists() else None


def _crossed(file: BiasFile) -> list[BiasItem]:
    return [
        BiasItem(template.id, name, template.text, first, second)
        for name, (first, second) in file.attributes.items()
        for template in file.templates
    ]


def _refuse_twins(folder: Path, test: SideEffectTest, ids: Sequence[str]) -> None:
    seen: set[str] = set()
    for one in ids:
        if one in seen:
            place = folder / f"{test}.yaml"
            raise InputError("the id stands twice", place=place, field="id", value=one, fix="rename one of the items")
        seen.add(one)
