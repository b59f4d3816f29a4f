"""Directions in files: exact round trips, both formats, and one clear line for every file that is not right."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.numpy import load_file, save_file

from influence_assets.features.control_vectors import (
    ControlVectors,
    export_directions,
    import_directions,
    read_control_vectors,
    write_control_vectors,
)
from influence_assets.features.direction_contrast import Found
from influence_assets.features.found_directions import Stream, direction_of
from resources.direction_files import Direction, Reading, Sign, read_direction, write_direction
from resources.errors import InputError

WIDTH = 8


def stream(layer: int, width: int = WIDTH) -> Stream:
    return Stream(f"model.layers.{layer}", width, 3.5 + layer)


def direction(layer: int = 2, *, seed: int = 0, model: str = "organism", width: int = WIDTH) -> Direction:
    vector = np.random.default_rng(seed).standard_normal(width)
    norm = float(np.linalg.norm(vector))
    return direction_of(
        Found(vector / norm, norm, layer),
        stream(layer, width),
        model=model,
        iteration=0,
        factor="openness",
        category="höch",
        method="probe",
    )


@given(vector=arrays(np.float64, WIDTH, elements=st.floats(-1e3, 1e3)).filter(lambda v: np.linalg.norm(v) > 1e-3))
@settings(max_examples=30, deadline=None)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, vector: np.ndarray) -> None:
    folder = tmp_path_factory.mktemp("directions")
    norm = float(np.linalg.norm(vector))
    written = replace(direction(), vector_D=vector / norm)
    path = write_direction(written, folder)
    read = read_direction(path, WIDTH)
    assert read.origin == written.origin
    assert read.vector_D.tobytes() == written.vector_D.tobytes()
    assert (read.direction_id, read.sha256) == (path.stem, written.sha256)
    first = path.read_bytes()
    write_direction(read, folder)
    assert path.read_bytes() == first
    assert [file.name for file in folder.iterdir()] == [path.name]


def test_the_id_names_the_question_and_the_hash_the_answer() -> None:
    assert direction(seed=0).direction_id == direction(seed=1).direction_id
    assert direction(seed=0).sha256 != direction(seed=1).sha256
    assert direction(layer=2).direction_id != direction(layer=3).direction_id
    assert direction().origin.sign is Sign.CATEGORY


def test_only_unit_vectors_and_positive_scales_are_directions() -> None:
    good = direction()
    with pytest.raises(InputError, match=r"length is not 1 \(got (2|1\.99)"):
        replace(good, vector_D=2 * good.vector_D)
    with pytest.raises(InputError, match=r"vector\[3\]: a number is not finite \(got nan\)"):
        replace(good, vector_D=np.where(np.arange(WIDTH) == 3, np.nan, good.vector_D))
    with pytest.raises(InputError, match=r"one dimension, the model's width \(got \(2, 4\)\)"):
        replace(good, vector_D=good.vector_D.reshape(2, 4))
    with pytest.raises(InputError, match=r"scale: the mean length .* above 0 \(got 0\.0\)"):
        replace(good, origin=good.origin.model_copy(update={"scale": 0.0}))


def rewritten(path: Path, change: Callable[[np.ndarray, str], tuple[np.ndarray, dict[str, str]]]) -> Path:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        text = file.metadata()["direction"]
    vector, metadata = change(load_file(path)["vector"], text)
    save_file({"vector": np.ascontiguousarray(vector)}, path, metadata=metadata)
    return path


WRONG = {
    "changed": (lambda v, t: (v[::-1], {"direction": t}), "sha256: the vector is not the one that was written"),
    "float32": (lambda v, t: (v.astype(np.float32), {"direction": t}), r"not float64 \(got 'float32'\)"),
    "not finite": (lambda v, t: (v * np.nan, {"direction": t}), r"vector\[0\]: a number is not finite"),
    "no metadata": (lambda v, _: (v, {}), "metadata do not say what it is a direction of"),
    "other metadata": (lambda v, _: (v, {"format": "pt"}), r"do not say .* \(got \['format'\]\)"),
    "no layer": (lambda v, t: (v, {"direction": t.replace('"layer":2,', "")}), r"direction\.layer: Field required"),
    "layer as text": (lambda v, t: (v, {"direction": t.replace('"layer":2', '"layer":"2"')}), r"direction\.layer.*'2'"),
    "unknown field": (lambda v, t: (v, {"direction": t.replace("{", '{"x":1,', 1)}), r"direction\.x: Extra inputs"),
    "unknown sign": (
        lambda v, t: (v, {"direction": t.replace('"sign":"category"', '"sign":"up"')}),
        r"direction\.sign",
    ),
    "no JSON": (lambda v, _: (v, {"direction": "{"}), "direction: Invalid JSON"),
    "infinite scale": (lambda v, t: (v, {"direction": t.replace('"scale":5.5', '"scale":1e999')}), r"direction\.scale"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_file_that_is_not_right_says_what(tmp_path: Path, case: str) -> None:
    change, message = WRONG[case]
    path = rewritten(write_direction(direction(), tmp_path), change)
    with pytest.raises(InputError, match=message) as caught:
        read_direction(path)
    assert str(path) in str(caught.value)


def test_another_width_says_both_numbers_and_a_missing_file_says_so(tmp_path: Path) -> None:
    path = write_direction(direction(), tmp_path)
    with pytest.raises(InputError, match=r"the direction is 8 wide, the model 16; use .* this one is of organism"):
        read_direction(path, 16)
    with pytest.raises(InputError, match=r"gone\.safetensors: the file cannot be read"):
        read_direction(tmp_path / "gone.safetensors")
    save_file({"vector": np.ones(3), "more": np.ones(2)}, path)
    with pytest.raises(InputError, match=r"must be one tensor, `vector`.* \(got \['more', 'vector'\]\)"):
        read_direction(path)


finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(
    vectors=st.dictionaries(st.integers(1, 99), arrays(np.float32, WIDTH, elements=finite), min_size=1, max_size=4),
    model_type=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8),
)
@settings(max_examples=30, deadline=None)
def test_control_vectors_round_trip(tmp_path_factory: pytest.TempPathFactory, vectors, model_type: str) -> None:
    path = tmp_path_factory.mktemp("control") / "a.gguf"
    write_control_vectors(ControlVectors(model_type, vectors), path)
    read = read_control_vectors(path)
    assert read.model_type == model_type
    assert {layer: v.tobytes() for layer, v in read.vectors.items()} == {k: v.tobytes() for k, v in vectors.items()}
    first = path.read_bytes()
    write_control_vectors(read, path)
    assert path.read_bytes() == first
    assert [file.name for file in path.parent.iterdir()] == ["a.gguf"]


@given(seed=st.integers(0, 10_000), width=st.sampled_from([1, 3, 8, 128]))
@settings(max_examples=30, deadline=None)
def test_directions_survive_gguf_in_float32(tmp_path_factory: pytest.TempPathFactory, seed: int, width: int) -> None:
    path = tmp_path_factory.mktemp("control") / "a.gguf"
    exported = [direction(layer, seed=seed + layer, width=width) for layer in (3, 1)]
    export_directions(exported, path, "llama")
    streams = {layer: stream(layer, width) for layer in range(5)}
    names = {"factor": "openness", "category": "high"}
    imported = import_directions(path, streams, model="organism", iteration=0, **names)
    assert [one.origin.layer for one in imported] == [1, 3]
    for one in imported:
        (same,) = [other for other in exported if other.origin.layer == one.origin.layer]
        assert one.vector_D.astype(np.float32).tobytes() == same.vector_D.astype(np.float32).tobytes()
        assert one.origin.scale == same.origin.scale
        assert one.origin.hook == f"model.layers.{one.origin.layer}"
    first = path.read_bytes()
    export_directions(imported, path, "llama")
    assert path.read_bytes() == first


def test_vectors_of_other_lengths_are_scaled_and_zeros_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    long = np.array([0, 3, 0, 4], dtype=np.float32)
    write_control_vectors(ControlVectors("llama", {1: long, 2: 0 * long}), path)
    streams = {layer: stream(layer, 4) for layer in (1, 2)}
    (one,) = import_directions(path, streams, model="m", iteration=0, factor="f", category="c")
    np.testing.assert_array_equal(one.vector_D, [0, 0.6, 0, 0.8])
    assert one.origin.norm == 5
    assert one.origin.method == "imported"
    with pytest.raises(InputError, match=r"the model has no layer 1; use .* its layers are \[7\]"):
        import_directions(path, {7: stream(7)}, model="m", iteration=0, factor="f", category="c")
    with pytest.raises(InputError, match="the vector is 4 wide, the model 8"):
        import_directions(path, {1: stream(1)}, model="m", iteration=0, factor="f", category="c")


def test_what_cannot_be_exported_says_why(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    for directions, message in [
        ([], "there is no direction to export"),
        ([direction(1), direction(1, seed=2)], r"layer: two directions are of one layer.*\(got 1\)"),
        ([direction(1), direction(2, model="other")], "two checkpoints, organism 0 and other 0"),
        ([direction(1), direction(2, width=4)], r"the vectors are 4 and 8 wide"),
        ([direction(0)], "no control vector at the first block"),
    ]:
        with pytest.raises(InputError, match=message):
            export_directions(directions, path, "llama")
    with pytest.raises(InputError, match="a model type and at least one vector"):
        export_directions([direction()], path, "")
    assert not list(tmp_path.iterdir())


def other_gguf(path: Path, architecture: str, name: str, tensor: np.ndarray, *, hint: bool = True) -> Path:
    writer = gguf.GGUFWriter(path, architecture)
    if hint:
        writer.add_string("controlvector.model_hint", "llama")
    writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


VECTOR = np.ones(4, dtype=np.float32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("llama", "direction.1", VECTOR), "holds no control vectors .*got 'llama'"),
        (("controlvector", "direction.0", VECTOR), r"'direction\.0': F32 of shape \[4\] is no control vector"),
        (("controlvector", "direction.x", VECTOR), r"'direction\.x'"),
        (("controlvector", "direction.1", VECTOR.astype(np.float16)), r"F16 of shape \[4\]"),
        (("controlvector", "direction.1", VECTOR.reshape(2, 2)), r"F32 of shape \[2, 2\]"),
        (("controlvector", "direction.1", VECTOR * np.inf), r"direction\.1: vector\[0\]: a number is not finite"),
    ],
)
def test_other_gguf_files_are_refused(tmp_path: Path, arguments: tuple[str, str, np.ndarray], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_control_vectors(other_gguf(tmp_path / "a.gguf", *arguments))


def test_a_gguf_file_without_a_model_type_is_refused(tmp_path: Path) -> None:
    path = other_gguf(tmp_path / "a.gguf", "controlvector", "direction.1", VECTOR, hint=False)
    with pytest.raises(InputError, match=r"controlvector\.model_hint: a text is missing"):
        read_control_vectors(path)


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Cut, overwritten, stretched or replaced."""
    kind = rng.randrange(4)
    if kind == 0:
        return content[: rng.randrange(len(content))]
    if kind == 1:
        return rng.randbytes(rng.randrange(200))
    changed = bytearray(content)
    for _ in range(rng.randrange(1, 6)):
        # The first half holds the counts and lengths; huge ones must neither hang nor fill the memory.
        at = rng.randrange(len(changed) // 2)
        size = rng.choice([1, 4, 8])
        changed[at : at + size] = rng.choice([b"\xff" * size, b"\x00" * size, rng.randbytes(size), b"\x09" + b"\0" * 3])
    return bytes(changed)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_files_are_read_or_refused_in_no_time(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    export_directions([direction(1), direction(2)], tmp_path / "good.gguf", "llama")
    kinds = [
        (write_direction(direction(), tmp_path), read_direction),
        (tmp_path / "good.gguf", read_control_vectors),
    ]
    refusals = []
    for good, read in kinds:
        content = good.read_bytes()
        for _ in range(150):
            bad = tmp_path / f"bad{good.suffix}"
            bad.write_bytes(damaged(content, rng))
            try:
                read(bad)
            except InputError as error:
                refusals.append(str(error))
    assert len(refusals) > 200
    assert all(line.startswith(str(tmp_path / "bad")) and "\n" not in line for line in refusals)


def test_an_array_that_claims_to_be_endless_is_refused(tmp_path: Path) -> None:
    import struct

    def text(value: bytes) -> bytes:
        return struct.pack("<Q", len(value)) + value

    endless = text(b"k") + struct.pack("<IIQ", 9, 0, 2**63)  # an array of 2^63 bytes
    nested = text(b"k") + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 5000  # an array in an array in an ...
    for field in (endless, nested):
        path = tmp_path / "a.gguf"
        path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + field)
        with pytest.raises(InputError, match="cannot be read as GGUF"):
            read_control_vectors(path)


def test_what_a_latent_reads_is_kept_with_it(tmp_path: Path) -> None:
    plain = direction()
    weight_D = np.arange(WIDTH, dtype=np.float64)
    read = Direction(plain.origin, plain.vector_D, reading=Reading(weight_D, -0.5, 0.25))
    assert read.sha256 != plain.sha256
    back = read_direction(write_direction(read, tmp_path)).reading
    assert back is not None
    assert (back.bias, back.threshold) == (-0.5, 0.25)
    np.testing.assert_array_equal(back.weight_D, weight_D)
