"""What holds for every method: swapping, moving and turning the activations, unit length, the same bits again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import special_ortho_group

from influence_assets.features.direction_contrast import Contrast, Sides
from tests.features.direction_world import METHODS, WIDTH, contrast_at, latents_of

seeds = st.integers(0, 10_000)
every_method = pytest.mark.parametrize("method", METHODS)
of_texts = pytest.mark.parametrize("method", [name for name in METHODS if name != "random"])
of_differences = pytest.mark.parametrize("method", [name for name in METHODS if not name.startswith("sae_")])


def mapped(contrast: Contrast, change: Callable[[Sides], Sides]) -> Contrast:
    by_layer = {layer: change(sides) for layer, sides in contrast.by_layer.items()}
    return replace(contrast, sides=change(contrast.sides), by_layer=by_layer)


def vectors(method: str, contrast: Contrast) -> np.ndarray:
    return np.array([found.vector_D for found in METHODS[method].find(contrast)])


@every_method
@given(seed=seeds)
@settings(max_examples=5, deadline=None)
def test_unit_length_and_the_same_bits_again(method: str, seed: int) -> None:
    found = METHODS[method].find(contrast_at(seed))
    for one, again in zip(found, METHODS[method].find(contrast_at(seed)), strict=True):
        assert one.vector_D.dtype == np.float64
        assert np.linalg.norm(one.vector_D) == pytest.approx(1, abs=1e-12)
        assert one.norm > 0
        assert one.vector_D.tobytes() == again.vector_D.tobytes()
    assert [one.index for one in found] == list(range(len(found)))


@of_texts
@given(seed=seeds)
@settings(max_examples=5, deadline=None)
def test_swapping_the_sides_turns_the_direction_around(method: str, seed: int) -> None:
    contrast = contrast_at(seed)
    swapped = mapped(contrast, lambda sides: Sides(sides.negative_M_D, sides.positive_N_D))
    assert contrast.sae is not None
    swapped = replace(swapped, sae=latents_of(swapped.sides, contrast.sae.decoder_F_D))
    np.testing.assert_allclose(vectors(method, swapped), -vectors(method, contrast), atol=1e-6)


@of_texts
@given(seed=seeds, extra=st.integers(1, 6))
@settings(max_examples=5, deadline=None)
def test_swapping_sides_of_unequal_size(method: str, seed: int, extra: int) -> None:
    contrast = contrast_at(seed)
    if METHODS[method].paired:
        return
    rng = np.random.default_rng(seed)

    def longer(sides: Sides) -> Sides:
        more = rng.standard_normal((extra, WIDTH))
        return Sides(sides.positive_N_D, np.concatenate([sides.negative_M_D, more]))

    assert contrast.sae is not None
    decoder = contrast.sae.decoder_F_D
    contrast = replace(contrast, paired=False)
    uneven = mapped(contrast, longer)
    uneven = replace(uneven, sae=latents_of(uneven.sides, decoder))
    swapped = mapped(uneven, lambda sides: Sides(sides.negative_M_D, sides.positive_N_D))
    swapped = replace(swapped, sae=latents_of(swapped.sides, decoder))
    np.testing.assert_allclose(vectors(method, swapped), -vectors(method, uneven), atol=1e-6)


@of_differences
@given(seed=seeds, size=st.floats(-50, 50))
@settings(max_examples=5, deadline=None)
def test_a_constant_added_to_all_activations_changes_nothing(method: str, seed: int, size: float) -> None:
    contrast = contrast_at(seed)
    constant = size * np.arange(WIDTH)
    moved = mapped(contrast, lambda sides: Sides(sides.positive_N_D + constant, sides.negative_M_D + constant))
    np.testing.assert_allclose(vectors(method, moved), vectors(method, contrast), atol=1e-6)


@of_texts
@given(seed=seeds)
@settings(max_examples=5, deadline=None)
def test_turning_the_space_turns_the_direction(method: str, seed: int) -> None:
    contrast = contrast_at(seed)
    turn = special_ortho_group.rvs(WIDTH, random_state=seed)
    turned = mapped(contrast, lambda sides: Sides(sides.positive_N_D @ turn, sides.negative_M_D @ turn))
    assert contrast.sae is not None
    turned = replace(turned, sae=replace(contrast.sae, decoder_F_D=contrast.sae.decoder_F_D @ turn))
    np.testing.assert_allclose(vectors(method, turned), vectors(method, contrast) @ turn, atol=1e-6)


@of_texts
@given(seed=seeds, factor=st.floats(0.01, 100))
@settings(max_examples=5, deadline=None)
def test_the_unit_of_activations_does_not_matter(method: str, seed: int, factor: float) -> None:
    contrast = contrast_at(seed)
    larger = mapped(contrast, lambda sides: Sides(sides.positive_N_D * factor, sides.negative_M_D * factor))
    np.testing.assert_allclose(vectors(method, larger), vectors(method, contrast), atol=1e-6)
