"""What every asset is made from, known without making it: filled by `@landed`, asked by runs and by the automation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from influence_assets.partitions import dimension_of
from influence_assets.project import Project
from influence_assets.slices import Slice
from influence_assets.standing import Standing

Asks = Callable[[Standing], Sequence[str]]
Files = Callable[[Standing], Sequence[Path]]
SliceKey = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Recipe:
    """Tables, files, models and fields of the model's entry that one asset's rows are made from, and by which code."""

    partitions: dg.PartitionsDefinition[str]
    reads: tuple[Slice, ...]
    writes: tuple[Slice, ...]
    version: str
    asks: Asks | None
    files: Files | None
    entry_fields: tuple[str, ...]

    @property
    def dimension(self) -> str:
        """The partition column that the asset's own partitions are values of."""
        return dimension_of(self.partitions)

    def standing(self, key: dg.AssetKey, partition: str, project: Project) -> Standing:
        """One partition of the asset of that key."""
        return Standing(project, str(key.path[-1]), partition, self.dimension, self.reads, self.writes)

    def inputs(self, standing: Standing) -> str:
        """Hash of all that the partition's rows would be made from now; an `InputError` when some of it is missing."""
        asked = self.asks(standing) if self.asks else ()
        files = self.files(standing) if self.files else ()
        return standing.inputs(self.version, asked, files, self.entry_fields)


RECIPES: dict[dg.AssetKey, Recipe] = {}
WRITERS: dict[SliceKey, tuple[dg.AssetKey, dg.PartitionsDefinition[str]]] = {}


def remember(key: dg.AssetKey, recipe: Recipe) -> None:
    """Make an asset known, so that later ones may read what it writes."""
    RECIPES[key] = recipe
    for one in recipe.writes:
        WRITERS[one.key] = (key, recipe.partitions)
