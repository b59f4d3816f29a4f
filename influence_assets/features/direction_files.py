"""One direction, one file: a unit vector in safetensors with everything that is needed to use it.

A file is there whole or not at all, equal directions have equal bytes, and reading is strict: what is missing, of the
wrong width, not finite or changed by hand is an `InputError` that names the file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from influence_assets.features.direction_contrast import Float64s, Found
from resources.content import canonical, sha256_of
from resources.durable import write_whole
from resources.errors import InputError

SUFFIX = ".safetensors"
_TENSOR = "vector"
_HEADER = "direction"
_UNIT_TOLERANCE = 1e-6


class Sign(StrEnum):
    """`category`: adding the vector moves toward the category, subtracting away from it. `none`: no side is meant."""

    CATEGORY = "category"
    NONE = "none"


class Origin(BaseModel):
    """Where a direction comes from; what stands in a file beside its vector.

    `layer` counts decoder blocks from 0 and `hook` is the block's name in the model: the vector lives in what that
    block puts out. `sae` is empty unless the method used one. `scale` is the mean length of the residual stream there,
    so that a coefficient c adds c * scale * vector. `norm` is the vector's length before it was scaled to 1.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    model: str
    iteration: int
    layer: int
    hook: str
    factor: str
    category: str
    method: str
    index: int
    sae: str
    sign: Sign
    norm: float
    scale: float

    @property
    def direction_id(self) -> str:
        """16 hex digits; the same for the same question asked again, whatever the answer."""
        return sha256_of(
            [
                self.model,
                self.iteration,
                self.layer,
                self.factor,
                self.category,
                self.method,
                self.index,
                self.sae,
            ]
        )[:16]


@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """An origin with its unit vector (float64). `place` is named in errors."""

    origin: Origin
    vector_D: Float64s
    place: str = ""

    def __post_init__(self) -> None:
        checked_vector(self.vector_D, self.place)
        length = float(np.linalg.norm(self.vector_D))
        if abs(length - 1) > _UNIT_TOLERANCE:
            raise InputError(
                "the vector's length is not 1", place=self.place, field=_TENSOR, value=length, fix="scale it to 1"
            )
        if not self.origin.scale > 0:
            raise InputError(
                "the mean length of the residual stream must be above 0",
                place=self.place,
                field="scale",
                value=self.origin.scale,
                fix="measure it on the layer's activations",
            )

    @property
    def direction_id(self) -> str:
        return self.origin.direction_id

    @property
    def sha256(self) -> str:
        """Hash of the vector's bytes (little-endian float64)."""
        return hashlib.sha256(self.vector_D.astype("<f8").tobytes()).hexdigest()


class Stream(NamedTuple):
    """The residual stream after one block: the block's name in the model, the width, and the mean length of a row."""

    hook: str
    width: int
    scale: float


def direction_of(
    found: Found,
    stream: Stream,
    *,
    model: str,
    iteration: int,
    factor: str,
    category: str,
    method: str,
    sae: str = "",
    sign: Sign = Sign.CATEGORY,
) -> Direction:
    """What a method found in the stream of `found.layer`, as a direction that can be written."""
    origin = Origin(
        model=model,
        iteration=iteration,
        layer=found.layer,
        hook=stream.hook,
        factor=factor,
        category=category,
        method=method,
        index=found.index,
        sae=sae,
        sign=sign,
        norm=found.norm,
        scale=float(stream.scale),
    )
    return Direction(origin, found.vector_D)


def write_direction(direction: Direction, folder: Path) -> Path:
    """Write `<direction_id>.safetensors` into the folder, whole or not at all; returns its path."""
    from safetensors.numpy import save

    header = {**direction.origin.model_dump(mode="json"), "sha256": direction.sha256}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{direction.direction_id}{SUFFIX}"
    # One key: safetensors writes several in an order that changes from run to run.
    content = save({_TENSOR: direction.vector_D.astype("<f8")}, metadata={_HEADER: canonical(header).decode()})
    write_whole(path, content, folder)
    return path


def read_direction(path: Path, width: int | None = None) -> Direction:
    """Read a direction, of a given width where one is given. Raises `InputError`; see the module."""
    vector_D, text = _opened(path)
    stored = _header(path, text)
    direction = Direction(Origin.model_validate(stored.model_dump(exclude={"sha256"})), vector_D, str(path))
    if direction.sha256 != stored.sha256:
        raise InputError(
            "the vector is not the one that was written",
            place=path,
            field="sha256",
            value=stored.sha256,
            fix="materialize the directions again",
        )
    if width is not None and len(vector_D) != width:
        raise InputError(
            f"the direction is {len(vector_D)} wide, the model {width}",
            place=path,
            field=_TENSOR,
            fix=f"use a direction of this model; this one is of {stored.model}",
        )
    return direction


class _Stored(Origin):
    sha256: str


def _opened(path: Path) -> tuple[Float64s, str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata, names = file.metadata() or {}, list(file.keys())
            vector = file.get_tensor(_TENSOR) if names == [_TENSOR] else None
    except (SafetensorError, OSError) as error:
        raise InputError(
            "the file cannot be read as safetensors", place=path, value=str(error), fix="write it with this project"
        ) from error
    if vector is None:
        raise InputError(
            "there must be one tensor, `vector`", place=path, value=names, fix="write it with this project"
        )
    if vector.dtype != np.float64:
        raise InputError(
            "the vector is not float64", place=path, field=_TENSOR, value=str(vector.dtype), fix="store it as float64"
        )
    if _HEADER not in metadata:
        raise InputError(
            "the metadata do not say what it is a direction of",
            place=path,
            field=_HEADER,
            value=sorted(metadata),
            fix="write it with this project, or import a control vector (GGUF)",
        )
    return vector, metadata[_HEADER]


def _header(path: Path, text: str) -> _Stored:
    try:
        return _Stored.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            first["msg"],
            place=path,
            field=".".join([_HEADER, *map(str, first["loc"])]),
            value=first["input"] if first["type"] != "missing" else None,
            fix="write it with this project",
        ) from error


def checked_vector(vector_D: NDArray[np.floating], place: str) -> None:
    """Raise `InputError` unless it is one dimension of finite numbers."""
    if vector_D.ndim != 1 or not vector_D.size:
        raise InputError(
            "a direction has one dimension, the model's width",
            place=place,
            field=_TENSOR,
            value=vector_D.shape,
            fix="store one vector per file",
        )
    if not np.isfinite(vector_D).all():
        bad = int((~np.isfinite(vector_D)).argmax())
        raise InputError(
            "a number is not finite",
            place=place,
            field=f"{_TENSOR}[{bad}]",
            value=float(vector_D[bad]),
            fix="materialize the directions again",
        )
