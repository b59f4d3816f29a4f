"""Which sources an asset stands on: read off its recipe, partition by partition; nobody writes it down twice."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from influence_assets.partitions import MODELS, PROJECT
from influence_assets.recipes import Recipe
from influence_assets.sources import ANSWERING_MODELS, ENTRY_FIELDS, Source, source_of
from influence_assets.standing import Standing
from resources.errors import InputError

Edges = dict[Source, dict[str, set[str]]]
"""By source and its partition: the asset's partitions that stand on it."""


def source_deps(key: dg.AssetKey, recipe: Recipe) -> list[dg.AssetDep]:
    """One dependency per source, with the partitions that belong together."""
    edges: Edges = {}
    for partition in recipe.partitions.get_partition_keys():
        for source, upstream in _sources(recipe, recipe.standing(key, partition, PROJECT)):
            edges.setdefault(source, {}).setdefault(upstream, set()).add(partition)
    return [
        dg.AssetDep(source.key, partition_mapping=_mapping(source, recipe, pairs)) for source, pairs in edges.items()
    ]


def _sources(recipe: Recipe, standing: Standing) -> Iterator[tuple[Source, str]]:
    for name in recipe.entry_fields:
        yield ENTRY_FIELDS[name], standing.partition
    try:
        asked = recipe.asks(standing) if recipe.asks else ()
        files = recipe.files(standing) if recipe.files else ()
    except InputError:
        # The study lacks something, which the run of the asset says; the graph is drawn all the same.
        return
    known = MODELS.get_partition_keys()
    yield from ((ANSWERING_MODELS, name) for name in asked if name in known)
    yield from (source_of(path, standing.project) for path in files)


def _mapping(source: Source, recipe: Recipe, pairs: dict[str, set[str]]) -> dg.PartitionMapping | None:
    if source.partitions is None:
        return None
    if source.partitions == recipe.partitions and all(down == {up} for up, down in pairs.items()):
        return dg.IdentityPartitionMapping()
    known = source.partitions.get_partition_keys()
    return dg.StaticPartitionMapping({up: sorted(down) for up, down in pairs.items() if up in known})
