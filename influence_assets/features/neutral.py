"""Neutral texts: `data/neutral/<set>.yaml`, requests that are about no trait."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from resources.errors import InputError
from resources.yamlfiles import load_yaml

FOLDER = "neutral"


class NeutralTexts(BaseModel):
    """One file of the folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: str = Field(min_length=1)
    texts: tuple[Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)], ...] = Field(min_length=2)


def load_neutral(data: Path, name: str) -> tuple[str, ...]:
    """The texts of a set. Raises `InputError` for an unknown set, listing what exists, and for a damaged file."""
    path = data / FOLDER / f"{name}.yaml"
    known = sorted(file.stem for file in (data / FOLDER).glob("*.yaml"))
    if name not in known:
        raise InputError(
            "no such set of neutral texts",
            place="data/study.yaml",
            field="features.steering.neutral",
            value=name,
            fix=f"use one of {', '.join(known) or 'those that you write into data/neutral'}",
        )
    return load_yaml(path, NeutralTexts).texts
