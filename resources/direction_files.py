"""One direction, one file: a unit vector in safetensors with everything that is needed to use it.

A file is there whole or not at all, equal directions have equal bytes, and reading is strict: what is missing, of the
wrong width, not finite or changed by hand is an `InputError` that names the file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from resources.content import canonical, sha256_of
from resources.durable import write_whole
from resources.errors import InputError

Float64s = NDArray[np.float64]

SUFFIX = ".safetensors"
_TENSOR, _READ, _NUMBERS = "vector", "reading", "reading_bias_threshold"
_HEADER = "direction"
_UNIT_TOLERANCE = 1e-6
_LAYOUTS = ({_TENSOR}, {_TENSOR, _READ, _NUMBERS})


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
class Reading:
    """What an SAE reads for one latent: z = w.h + bias, and z where it exceeds `threshold`, else 0."""

    weight_D: Float64s
    bias: float
    threshold: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Direction:
    """An origin with its unit vector (float64). `place` is named in errors.

    `reading` is what clamping and capping measure, for a latent of an SAE; without it that is the projection.
    """

    origin: Origin
    vector_D: Float64s
    place: str = ""
    reading: Reading | None = None

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
        """Hash of the vector's bytes (little-endian float64), and of the reading's where there is one."""
        content = self.vector_D.astype("<f8").tobytes()
        if self.reading is not None:
            numbers = np.array([self.reading.bias, self.reading.threshold])
            content += self.reading.weight_D.astype("<f8").tobytes() + numbers.astype("<f8").tobytes()
        return hashlib.sha256(content).hexdigest()


def write_direction(direction: Direction, folder: Path) -> Path:
    """Write `<direction_id>.safetensors` into the folder, whole or not at all; returns its path."""
    from safetensors.numpy import save

    header = {**direction.origin.model_dump(mode="json"), "sha256": direction.sha256}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{direction.direction_id}{SUFFIX}"
    # One key: safetensors writes several in an order that changes from run to run.
    tensors = {_TENSOR: direction.vector_D.astype("<f8")}
    if direction.reading is not None:
        numbers = np.array([direction.reading.bias, direction.reading.threshold])
        tensors |= {_READ: direction.reading.weight_D.astype("<f8"), _NUMBERS: numbers.astype("<f8")}
    content = save(tensors, metadata={_HEADER: canonical(header).decode()})
    write_whole(path, content, folder)
    return path


def read_direction(path: Path, width: int | None = None) -> Direction:
    """Read a direction, of a given width where one is given. Raises `InputError`; see the module."""
    tensors, text = _opened(path)
    stored, vector_D = _header(path, text), tensors[_TENSOR]
    origin = Origin.model_validate(stored.model_dump(exclude={"sha256"}))
    direction = Direction(origin, vector_D, str(path), _reading(path, tensors))
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


def _opened(path: Path) -> tuple[dict[str, Float64s], str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            metadata, names = file.metadata() or {}, sorted(file.keys())
            tensors = {name: file.get_tensor(name) for name in names} if set(names) in _LAYOUTS else {}
    except (SafetensorError, OSError) as error:
        raise InputError(
            "the file cannot be read as safetensors", place=path, value=str(error), fix="write it with this project"
        ) from error
    if not tensors:
        raise InputError(
            "there must be one tensor, `vector`, and at most its reading",
            place=path,
            value=names,
            fix="write it with this project",
        )
    for name, tensor in tensors.items():
        if tensor.dtype != np.float64:
            raise InputError(
                "the vector is not float64", place=path, field=name, value=str(tensor.dtype), fix="store it as float64"
            )
    if _HEADER not in metadata:
        raise InputError(
            "the metadata do not say what it is a direction of",
            place=path,
            field=_HEADER,
            value=sorted(metadata),
            fix="write it with this project, or import a control vector (GGUF)",
        )
    return tensors, metadata[_HEADER]


def _reading(path: Path, tensors: dict[str, Float64s]) -> Reading | None:
    if _READ not in tensors:
        return None
    weight_D, numbers = tensors[_READ], tensors[_NUMBERS]
    if weight_D.shape != tensors[_TENSOR].shape or numbers.shape != (2,):
        raise InputError(
            f"the reading's shapes {list(weight_D.shape)} and {list(numbers.shape)} do not fit the vector's",
            place=path,
            field=_READ,
            fix="materialize the directions again",
        )
    checked_vector(weight_D, str(path))
    checked_vector(numbers, str(path))
    return Reading(weight_D, float(numbers[0]), float(numbers[1]))


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
