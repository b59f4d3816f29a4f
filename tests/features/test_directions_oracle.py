"""Directions against exact figures of public code (repeng), for the compatible methods."""

from __future__ import annotations

import numpy as np
import pytest

from influence_assets.features.direction_contrast import Contrast, Found, Sides
from influence_assets.features.direction_method import all_directions

A = [
    [1.0, 0.668294, 0.181859, 0.028224],
    [-0.434971, -0.27879, -0.09614, -0.075099],
    [1.328224, 0.49864, -0.191785, -0.055883],
    [-0.703657, -0.282983, 0.099061, 0.065029],
    [1.544117, 0.931397, 0.197872, 0.082424],
    [-0.758788, -0.454402, -0.099999, -0.053657],
    [1.982424, 0.841196, -0.199998, -0.107315],
    [-0.977942, -0.409301, 0.098936, 0.041212],
    [2.092685, 1.184033, 0.198121, 0.130058],
    [-1.085888, -0.62568, -0.095892, -0.027942],
    [2.630058, 1.192419, -0.192279, -0.150197],
    [-1.25, -0.540853, 0.09093, 0.014112],
]
# Every pair differs by 2 on the first axis, and by noise with mean 0 on the second.
B = [
    [1.0, 0.9, 0.0, 0.0],
    [-1.0, 0.0, 0.0, 0.0],
    [1.0, -0.9, 0.0, 0.01],
    [-1.0, 0.0, 0.0, 0.0],
    [1.0, 0.6, 0.0, 0.02],
    [-1.0, 0.0, 0.0, 0.0],
    [1.0, -0.6, 0.0, 0.03],
    [-1.0, 0.0, 0.0, 0.0],
    [1.0, 0.3, 0.0, 0.04],
    [-1.0, 0.0, 0.0, 0.0],
    [1.0, -0.3, 0.0, 0.05],
    [-1.0, 0.0, 0.0, 0.0],
]

EXPECTED = [
    ("A", "pca_diff", [0.920095, 0.36964, -0.116689, -0.056347]),
    ("A", "pca_center", [0.896519, 0.442896, -0.008006, -0.005691]),
    ("A", "difference_in_means", [0.894117, 0.447829, -0.000176, -0.002058]),
    # pca_diff returns the noise axis: decomposing the differences takes away their mean.
    ("B", "pca_diff", [-0.0, 0.999974, 0.0, -0.007147]),
    ("B", "pca_center", [0.999922, -1e-05, -0.0, 0.0125]),
    ("B", "difference_in_means", [0.999922, 0.0, 0.0, 0.012499]),
    # B2: so much noise that pca_center returns it as well.
    ("B2", "pca_diff", [-0.0, 0.999998, 0.0, -0.002143]),
    ("B2", "pca_center", [-0.000161, 0.999998, 0.0, -0.002145]),
    ("B2", "difference_in_means", [0.999922, 0.0, 0.0, 0.012499]),
    ("A swapped", "pca_diff", [-0.920095, -0.36964, 0.116689, 0.056347]),
    ("A swapped", "pca_center", [-0.896519, -0.442896, 0.008006, 0.005691]),
]
DIFFERENCES = {
    "A": [2.631459, 1.317998, -0.000517, -0.006057],
    "B": [2.0, 0.0, 0.0, 0.025],
    "B2": [2.0, 0.0, 0.0, 0.025],
}


def contrast_of(case: str) -> Contrast:
    rows = np.array(A if case.startswith("A") else B)
    positive, negative = rows[::2].copy(), rows[1::2]
    if case == "B2":
        positive[:, 1] *= 10 / 3
    if case == "A swapped":
        positive, negative = negative, positive
    return Contrast(layer=0, sides=Sides(positive, negative), paired=True)


def only(case: str, method: str) -> Found:
    (found,) = all_directions()[method].find(contrast_of(case))
    return found


@pytest.mark.parametrize(("case", "method", "expected"), EXPECTED)
def test_figures_of_public_code(case: str, method: str, expected: list[float]) -> None:
    np.testing.assert_allclose(only(case, method).vector_D, expected, atol=2e-6)


@pytest.mark.parametrize("case", DIFFERENCES)
@pytest.mark.parametrize("method", ["difference_in_means", "caa"])
def test_difference_before_scaling(case: str, method: str) -> None:
    found = only(case, method)
    np.testing.assert_allclose(found.vector_D * found.norm, DIFFERENCES[case], atol=2e-6)
