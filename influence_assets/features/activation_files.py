"""Activations on disk: one safetensors file per checkpoint, text set and layer, named by all that it depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from resources.content import Json, sha256_of
from resources.durable import write_whole
from resources.errors import InputError

if TYPE_CHECKING:
    from influence_assets.features.activations import Activations, Span
    from influence_assets.features.pooling import Pooling
    from resources.local.opened import OpenModel

FOLDER = Path("data") / "features" / "activations"


@dataclass(frozen=True, slots=True)
class Kept:
    """One file of activations: of which layer, where (relative to the project), how many rows, the mean norm."""

    layer: int
    path: str
    n: int
    width: int
    scale: float


def kept_activations(
    opened: OpenModel, root: Path, weights: Json, spans: Sequence[Span], layers: Sequence[int], pooling: Pooling
) -> list[Kept]:
    """The files of these texts' activations; only what is not there yet is computed.

    `weights` names the checkpoint's weights and adapter. Raises as `activations` does.
    """
    from influence_assets.features.activations import activations

    texts: Json = [[list(span.ids), span.start] for span in spans]
    names = {layer: sha256_of([weights, texts, layer, pooling.value])[:32] for layer in layers}
    paths = {layer: FOLDER / f"{name}.safetensors" for layer, name in names.items()}
    missing = [layer for layer, path in paths.items() if not (root / path).exists()]
    if missing:
        for layer, found in activations(opened, spans, missing, pooling).items():
            _write(root / paths[layer], found)
    kept = []
    for layer, path in paths.items():
        found = read_activations(root / path)
        kept.append(Kept(layer, str(path), len(found.acts_N_D), found.acts_N_D.shape[1], found.scale))
    return kept


def read_activations(path: Path) -> Activations:
    """A file of activations. Raises `InputError` when it is missing or damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    from influence_assets.features.activations import Activations

    try:
        tensors = load_file(path)
        return Activations(tensors["acts"], tensors["offsets"], float(tensors["scale"][0]))
    except (SafetensorError, OSError, KeyError) as error:
        raise InputError(
            f"not a readable file of activations ({type(error).__name__})",
            place=path,
            fix="remove it and materialize features/activations again",
        ) from error


def _write(path: Path, found: Activations) -> None:
    from safetensors.numpy import save

    path.parent.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, NDArray[np.generic]] = {
        "acts": found.acts_N_D,
        "offsets": found.offsets,
        "scale": np.array([found.scale]),
    }
    write_whole(path, save(tensors), path.parent)
