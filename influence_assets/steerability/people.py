"""The personas and statements of one measurement, checked once and numbered, so that the rest is arrays.

Persona p and statement s are row numbers everywhere below: `persona_S[s]` is the persona whose statement s is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from influence_assets.personas.frameworks import IMPORT_PREFIX
from resources.errors import InputError

_LEVELS = {"high": 1.0, "low": -1.0, "medium": 0.0, "neutral": 0.0}


@dataclass(frozen=True, slots=True)
class Persona:
    """One persona as a steering method sees it. `levels` are positions on dimensions: 1 high, -1 low."""

    framework: str
    framework_name: str
    persona_id: str
    name: str
    description: str
    levels: Mapping[str, float] = field(default_factory=dict)

    @property
    def group(self) -> str:
        """The framework that clusters are compared with: an import is one partition with personas of several."""
        return f"{self.framework}/{self.framework_name}" if self.framework.startswith(IMPORT_PREFIX) else self.framework


@dataclass(frozen=True)
class People:
    """Personas in the order of framework and id, statements in the order of persona and id."""

    personas: tuple[Persona, ...]
    statement_ids: tuple[str, ...]
    texts: tuple[str, ...]
    agree_S: NDArray[np.bool_]
    persona_S: NDArray[np.int64]

    @cached_property
    def text_S(self) -> NDArray[np.int64]:
        """A number per statement, equal for texts that differ in case, spaces or the last mark only."""
        numbers: dict[str, int] = {}
        return np.array([numbers.setdefault(_same(text), len(numbers)) for text in self.texts], dtype=np.int64)

    @cached_property
    def index(self) -> dict[str, int]:
        """Persona id to number."""
        return {persona.persona_id: number for number, persona in enumerate(self.personas)}

    def statements_of(self, persona: int) -> NDArray[np.int64]:
        """Numbers of the persona's statements."""
        low, high = np.searchsorted(self.persona_S, [persona, persona + 1])
        return np.arange(low, high)


def people(personas: pl.DataFrame, statements: pl.DataFrame) -> People:
    """Both frames as one checked value. Statements of personas that are not in the first frame are left out.

    `personas`: framework, persona_id, name, framework_name, description, traits (list of key/value structs, a struct,
    or null). `statements`: persona_id, statement_id, text, agree. Raises `InputError` for ids that stand twice.
    """
    personas = personas.sort("framework", "persona_id")
    _unique(personas["persona_id"], "personas.persona_id")
    _unique(statements["statement_id"], "personas.statements.statement_id")
    order = pl.DataFrame({"persona_id": personas["persona_id"], "persona": np.arange(personas.height)})
    kept = statements.join(order, on="persona_id", how="inner").sort("persona", "statement_id")
    return People(
        personas=tuple(_persona(row) for row in personas.iter_rows(named=True)),
        statement_ids=tuple(kept["statement_id"].to_list()),
        texts=tuple(kept["text"].to_list()),
        agree_S=kept["agree"].to_numpy().astype(np.bool_),
        persona_S=kept["persona"].to_numpy().astype(np.int64),
    )


def level_of(value: object) -> float:
    """A trait's value as a number: high 1, low -1, medium 0, or the number itself."""
    text = str(value).strip().lower()
    if text in _LEVELS:
        return _LEVELS[text]
    try:
        return float(text)
    except ValueError:
        raise InputError(
            "a trait's level is neither a word nor a number we know",
            field="traits",
            value=value,
            fix="use high, low, medium or a number between -1 and 1",
        ) from None


def _persona(row: Mapping[str, object]) -> Persona:
    return Persona(
        framework=str(row["framework"]),
        framework_name=str(row.get("framework_name") or row["framework"]),
        persona_id=str(row["persona_id"]),
        name=str(row["name"]),
        description=str(row["description"] or ""),
        levels={name: level_of(value) for name, value in _traits(row.get("traits")).items()},
    )


def _traits(value: object) -> dict[str, object]:
    """A DuckDB MAP arrives as a list of key/value structs, a STRUCT as a mapping."""
    if not value:
        return {}
    if isinstance(value, Mapping):
        return {str(name): level for name, level in value.items() if level is not None}
    if isinstance(value, list):
        return {str(item["key"]): item["value"] for item in value}
    raise InputError("traits are no map", field="traits", value=value, fix="give a map of dimension to level")


def _same(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".!")


def _unique(ids: pl.Series, name: str) -> None:
    twice = ids.filter(ids.is_duplicated())
    if len(twice):
        raise InputError("an id stands twice", field=name, value=twice[0], fix="give every row its own id")
