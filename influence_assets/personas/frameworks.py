"""Persona frameworks as people write them: one YAML file each in `data/frameworks`, checked to the line.

The file's stem is the framework's slug: its partition key and what tables call it. A persona's id comes from the
names inside the file, so a renamed file keeps its personas.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from influence_assets.personas.ids import persona_id
from resources.errors import InputError
from resources.keys import key_problem
from resources.yamlfiles import load_yaml, problem_at, read_tree

# Longest texts, in characters: far above anything sensible, far below what would hurt a prompt or a table.
MAX_NAME, MAX_PROSE = 5_000, 20_000
# Slugs with this prefix belong to imported benchmarks.
IMPORT_PREFIX = "imported_"


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is blank; write it out or remove the line")
    return text


Name = Annotated[str, StringConstraints(max_length=MAX_NAME), AfterValidator(_not_blank)]
Prose = Annotated[str, StringConstraints(max_length=MAX_PROSE), AfterValidator(_not_blank)]


class Level(StrEnum):
    """The end of a dimension at which a persona stands."""

    HIGH = "high"
    LOW = "low"


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PersonaSpec(_Data):
    """A named position in a framework.

    `traits` holds the dimensions that define the persona, at their high or low end; a dimension that is left out says
    nothing. Without a `description` the generator model writes one.
    """

    name: Name
    description: Prose | None = None
    traits: dict[Name, Level] = Field(default_factory=dict)


class Framework(_Data):
    """One framework file.

    `name` travels with every persona's name, since Cancer, Strength or 3w4 mean something else alone. `dimensions`
    says of each what its high and its low end mean; it is empty where the framework only has types. `aspects` are
    the aspects of life that statements are asked about; empty means those of `data/aspects.yaml`.
    """

    name: Name
    about: Prose
    dimensions: dict[Name, Prose] = Field(default_factory=dict)
    aspects: tuple[Name, ...] = Field(default=(), min_length=1)
    personas: tuple[PersonaSpec, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Framework:
        _refuse_repeats("aspects", (), self.aspects)
        _refuse_repeats("personas", ("name",), tuple(persona.name for persona in self.personas))
        return self

    @model_validator(mode="after")
    def _traits_are_declared(self) -> Framework:
        for index, persona in enumerate(self.personas):
            for trait in persona.traits:
                if trait not in self.dimensions:
                    known = ", ".join(self.dimensions) or "none"
                    at = ("personas", index, "traits", trait)
                    fix = f"add it to dimensions or use one of them ({known})"
                    raise problem_at(at, "is not a dimension of this framework", value=trait, fix=fix)
        return self

    def persona_ids(self) -> tuple[str, ...]:
        """Ids of all personas, in file order."""
        return tuple(persona_id(self.name, persona.name) for persona in self.personas)


def _refuse_repeats(field: str, inner: tuple[str, ...], values: tuple[str, ...]) -> None:
    seen: dict[str, int] = {}
    for index, value in enumerate(values):
        if seen.setdefault(value, index) != index:
            fix = f"change it or {field}[{seen[value]}]"
            raise problem_at((field, index, *inner), "stands twice", value=value, fix=fix)


class Aspects(_Data):
    """`data/aspects.yaml`."""

    about: Prose
    aspects: tuple[Name, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _aspects_are_unique(self) -> Aspects:
        _refuse_repeats("aspects", (), self.aspects)
        return self


def load_framework(path: Path) -> Framework:
    """One framework file.

    Raises `InputError` with file, line, field, value and fix: unknown or missing fields, names that stand twice,
    traits without a dimension, fewer than two personas (every score compares personas), two personas with one id.
    """
    framework = load_yaml(path, Framework)
    if len(framework.personas) < 2:
        place = _place(path, ("personas",))
        value = framework.personas[0].name
        raise InputError("holds a single persona", place=place, field="personas", value=value, fix="add another")
    _refuse_shared_ids({path: framework})
    return framework


def load_frameworks(folder: Path) -> dict[str, Framework]:
    """All framework files of a folder by slug, in slug order; hidden files are passed over.

    Raises `InputError` as `load_framework` does, and where a file name cannot be a partition key, or personas of two
    files have one id.
    """
    if not folder.is_dir():
        raise InputError("is not a folder", place=folder, fix="create it with one YAML file per framework")
    files = framework_files(folder)
    frameworks = {slug: load_framework(path) for slug, path in files.items()}
    _refuse_shared_ids({files[slug]: framework for slug, framework in frameworks.items()})
    return frameworks


def framework_files(folder: Path) -> dict[str, Path]:
    """The framework files of a folder by slug, in slug order, unread; hidden files, as editors leave them, are none.

    Raises `InputError` where a file name cannot be a partition key.
    """
    paths = [path for path in sorted(folder.glob("*.yaml")) if not path.name.startswith(".")]
    return dict(sorted((_slug(path), path) for path in paths))


def aspects_of(framework: Framework, default_path: Path) -> tuple[str, ...]:
    """The framework's own aspects of life, or those of the file at `default_path`, in order."""
    return framework.aspects or load_aspects(default_path)


def load_aspects(path: Path) -> tuple[str, ...]:
    """The aspects of life of `data/aspects.yaml`, in order; raises `InputError`."""
    return load_yaml(path, Aspects).aspects


def _place(path: Path, at: tuple[str | int, ...]) -> str:
    return f"{path}:{read_tree(path)[1][at]}"


def _slug(path: Path) -> str:
    if key_problem(path.stem) or not path.stem.isprintable():
        raise InputError("the file name cannot be a partition key", place=path, value=path.stem, fix="rename the file")
    if path.stem.startswith(IMPORT_PREFIX):
        fix = f"rename the file; the prefix {IMPORT_PREFIX} marks imported benchmarks"
        raise InputError("the file name is reserved", place=path, value=path.stem, fix=fix)
    return path.stem


def _refuse_shared_ids(frameworks: Mapping[Path, Framework]) -> None:
    # Not only by chance: framework "A B" with persona "C" has the id of framework "A" with persona "B C".
    owner: dict[str, tuple[Path, str]] = {}
    for path, framework in frameworks.items():
        for index, persona in enumerate(framework.personas):
            identity = persona_id(framework.name, persona.name)
            first, name = owner.setdefault(identity, (path, persona.name))
            if (first, name) != (path, persona.name):
                raise InputError(
                    f"has the id {identity} of the persona {name!a} in {first.name}",
                    place=_place(path, ("personas", index, "name")),
                    field=f"personas[{index}].name",
                    value=persona.name,
                    fix="change the name of this framework or of one of the two personas",
                )
