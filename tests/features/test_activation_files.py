"""Files of activations: named by what they depend on, computed once, and refused when damaged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from influence_assets.features.activation_files import kept_activations, read_activations
from influence_assets.features.activations import Span, activations
from influence_assets.features.pooling import Pooling
from resources.errors import InputError
from resources.local.blocks import blocks
from resources.local.opened import OpenModel
from tests.features.tiny_open import tiny_open

SPANS = [Span((3, 4, 5)), Span((6, 7), 1), Span((8,))]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenModel]:
    with tiny_open(tmp_path_factory.mktemp("models")) as found:
        yield found


@pytest.fixture
def passes(model: OpenModel) -> Iterator[list[int]]:
    """Grows with every pass through the first block."""
    seen: list[int] = []
    hook = blocks(model.model)[0].module.register_forward_hook(lambda *_: seen.append(1))
    yield seen
    hook.remove()


@pytest.mark.parametrize("pooling", list(Pooling))
def test_a_file_holds_what_was_computed(model: OpenModel, tmp_path: Path, pooling: Pooling) -> None:
    wanted = activations(model, SPANS, [0, 1], pooling)
    kept = kept_activations(model, tmp_path, "w", SPANS, [0, 1], pooling)
    assert [one.layer for one in kept] == [0, 1]
    for one in kept:
        found = read_activations(tmp_path / one.path)
        np.testing.assert_array_equal(found.acts_N_D, wanted[one.layer].acts_N_D)
        np.testing.assert_array_equal(found.offsets, wanted[one.layer].offsets)
        assert found.scale == one.scale == wanted[one.layer].scale
        assert (one.n, one.width) == found.acts_N_D.shape == (len(found.acts_N_D), model.width)


def test_only_what_is_missing_is_computed(model: OpenModel, tmp_path: Path, passes: list[int]) -> None:
    first = kept_activations(model, tmp_path, "w", SPANS, [0], Pooling.LAST)
    assert passes
    passes.clear()
    assert kept_activations(model, tmp_path, "w", SPANS, [0], Pooling.LAST) == first
    assert not passes
    both = kept_activations(model, tmp_path, "w", SPANS, [0, 1], Pooling.LAST)
    assert both[0] == first[0]
    assert passes


def test_whatever_it_depends_on_names_another_file(model: OpenModel, tmp_path: Path) -> None:
    cases = [
        ("w", SPANS, Pooling.LAST),
        ("other weights", SPANS, Pooling.LAST),
        ("w", SPANS[:2], Pooling.LAST),
        ("w", [Span((3, 4, 5), 1), *SPANS[1:]], Pooling.LAST),
        ("w", SPANS, Pooling.MEAN),
    ]
    paths = [kept_activations(model, tmp_path, w, spans, [0], pooling)[0].path for w, spans, pooling in cases]
    assert len(set(paths)) == len(cases)


@pytest.mark.parametrize("damage", ["cut", "noise", "empty", "gone"])
def test_a_damaged_file_is_named_with_the_way_out(model: OpenModel, tmp_path: Path, damage: str) -> None:
    (kept,) = kept_activations(model, tmp_path, "w", SPANS, [0], Pooling.LAST)
    path = tmp_path / kept.path
    content = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes({"cut": content[:-5], "noise": b"x" * len(content), "empty": b""}[damage])
    with pytest.raises(InputError) as caught:
        read_activations(path)
    text = str(caught.value)
    assert "\n" not in text
    assert str(path) in text
    assert "remove it and materialize" in text
    if damage != "gone":
        with pytest.raises(InputError, match="readable"):
            kept_activations(model, tmp_path, "w", SPANS, [0], Pooling.LAST)
