"""Control vectors of llama.cpp and repeng, out of the study's directions and into them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import polars as pl

from influence_assets.features.control_vectors import export_directions, import_directions
from influence_assets.features.direction_tables import DIRECTIONS
from influence_assets.features.found_directions import IMPORTED, Stream
from influence_assets.features.neutral import load_neutral
from influence_assets.features.pooling import Pooling
from influence_assets.project import Project
from resources.direction_files import read_direction, write_direction
from resources.errors import InputError


class Which(NamedTuple):
    """One direction of a study."""

    model: str
    iteration: int
    factor: str
    category: str
    method: str


def export_control_vector(project: Project, file: Path, which: Which) -> float:
    """Write a direction as GGUF; returns its scale, the mean residual norm of its layer.

    Raises `InputError` when there is no such direction, listing what there is, and as `export_directions` does.
    """
    rows = project.warehouse.read(DIRECTIONS, {"model": which.model, "iteration": str(which.iteration)})
    own = rows.filter(
        (pl.col("factor") == which.factor) & (pl.col("category") == which.category) & (pl.col("method") == which.method)
    )
    if own.is_empty():
        there = rows.select("factor", "category", "method").unique(maintain_order=True).head(40).rows()
        known = ", ".join(" ".join(map(str, one)).strip() for one in there)
        raise InputError(
            "no such direction",
            field="factor, category, method",
            value=f"{which.factor} {which.category} {which.method}",
            fix=f"there are: {known or 'none yet; materialize features/directions first'}",
        )
    direction = read_direction(project.root / own["path"][0])
    export_directions([direction], file, _model_type(project, which.model))
    return direction.origin.scale


def import_control_vector(project: Project, file: Path, *, model: str, factor: str, category: str) -> list[Path]:
    """Read a GGUF file's vectors as directions of a model of the study, one per layer; their files.

    The scale of each layer is that of the study's neutral texts. Raises `InputError` for a model that is not local, and
    as `import_directions` does.
    """
    directions = import_directions(
        file, _streams(project, model), model=model, iteration=0, factor=factor, category=category
    )
    return [write_direction(direction, project.root / IMPORTED / file.stem) for direction in directions]


def _streams(project: Project, model: str) -> dict[int, Stream]:
    """Every layer of a model: its block's name, width, and mean residual norm on neutral texts."""
    from influence_assets.features.activations import activations, text_span
    from resources.local.blocks import blocks
    from resources.local.opened import opened

    texts = load_neutral(project.data, project.study.features.steering.neutral)
    with opened(project.registry[model], project.root) as loaded:
        names = [block.name for block in blocks(loaded.model)]
        found = activations(loaded, [text_span(loaded, text) for text in texts], range(len(names)), Pooling.LAST)
        return {layer: Stream(names[layer], loaded.width, one.scale) for layer, one in found.items()}


def _model_type(project: Project, model: str) -> str:
    """The architecture's name in the model's own configuration."""
    from resources.local.weights import model_directory

    directory = model_directory(project.registry[model], project.root)
    return str(json.loads((directory / "config.json").read_text()).get("model_type", "unknown"))
