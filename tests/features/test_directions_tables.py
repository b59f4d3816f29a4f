"""Rows of directions and of the feature map, and the two checks of a direction that stand in them."""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb
import numpy as np
import polars as pl
import pytest

from influence_assets.features.direction_checks import heldout_auroc, opposite_cosine, pole_cosine
from influence_assets.features.direction_contrast import Contrast, Sides
from influence_assets.features.direction_records import DirectionRow, FeatureMapRow, direction_row, feature_map_rows
from influence_assets.features.direction_tables import DIRECTIONS, SAE_FEATURE_MAP, TABLES
from influence_assets.features.feature_labels import FactorLabels
from influence_assets.features.feature_map import MapSettings, feature_map
from influence_assets.features.found_directions import Stream, direction_of
from influence_assets.rows import from_frame, to_frame
from influence_assets.stats.intervals import Interval
from influence_assets.stats.ranks import auc
from resources.direction_files import write_direction
from resources.errors import InputError
from resources.warehouse import Provenance, Warehouse
from tests.features.direction_world import METHODS

WIDTH = 16
TOPIC, POLE = np.eye(WIDTH)[0], np.eye(WIDTH)[1]
PUBLIC = {
    "features.directions": "direction_id, model, iteration, layer, factor, category, method, path, norm",
    "features.sae_feature_map": "model, iteration, sae, layer, feature_id, factor, category, auroc, auroc_heldout,"
    " ci_low, ci_high, selectivity, output_score, stability",
}


def cloud(seed: int, centre: np.ndarray, n: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, WIDTH)) * 0.5 + centre


def cosine_of(method: str, high: np.ndarray, low: np.ndarray, elsewhere: np.ndarray) -> float | None:
    return pole_cosine(METHODS[method], high, low, elsewhere, layer=0, seed=0)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_columns_that_queries_depend_on(table) -> None:
    names = {column.name for column in table.columns}
    assert set(PUBLIC[table.name].replace(" ", "").split(",")) <= names
    assert table.partition == ("model", "iteration")


def test_heldout_auroc_is_that_of_the_projections() -> None:
    high, low = cloud(1, 0.4 * POLE), cloud(2, -0.4 * POLE)
    found = heldout_auroc(POLE, high, low)
    assert found.value == pytest.approx(auc(high[:, 1], low[:, 1]))
    assert found.low < found.value < found.high
    turned = heldout_auroc(-POLE, high, low)
    assert turned.value == pytest.approx(1 - found.value)
    with pytest.raises(InputError, match="the direction is 3 wide, the activations 16"):
        heldout_auroc(np.ones(3), high, low)


@pytest.mark.parametrize("method", ["difference_in_means", "probe", "persona_vector"])
def test_the_cosine_of_opposites_is_what_the_texts_say(method: str) -> None:
    neutral = cloud(9, 0 * POLE, n=400)
    opposite = cosine_of(method, cloud(1, 2 * POLE), cloud(2, -2 * POLE), neutral)
    assert opposite is not None
    assert opposite < -0.8
    # Both poles only speak of the factor: found against each other they would still be exact opposites.
    same = cosine_of(method, cloud(3, 2 * TOPIC), cloud(4, 2 * TOPIC), neutral)
    assert same is not None
    assert same > 0.8
    mixed = cosine_of(method, cloud(5, 2 * TOPIC + 2 * POLE), cloud(6, 2 * TOPIC - 2 * POLE), neutral)
    assert mixed is not None
    assert abs(mixed) < 0.3


