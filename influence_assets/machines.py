"""Settings of a study that say where things lie and run: rows, replies, Dagster's records, and the steps of the graph.

None of them is part of what rows are made from: a study goes on elsewhere with nothing computed again. Passwords are
never written in the file; the environment holds them, and libpq's own means (PGPASSWORD, ~/.pgpass) work too.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from resources.errors import InputError

_PASSWORD = re.compile(r"password\s*=|://[^/@\s]*:[^/@\s]*@", re.IGNORECASE)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StorageSettings(_Part):
    """Where rows lie. `storage: files` alone is enough for a folder of this machine.

    A DuckLake has its catalogue in a Postgres database of its own and its files in `data_path`, which every machine
    sees under the same path.
    """

    kind: Literal["files", "ducklake"] = "files"
    catalogue: str | None = Field(default=None, description="libpq connection string or URI, without a password")
    catalogue_env: str | None = Field(default=None, description="environment variable that holds it, with one")
    data_path: str = "data/lake"

    @field_validator("catalogue")
    @classmethod
    def _holds_no_secret(cls, given: str | None) -> str | None:
        if given and _PASSWORD.search(given):
            raise ValueError("holds a password; put the string into an environment variable and name that one here")
        return given

    @model_validator(mode="after")
    def _is_complete(self) -> StorageSettings:
        named = [name for name in ("catalogue", "catalogue_env") if getattr(self, name)]
        if self.kind == "ducklake" and len(named) != 1:
            raise ValueError("ducklake needs either catalogue (a libpq connection string) or catalogue_env")
        if self.kind == "files" and (named or self.data_path != type(self).model_fields["data_path"].default):
            raise ValueError("catalogue, catalogue_env and data_path belong to kind: ducklake")
        return self

    def connection(self) -> str:
        """The catalogue's connection string; an `InputError` when the environment lacks it."""
        return self.catalogue or from_environment(self.catalogue_env or "", "storage.catalogue_env")

    def folder(self, root: Path) -> Path:
        """Where a DuckLake's files lie."""
        return (root / self.data_path).resolve()


class RecordsSettings(_Part):
    """Where Dagster keeps its own records: SQLite files in `.dagster`, or a Postgres database."""

    kind: Literal["sqlite", "postgres"] = "sqlite"
    url_env: str = Field(
        default="INFLUENCE_RECORDS",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="environment variable with the URL, postgresql+psycopg2://user:password@host/database",
    )


class RepliesSettings(_Part):
    """Where replies that were paid for lie, with the ledger: an SQLite file of one machine, or a Postgres database that
    all machines reach."""

    kind: Literal["sqlite", "postgres"] = "sqlite"
    url_env: str = Field(
        default="INFLUENCE_REPLIES",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="environment variable with the URL, postgresql://user:password@host/database",
    )


class StepResources(_Part):
    """What one step asks of the Ray cluster."""

    num_cpus: float | None = Field(default=None, ge=0)
    num_gpus: float | None = Field(default=None, ge=0)
    memory: int | None = Field(default=None, ge=0, description="bytes")
    resources: dict[str, float] = Field(default_factory=dict, description="custom resources of Ray, by name")


class ExecutorSettings(_Part):
    """Who runs the steps: the run's own process, `workers` processes of this machine that stay for the run, or a Ray
    cluster, each step as a job of its own."""

    kind: Literal["in_process", "processes", "ray"] = "in_process"
    workers: int = Field(default=2, ge=1, le=64, description="steps at once, for kind: processes")
    address: str | None = Field(
        default=None, description="Ray's job server; RAY_ADDRESS, else http://127.0.0.1:8265, when absent"
    )
    retries: int = Field(default=2, ge=0, le=20, description="how often a step that lost its worker is tried again")
    steps: dict[str, StepResources] = Field(
        default_factory=dict, description="what assets ask for, by name or pattern such as checkpoint_*; the first fits"
    )

    @property
    def at_once(self) -> int:
        """Steps of one run that are executed at once on this machine."""
        return self.workers if self.kind == "processes" else 1

    def resources_of(self, asset: str) -> StepResources:
        """What the step of this asset asks for: one core where nothing is said."""
        fitting: Mapping[str, StepResources] = self.steps
        found = (wanted for pattern, wanted in fitting.items() if fnmatchcase(asset, pattern))
        return next(found, StepResources(num_cpus=1))


def step_tags(executor: ExecutorSettings, asset: str) -> dict[str, str]:
    """The tags of an asset's step that tell Ray what it needs; none where Ray does not run it."""
    if executor.kind != "ray":
        return {}
    wanted = executor.resources_of(asset).model_dump(exclude_none=True, exclude_defaults=True)
    return {"dagster-ray/config": json.dumps(wanted, sort_keys=True)}


def from_environment(variable: str, field: str) -> str:
    """The value of a variable that a setting names; an `InputError` when there is none."""
    found = os.environ.get(variable, "")
    if not found:
        raise InputError(
            "the environment has no such variable",
            place="data/study.yaml",
            field=field,
            value=variable,
            fix=f"export {variable}=... in every process that opens the project",
        )
    return found
