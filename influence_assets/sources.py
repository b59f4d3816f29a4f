"""What people edit, as assets that are observed and never made: files and entries, each with a hash of its content.

An edit is a new data version, and whatever was made from the old one is stale. Which assets stand on which source is
read off the assets themselves: off the files that they read and the models that they ask (`source_of`, `steps.py`).
"""

# No `from __future__ import annotations` here: Dagster reads the annotations of its functions as they are.

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import file_digest
from pathlib import Path

import dagster as dg

from influence_assets.partitions import FAMILIES, FRAMEWORKS, MODELS
from influence_assets.personas.sources import source_path
from influence_assets.project import Project, ProjectResource
from resources.content import sha256_of
from resources.registry import ModelEntry, ProviderName

GROUP = "sources"
VERSION_TAG = "dagster/data_version"

Versions = dict[str, str]
"""Content hashes by partition key; the key is empty where a source has no partitions."""


@dataclass(frozen=True)
class Source:
    """One kind of thing that people edit."""

    name: str
    about: str
    partitions: dg.PartitionsDefinition[str] | None
    versions: Callable[[Project], Versions]

    @property
    def key(self) -> dg.AssetKey:
        return dg.AssetKey([GROUP, self.name])


def family_files(data: Path, name: str) -> list[Path]:
    """Every file of a family of environments."""
    folder = data / "environments" / name
    return sorted([*folder.glob("*.yaml"), *folder.glob("*.jsonl")])


def judge_files(data: Path) -> list[Path]:
    """Every rubric; which of them are used, the study and the environments say."""
    return sorted((data / "judges").glob("*.yaml"))


_folders: dict[str, "Source"] = {}
"""Sources for other folders of `data/` that assets read files of; found as assets are made."""

_other_files: set[str] = set()
"""Files that assets read outside of those folders, relative to the project."""


def _families(project: Project) -> Versions:
    return {key: _hash_of(family_files(project.data, key), project) for key in FAMILIES.get_partition_keys()}


def _frameworks(project: Project) -> Versions:
    paths = {key: source_path(project.data, key) for key in FRAMEWORKS.get_partition_keys()}
    return {key: _hash_of([path], project) for key, path in paths.items() if path.is_file()}


def _others(project: Project) -> Versions:
    return {"": _hash_of([project.root / name for name in _other_files], project)}


def _folder(name: str) -> "Source":
    about = f"{_ABOUT.get(name, 'Files that assets read')}: the files of `data/{name}/`."
    versions = lambda project: {"": _hash_of((project.data / name).rglob("*"), project)}  # noqa: E731
    return Source(name, about, None, versions)


_ABOUT = {
    "judges": "Rubrics by which stored conversations are judged",
    "backgrounds": "What a person's background may be, in words",
    "trait_items": "Items of trait tests",
    "side_effects": "Questions that show what steering does beside its aim",
    "neutral": "Texts that have nothing to do with any trait",
    "imports": "Data sets that people brought in",
}


def _hash_of(paths: Iterable[Path], project: Project) -> str:
    """Over the files among the paths, by their place in the project and their content."""
    files = {os.path.relpath(path, project.root): path for path in paths if path.is_file()}
    return sha256_of({name: _content(path, path.stat().st_mtime_ns) for name, path in files.items()})


@lru_cache(maxsize=10_000)
def _content(path: Path, changed_ns: int) -> str:
    """A file's hash, remembered while it looks untouched: the sensor looks several times a minute."""
    del changed_ns
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _models(project: Project) -> Versions:
    return {entry.name: _answering(entry, project.root) for entry in _entries(project)}


def _answering(entry: ModelEntry, root: Path) -> str:
    """Names the weights that answer. A model of the hub is known by its name: looking must not download it."""
    from resources.models import identity_of

    if entry.provider is ProviderName.LOCAL and not (root / Path(entry.model).expanduser()).is_dir():
        return sha256_of([entry.model, entry.revision, entry.dtype])
    return sha256_of(identity_of(entry, root))


def _field(name: str) -> Callable[[Project], Versions]:
    return lambda project: {e.name: sha256_of(e.model_dump(mode="json")[name]) for e in _entries(project)}


