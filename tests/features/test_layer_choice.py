"""Which layers are candidates, how well one reads, and which one is chosen."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from influence_assets.features.direction_contrast import Sides
from influence_assets.features.layer_choice import (
    CANDIDATES,
    LayerTrial,
    candidate_layers,
    chosen_layer,
    layer_rows,
    reading_auroc,
    trial_coefficient,
)
from influence_assets.features.settings import FeaturesSettings
from resources.errors import InputError

NAN = math.nan


def settings_of(**fields: object) -> FeaturesSettings:
    return FeaturesSettings.model_validate(fields)


@settings(deadline=None)
@given(n_layers=st.integers(1, 200))
def test_candidates_spread_from_the_first_layer_to_the_last(n_layers: int) -> None:
    found = candidate_layers(settings_of(), n_layers)
    assert found[0] == 0
    assert found[-1] == n_layers - 1
    assert len(found) == min(CANDIDATES, n_layers)
    gaps = np.diff(found)
    assert len(gaps) == 0 or (gaps.min() > 0 and gaps.max() - gaps.min() <= 1)


def test_named_candidates_stand_once_in_order() -> None:
    assert candidate_layers(settings_of(layers=[3, 0, 3]), 4) == (0, 3)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"layers": [0, 4]}, "features.layers"),
        ({"layers": [-1]}, "features.layers"),
        ({"layer": 9}, "features.layer"),
        ({"sae": {"layer": 4, "k": 2}}, "features.sae.layer"),
    ],
)
def test_a_layer_that_the_model_lacks_is_one_line_with_what_there_is(fields: dict[str, object], field: str) -> None:
    with pytest.raises(InputError) as caught:
        candidate_layers(settings_of(**fields), 4)
    text = str(caught.value)
    assert "\n" not in text
    for words in (f"{field} ", "data/study.yaml", "the model has 4 layers", "choose from 0 to 3"):
        assert words in text.replace(":", " ").replace("=", " "), text


def test_layers_are_tried_with_the_middle_coefficient() -> None:
    assert trial_coefficient(settings_of()) == 0.4
    assert trial_coefficient(settings_of(steering={"coefficients": [-1, 0, 2]})) == 2


def test_reading_is_measured_on_texts_that_made_no_direction() -> None:
    rng = np.random.default_rng(0)
    noise = [rng.standard_normal((40, 30)) for _ in range(2)]
    assert reading_auroc(Sides(noise[0] + 1.5, noise[1])) > 0.99
    chance = [
        reading_auroc(Sides(rng.standard_normal((12, 30)), rng.standard_normal((12, 30)))) for _ in range(60)
    ]  # in its own texts, a difference in means of so few always finds something
    assert 0.4 < float(np.mean(chance)) < 0.6


def test_a_shift_decides_over_reading_and_reading_where_nothing_was_asked() -> None:
    trials = {0: LayerTrial(0.9, 0.1), 1: LayerTrial(0.6, 0.4), 2: LayerTrial(1.0, NAN)}
    rows = layer_rows(trials, settings_of(), model="m", iteration=3)
    assert [(row.layer, row.chosen) for row in rows] == [(0, False), (1, True), (2, False)]
    assert rows[2].shift is None
    assert {(row.model, row.iteration) for row in rows} == {("m", 3)}
    assert chosen_layer(rows) == 1
    unasked = {layer: LayerTrial(trial.auroc, NAN) for layer, trial in trials.items()}
    assert chosen_layer(layer_rows(unasked, settings_of(), model="m", iteration=0)) == 2
    assert chosen_layer(layer_rows(trials, settings_of(layer=0), model="m", iteration=0)) == 0


@settings(deadline=None)
@given(st.dictionaries(st.integers(0, 20), st.tuples(*[st.floats(-1, 1) | st.just(NAN)] * 2), min_size=1))
def test_one_layer_is_chosen_always(trials: dict[int, tuple[float, float]]) -> None:
    rows = layer_rows({k: LayerTrial(*v) for k, v in trials.items()}, settings_of(), model="m", iteration=0)
    assert sum(row.chosen for row in rows) == 1
    best = next(row for row in rows if row.chosen)
    if best.shift is not None:
        assert best.shift == max(row.shift for row in rows if row.shift is not None)
    elif best.auroc is not None:
        assert best.auroc == max(row.auroc for row in rows if row.auroc is not None)
