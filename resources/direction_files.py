"""Direction files: one unit vector of one layer's residual stream each, as safetensors with its description inside.

Tensors: `direction` [width], and for a latent of an SAE `encoder` [width], what it reads. Metadata are strings: the
fields of `Direction` as JSON. A file is data: everything in it is checked before it steers anything.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resources.durable import write_whole
from resources.errors import InputError, one_line

FORMAT = "influence-direction-1"


@dataclass(frozen=True, slots=True)
class Reading:
    """What an SAE reads for one latent: z = w.h + bias, and z where it exceeds `threshold`, else 0."""

    weight_D: NDArray[np.float64]
    bias: float
    threshold: float = 0.0


@dataclass(frozen=True, slots=True)
class Direction:
    """One direction. `vector_D` has norm 1; `norm` is the raw vector's; `scale` the mean residual norm at the layer.

    `layer` counts decoder blocks from 0: the direction lives in the stream after that block. `about` holds further
    words on where it comes from (model, iteration, factor, category, method, ...).
    """

    layer: int
    vector_D: NDArray[np.float64]
    scale: float
    norm: float = 1.0
    about: tuple[tuple[str, str], ...] = ()
    reader: Reading | None = None


def write_direction(path: Path, direction: Direction) -> None:
    """Writes the file, whole or not at all; the same direction gives the same bytes."""
    from safetensors.numpy import save

    tensors = {"direction": np.ascontiguousarray(direction.vector_D, dtype=np.float64)}
    metadata = {
        "format": FORMAT,
        "layer": str(direction.layer),
        "scale": repr(float(direction.scale)),
        "norm": repr(float(direction.norm)),
        "about": json.dumps(dict(direction.about), sort_keys=True),
    }
    if direction.reader is not None:
        tensors["encoder"] = np.ascontiguousarray(direction.reader.weight_D, dtype=np.float64)
        metadata |= {"bias": repr(float(direction.reader.bias)), "threshold": repr(float(direction.reader.threshold))}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, _sorted(save(tensors, metadata)), path.parent)


def read_direction(path: Path) -> Direction:
    """Reads and checks a file. Raises `InputError` for a damaged one, a missing field, numbers that are not finite, or
    a vector whose norm is not 1 (to 1e-5)."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            metadata = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name).astype(np.float64) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise _wrong(path, "", f"not a readable direction file ({one_line(str(error), 120)})") from error
    if metadata.get("format") != FORMAT or "direction" not in tensors:
        raise _wrong(path, "format", "the file holds no direction", metadata.get("format"))
    vector_D = tensors["direction"]
    norm = float(np.linalg.norm(vector_D))
    if vector_D.ndim != 1 or not abs(norm - 1.0) < 1e-5:
        raise _wrong(
            path, "direction", f"a vector of shape {list(vector_D.shape)} and norm {norm:.6g} is no unit vector"
        )
    reader = None
    if "encoder" in tensors:
        encoder_D = tensors["encoder"]
        if encoder_D.shape != vector_D.shape or not np.isfinite(encoder_D).all():
            raise _wrong(path, "encoder", f"its shape {list(encoder_D.shape)} is not the direction's, or not finite")
        reader = Reading(encoder_D, _number(path, metadata, "bias"), _number(path, metadata, "threshold"))
    layer = _number(path, metadata, "layer")
    return Direction(
        layer=int(layer),
        vector_D=vector_D,
        scale=_number(path, metadata, "scale"),
        norm=_number(path, metadata, "norm"),
        about=_about(path, metadata),
        reader=reader,
    )


def _number(path: Path, metadata: dict[str, str], field: str) -> float:
    try:
        number = float(metadata[field])
    except (KeyError, ValueError) as error:
        raise _wrong(path, field, "is no number", metadata.get(field)) from error
    if not math.isfinite(number):
        raise _wrong(path, field, "is not finite", metadata[field])
    return number


def _about(path: Path, metadata: dict[str, str]) -> tuple[tuple[str, str], ...]:
    try:
        about = json.loads(metadata.get("about", "{}"))
    except ValueError as error:
        raise _wrong(path, "about", "is no JSON", metadata.get("about")) from error
    if not isinstance(about, dict):
        raise _wrong(path, "about", "is no JSON object", metadata.get("about"))
    return tuple(sorted((str(name), str(value)) for name, value in about.items()))


def _sorted(content: bytes) -> bytes:
    """safetensors writes metadata in the order of a hash map: the header anew, with sorted keys."""
    size = int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8 : 8 + size]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


def _wrong(path: Path, field: str, problem: str, value: object = None) -> InputError:
    return InputError(
        problem, place=path, field=field, value=value, fix="materialize features/directions again, or import the file"
    )