def _entries(project: Project) -> list[ModelEntry]:
    """Entries that are partitions; a new one becomes one when the code location is reloaded."""
    known = MODELS.get_partition_keys()
    return [entry for entry in project.registry.models if entry.name in known]


ENVIRONMENT_FILES = Source(
    "environment_files",
    "Environments and their initial states, as people write them: the folders of `data/environments/`.",
    FAMILIES,
    _families,
)
FRAMEWORK_FILES = Source(
    "framework_files",
    "Persona frameworks, as people write or import them: `data/frameworks/` and `data/imports/`.",
    FRAMEWORKS,
    _frameworks,
)
OTHER_FILES = Source(
    "other_files", "Files that the study names: probe sets and preference data, wherever they lie.", None, _others
)
ANSWERING_MODELS = Source(
    "models",
    "Which weights answer for each entry of `data/models.yaml`. What only sets the pace (`max_concurrency`, `price`) "
    "is no part of the version.",
    MODELS,
    _models,
)
ENTRY_FIELDS: Mapping[str, Source] = {
    "trainable": Source(
        "training_settings",
        "What `data/models.yaml` says of how each model is trained (`trainable`).",
        MODELS,
        _field("trainable"),
    ),
    "sae": Source(
        "sae_choice", "Which sparse autoencoder `data/models.yaml` names for each model (`sae`).", MODELS, _field("sae")
    ),
}
"""Sources for single fields of a model's entry, for assets that depend on them."""


def sources() -> tuple[Source, ...]:
    """Every source that an asset stands on; complete once all assets are made."""
    folders = [_folders[name] for name in sorted(_folders)]
    always = (ENVIRONMENT_FILES, FRAMEWORK_FILES, *folders, ANSWERING_MODELS, *ENTRY_FIELDS.values())
    return (*always, OTHER_FILES) if _other_files else always


def source_of(path: Path, project: Project) -> tuple[Source, str]:
    """The source that a file belongs to, and its partition there (empty where there are none)."""
    parts = path.relative_to(project.data).parts if path.is_relative_to(project.data) else ()
    if parts[:1] == ("environments",) and len(parts) == 3:
        return ENVIRONMENT_FILES, parts[1]
    if parts[:1] == ("frameworks",):
        return FRAMEWORK_FILES, path.stem
    if parts[:1] == ("imports",) and len(parts) == 3 and parts[1] in FRAMEWORKS.get_partition_keys():
        return FRAMEWORK_FILES, parts[1]
    if len(parts) > 1:
        return _folders.setdefault(parts[0], _folder(parts[0])), ""
    _other_files.add(str(path.relative_to(project.root) if path.is_relative_to(project.root) else path))
    return OTHER_FILES, ""


def observed_versions(project: Project) -> dict[str, Versions]:
    """Content hashes of everything that people edit, by the name of the source; raises `InputError` for bad files."""
    return {source.name: source.versions(project) for source in sources()}


def observations(now: Mapping[str, Versions], before: Mapping[str, Versions]) -> list[dg.AssetObservation]:
    """One observation for each hash that is not what it was."""
    by_name = {source.name: source for source in sources()}
    return [
        dg.AssetObservation(asset_key=by_name[name].key, partition=partition or None, tags={VERSION_TAG: version})
        for name, versions in now.items()
        for partition, version in versions.items()
        if before.get(name, {}).get(partition) != version
    ]


def observed_asset(source: Source) -> dg.SourceAsset:
    """The asset that Dagster shows for a source, with an *Observe* button; a sensor presses it (`watching.py`)."""

    @dg.observable_source_asset(
        key=source.key,
        group_name=GROUP,
        description=f"{source.about} An edit makes what was made from it stale.",
        partitions_def=source.partitions,
        tags={"dagster/kind/yaml": ""},
    )
    def observe(project: ProjectResource):  # type: ignore[no-untyped-def]
        versions = source.versions(project.open())
        return dg.DataVersionsByPartition(versions) if source.partitions else dg.DataVersion(versions[""])

    return observe
