"""What is partitioned, and by which file.

`models` has one partition per entry of `data/models.yaml`; `frameworks` one per file of `data/frameworks/` and per
imported benchmark; `families` one per folder of `data/environments/`. A new entry appears when the code location is
reloaded. Every per-model asset shares the one definition, since one Dagster run cannot mix definitions.
"""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from influence_assets.personas.frameworks import IMPORT_PREFIX, framework_files
from influence_assets.project import Project, find_root
from resources.errors import InputError
from resources.keys import key_problem


def framework_keys(data: Path) -> list[str]:
    """Slugs of all frameworks: file stems of `data/frameworks/*.yaml`, then folders of `data/imports/`.

    Raises `InputError` for a name that cannot be a partition key, as `family_keys` does.
    """
    own = list(framework_files(data / "frameworks"))
    imported = sorted(path.name for path in (data / "imports").glob(f"{IMPORT_PREFIX}*") if path.is_dir())
    return own + imported


def family_keys(data: Path) -> list[str]:
    """Environment families: folders of `data/environments/` that hold a `family.yaml`."""
    folders = sorted(path.parent for path in (data / "environments").glob("*/family.yaml"))
    for folder in folders:
        if problem := key_problem(folder.name):
            raise InputError(f"the folder's name {problem}", place=folder, value=folder.name, fix="rename the folder")
    return [folder.name for folder in folders]


PROJECT = Project(find_root())

MODELS = dg.StaticPartitionsDefinition([entry.name for entry in PROJECT.registry.models])
FAMILIES = dg.StaticPartitionsDefinition(family_keys(PROJECT.data))
FRAMEWORKS = dg.StaticPartitionsDefinition(framework_keys(PROJECT.data))


def dimension_of(partitions: dg.PartitionsDefinition[str]) -> str:
    """The partition column that a definition's keys are values of: model, framework or family.

    By identity: definitions with the same keys are equal, as a model and a family of one name make them.
    """
    return "model" if partitions is MODELS else "family" if partitions is FAMILIES else "framework"
