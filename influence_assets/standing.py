"""What the rows of one partition stand on, without Dagster: what is read, who is asked, and what lies in the warehouse.

A partition is fresh when its rows were made from exactly the inputs that there are now. A run asks that before it
computes (`step.py`), and the automation asks it to find out what must run (`freshness.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from influence_assets.project import Project
from influence_assets.slices import Slice
from influence_assets.study import Study
from resources.content import Json, sha256_of, sha256_of_files
from resources.errors import InputError
from resources.pointers import Pointer


@dataclass(frozen=True)
class Standing:
    """One partition of one asset. `partition` is the key of the model, the framework or the family (`dimension`)."""

    project: Project
    asset: str
    partition: str
    dimension: str
    reads: tuple[Slice, ...]
    writes: tuple[Slice, ...]

    @property
    def study(self) -> Study:
        return self.project.study

    def upstream(self) -> dict[str, str]:
        """Data version of every partition that is read, by `table partition`; a missing one is an `InputError`."""
        versions = {}
        for one in self.reads:
            for partition in self.partitions_of(one):
                pointer = self.project.pointer(one.table, partition)
                if pointer is None:
                    raise InputError(
                        "has not been materialized yet",
                        place=one.table.name,
                        field=", ".join(f"{column}={value}" for column, value in partition.items()),
                        fix="materialize it first (select the asset with everything upstream of it)",
                    )
                versions[f"{one.table.name} {'/'.join(partition.values())}"] = pointer.data_version
        return versions

    def inputs(self, version: str, asked: Sequence[str], files: Sequence[Path], entry_fields: Sequence[str]) -> str:
        """Hash of all that the rows depend on: code, settings, upstream rows, files, which models answer, and fields of
        the model's own entry in `data/models.yaml`."""
        models: dict[str, Json] = {name: self.project.identity(name) for name in sorted(set(asked))}
        parts: list[Json] = [
            self.asset,
            self.partition,
            version,
            self.study.seed,
            self.upstream(),
            models,
            sha256_of_files(files),
        ]
        if entry_fields:
            entry = self.project.registry[self.partition].model_dump(mode="json")
            parts.append({name: entry[name] for name in entry_fields})
        return sha256_of(parts)

    def landed_from(self, inputs: str) -> bool:
        """Whether every table of this asset holds rows that were made from exactly these inputs."""
        pointers = [pointer for _, pointer in self.pointers()]
        return all(pointer is not None and pointer.provenance.inputs == inputs for pointer in pointers)

    def data_version(self) -> str:
        """One content hash over all tables that this asset wrote."""
        return sha256_of([pointer.data_version if pointer else "" for _, pointer in self.pointers()])

    def pointers(self) -> list[tuple[Slice, Pointer | None]]:
        """What lies in the warehouse of every slice that this asset writes."""
        return [(one, self.project.pointer(one.table, one.partition(self.partition))) for one in self.writes]

    def partitions_of(self, one: Slice) -> list[dict[str, str]]:
        """The partitions of a slice that this partition reads, as values of the table's partition columns."""
        if self.dimension == "model" and "framework" in one.table.partition:
            return [{"framework": slug} for slug in self.study.personas.frameworks]
        if self.dimension == "model" and "family" in one.table.partition:
            return [{"family": name} for name in self.study.influence.families]
        return [one.partition(self.partition)]
