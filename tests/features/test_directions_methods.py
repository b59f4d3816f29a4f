"""What each method is for, and what it says when it cannot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from influence_assets.features.direction_contrast import Contrast, SaeLatents, Sides
from influence_assets.features.direction_method import Reads, all_directions, chosen_directions
from resources.errors import InputError
from tests.features.direction_world import METHODS, WIDTH, contrast_at

AXIS = np.eye(WIDTH)[0]


def along_axis(seed: int, n: int, distance: float, noise: float = 1.0) -> Sides:
    rng = np.random.default_rng(seed)
    positive = noise * rng.standard_normal((n, WIDTH)) + distance * AXIS
    return Sides(positive, noise * rng.standard_normal((n, WIDTH)))


@pytest.mark.parametrize("method", ["difference_in_means", "caa", "persona_vector", "pca_center", "probe"])
def test_a_planted_axis_is_found(method: str) -> None:
    sides = along_axis(0, 40, 4.0)
    contrast = Contrast(layer=1, sides=sides, paired=True)
    (found,) = METHODS[method].find(contrast)
    assert found.vector_D @ AXIS > 0.9
    assert found.layer == 1


def test_probe_ignores_what_both_sides_share_and_means_do_not() -> None:
    rng = np.random.default_rng(1)
    sides = along_axis(1, 200, 1.5)
    # A second dimension varies a lot, together with the first, so that the means differ along both.
    shared = rng.standard_normal(200) * 3
    for acts in (sides.positive_N_D, sides.negative_M_D):
        acts[:, 1] += shared
        acts[:, 2] += shared
    sides.positive_N_D[:, 1] += 1.5
    sides.positive_N_D[:, 2] += 1.5
    contrast = Contrast(layer=0, sides=sides)
    (probe,) = METHODS["probe"].find(contrast)
    (means,) = METHODS["difference_in_means"].find(contrast)
    assert abs(probe.vector_D[1] + probe.vector_D[2]) < 0.2
    assert means.vector_D[1] + means.vector_D[2] > 1.0


def test_persona_vector_takes_the_layer_that_separates_best() -> None:
    layers = {3: along_axis(2, 20, 0.1), 4: along_axis(3, 20, 6.0), 5: along_axis(4, 20, 1.0)}
    (found,) = METHODS["persona_vector"].find(Contrast(layer=3, sides=layers[3], by_layer=layers))
    assert found.layer == 4
    np.testing.assert_allclose(found.vector_D * found.norm, layers[4].difference_D())


def test_persona_vector_takes_the_lowest_of_equally_good_layers() -> None:
    same = along_axis(5, 10, 6.0)
    (found,) = METHODS["persona_vector"].find(Contrast(layer=0, sides=same, by_layer={7: same, 2: same, 5: same}))
    assert found.layer == 2


def test_random_directions_know_the_seed_and_the_width_only() -> None:
    first, second = contrast_at(1), replace(contrast_at(2), seed=1)
    one, two = METHODS["random"].find(first), METHODS["random"].find(second)
    assert len(one) == 32
    assert all((a.vector_D == b.vector_D).all() for a, b in zip(one, two, strict=True))
    gram = np.array([found.vector_D for found in one])
    assert (np.abs(gram @ gram.T - np.eye(32)) < 0.999).all()


def test_shuffled_labels_keep_the_sizes_and_point_nowhere_on_average() -> None:
    sides = along_axis(6, 30, 5.0)
    uneven = Sides(sides.positive_N_D, sides.negative_M_D[:11])
    heights = [
        found.vector_D @ AXIS * found.norm
        for seed in range(60)
        for found in METHODS["shuffled"].find(Contrast(layer=0, sides=uneven, seed=seed))
    ]
    # Spread of a difference of means of 30 and 11 rows whose pooled standard deviation is about 2.5.
    assert abs(np.mean(heights)) < 4 * np.std(heights) / np.sqrt(len(heights))
    assert np.std(heights) == pytest.approx(2.46 * np.sqrt(1 / 30 + 1 / 11), rel=0.15)


def sae_of(auroc: list[float], difference: list[float], output: list[float]) -> SaeLatents:
    decoder = 2.0 * np.eye(WIDTH)[: len(auroc)]
    return SaeLatents(decoder, np.array(auroc), np.array(difference), np.array(output))


def test_sae_row_is_the_best_latents_row_with_its_sign() -> None:
    sae = sae_of([0.6, 0.05, 0.95, 0.5], [0.1, -3.0, 1.0, 0.0], [np.nan] * 4)
    (found,) = METHODS["sae_row"].find(replace(contrast_at(0), sae=sae))
    np.testing.assert_array_equal(found.vector_D, -np.eye(WIDTH)[1])  # as far from .5 as the third, larger difference
    assert found.norm == 2.0


def test_sae_filtered_keeps_latents_that_pass_and_weighs_them() -> None:
    sae = sae_of([0.9, 0.1, 0.99, 0.5], [3.0, -4.0, 9.0, 7.0], [0.02, 0.5, 0.001, 0.9])
    (found,) = METHODS["sae_filtered"].find(replace(contrast_at(0), sae=sae))
    np.testing.assert_allclose(found.vector_D, [0.6, -0.8, 0, 0, 0, 0])
    assert found.norm == pytest.approx(10.0)


def test_sae_methods_say_why_there_is_nothing() -> None:
    for method in ("sae_row", "sae_filtered"):
        with pytest.raises(InputError, match="needs an SAE of this layer"):
            METHODS[method].find(replace(contrast_at(0), sae=None))
        with pytest.raises(InputError, match="none of the 2 latents tells"):
            METHODS[method].find(replace(contrast_at(0), sae=sae_of([0.5, np.nan], [0, 0], [1, 1])))
    with pytest.raises(InputError, match=r"output score of 0\.01 or more \(got 0\.004\)"):
        METHODS["sae_filtered"].find(replace(contrast_at(0), sae=sae_of([0.9, 0.8], [1, 1], [0.004, np.nan])))
    with pytest.raises(InputError, match="no output scores"):
        METHODS["sae_filtered"].find(replace(contrast_at(0), sae=sae_of([0.9], [1], [np.nan])))


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].reads is not Reads.NOTHING])
def test_equal_sides_are_an_error(method: str) -> None:
    same = np.ones((6, WIDTH))
    sae = sae_of([0.5, 0.5], [0, 0], [1, 1])
    with pytest.raises(InputError):
        METHODS[method].find(Contrast(layer=0, sides=Sides(same, same), paired=True, sae=sae))


@pytest.mark.parametrize("method", ["difference_in_means", "caa"])
def test_rounding_is_no_direction(method: str) -> None:
    rows = np.full((5, WIDTH), 0.1)
    with pytest.raises(InputError, match="same activations"):
        METHODS[method].find(Contrast(layer=0, sides=Sides(rows, rows + 1e-17), paired=True))


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].paired])
def test_methods_of_pairs_refuse_sides_that_are_not_paired(method: str) -> None:
    with pytest.raises(InputError, match="the two sides are not paired"):
        METHODS[method].find(replace(contrast_at(0), paired=False))


def test_wrong_activations_say_both_numbers() -> None:
    rows = np.ones((4, WIDTH))
    with pytest.raises(InputError, match=r"negative side has too few examples \(got 1\)"):
        Sides(rows, rows[:1])
    with pytest.raises(InputError, match=r"positive side has too few examples .*shape \(6,\)"):
        Sides(rows[0], rows)
    with pytest.raises(InputError, match="positive side is 6 wide, the negative side 5"):
        Sides(rows, rows[:, :5])
    bad = rows.copy()
    bad[2, 1] = np.inf
    with pytest.raises(InputError, match=r"not finite \(got 'row 2'\)"):
        Sides(rows, bad)
    with pytest.raises(InputError, match="4 positive rows cannot pair with 3"):
        Contrast(layer=0, sides=Sides(rows, rows[:3]), paired=True)
    with pytest.raises(InputError, match="decoder is 3 wide, the activations 6"):
        Contrast(layer=0, sides=Sides(rows, rows), sae=SaeLatents(np.ones((2, 3)), *[np.ones(2)] * 3))
    with pytest.raises(InputError, match="1 values of difference for 2 decoder rows"):
        SaeLatents(np.ones((2, 3)), np.ones(2), np.ones(1), np.ones(2))
    sides = Sides(rows[:3], 2 * rows[:3])
    with pytest.raises(InputError, match="too few examples to choose a layer"):
        METHODS["persona_vector"].find(Contrast(layer=0, sides=sides, by_layer={0: sides, 1: sides}))


def test_a_file_is_a_method_and_unknown_names_list_them() -> None:
    assert list(all_directions()) == [
        "caa",
        "difference_in_means",
        "pca_center",
        "pca_diff",
        "persona_vector",
        "probe",
        "random",
        "sae_filtered",
        "sae_row",
        "shuffled",
    ]
    assert [method.name for method in chosen_directions(["probe", "caa", "probe"])] == ["probe", "caa"]
    assert "pca_diff" not in [method.name for method in chosen_directions([])]
    with pytest.raises(InputError, match=r"no such direction method \(got 'pca'\); use some of caa, difference_in"):
        chosen_directions(["pca"])