def stored(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """The direction that is stored for high."""
    return METHODS["difference_in_means"].find(Contrast(layer=0, sides=Sides(high, low)))[0].vector_D


def test_a_direction_leads_away_from_the_opposite_and_random_ones_do_not() -> None:
    neutral = cloud(9, 0 * POLE, n=400)
    for topic in (0, 1, 5):
        shared = topic * TOPIC
        vector = stored(cloud(1, shared + POLE), cloud(2, shared - POLE))
        for sign in (1, -1):
            assert opposite_cosine(sign * vector, cloud(3, shared - sign * POLE), neutral) < -0.15
    low = cloud(3, -2 * POLE)
    drawn = METHODS["random"].find(Contrast(layer=0, sides=Sides(low, neutral)))
    cosines = [opposite_cosine(found.vector_D, low, neutral) for found in drawn]
    assert abs(np.mean(cosines)) < 3 / np.sqrt(32 * WIDTH)
    assert opposite_cosine(POLE, neutral, neutral) == 0


def test_where_one_pole_is_inert_the_other_leads_away_from_nothing() -> None:
    neutral = cloud(9, 0 * POLE, n=4000)
    vector = stored(cloud(1, 2 * POLE), cloud(2, 0 * POLE))
    assert opposite_cosine(-vector, cloud(3, 2 * POLE), neutral) < -0.8
    inert = [opposite_cosine(vector, cloud(seed, 0 * POLE), neutral) for seed in range(10, 60)]
    assert abs(np.mean(inert)) < 0.15


def test_methods_that_cannot_be_asked_have_no_cosine() -> None:
    side = cloud(1, POLE)
    for method in ("caa", "pca_center", "pca_diff", "random", "shuffled", "sae_row", "sae_filtered"):
        assert cosine_of(method, side, -side, cloud(2, 0 * POLE)) is None


def test_directions_land_in_the_warehouse(tmp_path) -> None:
    contrast = Contrast(layer=2, sides=Sides(cloud(1, POLE), cloud(2, -POLE)))
    names = {"model": "organism", "iteration": 0, "factor": "openness", "category": "high"}
    rows = []
    for method in ("difference_in_means", "random"):
        for found in METHODS[method].find(contrast):
            one = direction_of(found, Stream("model.layers.2", WIDTH, 4.0), method=method, **names)
            path = write_direction(one, tmp_path / "directions")
            heldout = heldout_auroc(one.vector_D, cloud(3, POLE), cloud(4, -POLE))
            neutral = cloud(5, 0 * POLE)
            cosines = {
                "cosine_opposite": opposite_cosine(one.vector_D, cloud(4, -POLE), neutral),
                "cosine_poles": cosine_of(method, cloud(1, POLE), cloud(2, -POLE), neutral),
            }
            rows.append(direction_row(one, str(path.relative_to(tmp_path)), heldout=heldout, n=120, **cosines))
    assert len({row.path for row in rows}) == 33
    frame = to_frame(DIRECTIONS, rows)
    assert sorted(map(repr, from_frame(DirectionRow, frame))) == sorted(map(repr, rows))
    warehouse = Warehouse(tmp_path, TABLES)
    warehouse.write(
        DIRECTIONS,
        {"model": "organism", "iteration": "0"},
        frame,
        Provenance("run", "code", "inputs", datetime.now(UTC)),
    )
    with duckdb.connect(str(warehouse.publish()), read_only=True) as client:
        query = 'SELECT method, count(*), max("index") FROM features.directions GROUP BY 1 ORDER BY 1'
        assert client.sql(query).fetchall() == [("difference_in_means", 1, 0), ("random", 32, 31)]
    best = frame.filter(pl.col("method") == "difference_in_means")
    assert best["auroc_heldout"][0] > 0.9
    assert best["cosine_opposite"][0] < 0
    assert best["cosine_poles"][0] < 0
    assert frame.filter(pl.col("method") == "random")["cosine_poles"].null_count() == 32


def test_a_map_becomes_rows() -> None:
    rng = np.random.default_rng(0)
    latents = np.maximum(rng.normal(-1, 1, (16, 6)), 0)
    latents[:8, 2] += 4
    labels = [FactorLabels("trust", ["high"] * 8 + ["low"] * 8)]
    heldout = np.tile([False, True], 8)
    mapped = feature_map(latents, [f"t{row}" for row in range(16)], labels, heldout, MapSettings(keep=2, draws=5))
    rows = feature_map_rows(
        mapped,
        model="organism",
        iteration=1,
        sae="s",
        layer=2,
        output_scores={2: 0.4},
        promoted={2: [" trust", "ing"]},
        explanations={2: "trust in others"},
    )
    best = next(row for row in rows if row.category == "high" and row.rank == 1)
    assert (best.feature_id, best.output_score, best.explanation) == (2, 0.4, "trust in others")
    assert tuple(best.promoted_tokens) == (" trust", "ing")
    other = next(row for row in rows if row.feature_id != 2)
    assert (other.output_score, other.explanation, tuple(other.promoted_tokens)) == (None, None, ())
    frame = to_frame(SAE_FEATURE_MAP, rows)
    assert frame["top_texts"].dtype == pl.List(pl.String)
    assert len(from_frame(FeatureMapRow, frame)) == len(rows)


def test_what_has_no_interval_is_null() -> None:
    one = direction_of(
        METHODS["random"].find(Contrast(layer=0, sides=Sides(np.eye(4), np.eye(4))))[0],
        Stream("h.0", 4, 1.0),
        model="m",
        iteration=0,
        factor="f",
        category="c",
        method="random",
    )
    nothing = Interval(float("nan"), float("nan"), float("nan"))
    row = direction_row(one, "a.safetensors", heldout=nothing, n=0, cosine_opposite=None, cosine_poles=None)
    assert (row.auroc_heldout, row.ci_low, row.ci_high) == (None, None, None)
