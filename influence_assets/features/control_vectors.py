"""Control vectors as llama.cpp and repeng keep them: a GGUF file with one vector per layer.

The architecture is `controlvector`, the tensor `direction.<layer>` (float32) is added to what decoder block `<layer>`
puts out, blocks counted from 0 as everywhere here. llama.cpp has no place for block 0, so that the first tensor that
can be is `direction.1`. Vectors are exported at length 1: `--control-vector-scaled FILE x` with x = coefficient * scale
then adds what this project adds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from influence_assets.features.direction_contrast import Found
from influence_assets.features.found_directions import Stream, direction_of
from resources.direction_files import Direction, checked_vector
from resources.durable import move, scratch, sync
from resources.errors import InputError, one_line

if TYPE_CHECKING:
    from gguf import GGUFReader

Float32s = NDArray[np.float32]

ARCHITECTURE = "controlvector"
METHOD = "imported"
_NAME = re.compile(r"direction\.([1-9][0-9]{0,5})")
# A float32 vector of length 1 is this near to 1; scaling it again would change its bits.
_UNIT_SLACK = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class ControlVectors:
    """The vectors by layer (from 1 on), and the model type that the file was made for, such as `llama`."""

    model_type: str
    vectors: Mapping[int, Float32s]


def export_directions(directions: Sequence[Direction], path: Path, model_type: str) -> None:
    """Write directions of different layers of one model into one GGUF file, as float32.

    Raises `InputError` when there is none, two are of one layer or of two models, or one is of layer 0.
    """
    if not directions:
        raise InputError("there is no direction to export", place=path, fix="materialize the directions first")
    vectors: dict[int, Float32s] = {}
    first = directions[0].origin
    for direction in directions:
        origin = direction.origin
        if (origin.model, origin.iteration) != (first.model, first.iteration):
            raise InputError(
                f"directions of two checkpoints, {first.model} {first.iteration} and {origin.model} {origin.iteration}",
                place=path,
                fix="export each into its own file",
            )
        if origin.layer in vectors:
            raise InputError(
                "two directions are of one layer, and a control vector has one per layer",
                place=path,
                field="layer",
                value=origin.layer,
                fix="export each into its own file",
            )
        vectors[origin.layer] = direction.vector_D.astype(np.float32)
    write_control_vectors(ControlVectors(model_type, vectors), path)


def import_directions(
    path: Path, streams: Mapping[int, Stream], *, model: str, iteration: int, factor: str, category: str
) -> list[Direction]:
    """The control vectors of a file as directions of length 1, by layer; vectors of zeros are left out.

    `streams` holds every layer of the model. A file with a layer or a width that the model does not have is an
    `InputError`.
    """
    result = []
    for layer, vector_D in sorted(read_control_vectors(path).vectors.items()):
        if layer not in streams:
            raise InputError(
                f"the model has no layer {layer}",
                place=path,
                field=f"direction.{layer}",
                fix=f"use a control vector of this model; its layers are {sorted(streams)}",
            )
        stream = streams[layer]
        if len(vector_D) != stream.width:
            raise InputError(
                f"the vector is {len(vector_D)} wide, the model {stream.width}",
                place=path,
                field=f"direction.{layer}",
                fix="use a control vector of this model",
            )
        norm = float(np.linalg.norm(vector_D.astype(np.float64)))
        if norm > 0:
            length = 1.0 if abs(norm - 1) <= _UNIT_SLACK else norm
            found = Found(vector_D.astype(np.float64) / length, norm, layer)
            result.append(
                direction_of(
                    found, stream, model=model, iteration=iteration, factor=factor, category=category, method=METHOD
                )
            )
    return result


def write_control_vectors(control: ControlVectors, path: Path) -> None:
    """Write a GGUF file, whole or not at all. The same vectors give the same bytes."""
    _check(control, path)
    from gguf import GGUFWriter

    path.parent.mkdir(parents=True, exist_ok=True)
    beside = scratch(path.parent, ".part")
    writer = GGUFWriter(beside, ARCHITECTURE)
    try:
        writer.add_string(f"{ARCHITECTURE}.model_hint", control.model_type)
        writer.add_int32(f"{ARCHITECTURE}.layer_count", len(control.vectors))
        for layer in sorted(control.vectors):
            writer.add_tensor(f"direction.{layer}", control.vectors[layer])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        sync(beside)
        move(beside, path)
    finally:
        writer.close()
        beside.unlink(missing_ok=True)


def read_control_vectors(path: Path) -> ControlVectors:
    """Read a GGUF file of control vectors. Raises `InputError` for anything else, also for a cut or damaged file."""
    reader = _opened(path)
    architecture, model_type = (_text(reader, path, f) for f in ("general.architecture", f"{ARCHITECTURE}.model_hint"))
    if architecture != ARCHITECTURE:
        raise InputError(
            "the file holds no control vectors",
            place=path,
            field="general.architecture",
            value=architecture,
            fix=f"give a GGUF file whose architecture is {ARCHITECTURE}",
        )
    vectors: dict[int, Float32s] = {}
    for tensor in reader.tensors:
        name = _NAME.fullmatch(tensor.name)
        if name is None or tensor.data.ndim != 1 or tensor.tensor_type.name != "F32":
            raise InputError(
                f"{tensor.tensor_type.name} of shape {list(reversed(tensor.shape.tolist()))} is no control vector",
                place=path,
                field=one_line(tensor.name),
                fix="name each tensor direction.<layer>, layers from 1, one dimension of F32",
            )
        vectors[int(name.group(1))] = np.array(tensor.data, dtype=np.float32)
    control = ControlVectors(model_type, vectors)
    _check(control, path)
    return control


def _opened(path: Path) -> GGUFReader:
    from gguf import GGUFReader
    from numpy.typing import DTypeLike

    class BoundedReader(GGUFReader):
        """The package's reader takes what lies past the end as empty, and would count to 2^64 over nothing."""

        def _get(
            self, offset: int, dtype: DTypeLike, count: int = 1, override_order: Literal["I", "S", "<"] | None = None
        ) -> NDArray[Any]:
            end = int(offset) + int(count) * np.dtype(dtype).itemsize
            if not 0 <= int(offset) <= end <= len(self.data):
                raise ValueError(f"it ends at byte {len(self.data)}, but says that something lies at {offset} to {end}")
            return super()._get(int(offset), dtype, int(count), override_order)

    try:
        with np.errstate(over="ignore"):
            return BoundedReader(path)
    except (OSError, ValueError, KeyError, IndexError, OverflowError, RecursionError, TypeError) as error:
        raise InputError(
            "the file cannot be read as GGUF", place=path, value=str(error), fix="fetch or export it again"
        ) from error


def _text(reader: GGUFReader, path: Path, name: str) -> str:
    found = reader.get_field(name)
    try:
        value = None if found is None else found.contents()
    except ValueError as error:
        raise InputError("is no UTF-8 text", place=path, field=name, value=str(error), fix="export it again") from error
    if not isinstance(value, str):
        raise InputError("a text is missing", place=path, field=name, value=value, fix="export it again")
    return value


def _check(control: ControlVectors, path: Path) -> None:
    if not control.model_type or not control.vectors:
        raise InputError(
            "a model type and at least one vector are needed",
            place=path,
            value=(control.model_type, len(control.vectors)),
            fix="give the model type of the config, such as llama",
        )
    widths = {layer: vector_D.size for layer, vector_D in control.vectors.items()}
    for layer, vector_D in control.vectors.items():
        checked_vector(vector_D, f"{path}: direction.{layer}")
        if vector_D.size != min(widths.values()):
            raise InputError(
                f"the vectors are {min(widths.values())} and {vector_D.size} wide",
                place=path,
                field=f"direction.{layer}",
                fix="use directions of one model",
            )
    if min(control.vectors) < 1:
        raise InputError(
            "llama.cpp has no control vector at the first block",
            place=path,
            field="layer",
            value=min(control.vectors),
            fix="export a direction of layer 1 or later",
        )
