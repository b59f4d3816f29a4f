"""Clusters find planted groups; pictures are pictures."""

import io

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import adjusted_rand_score
from steering_world import RuleModels, measure, synthetic_responses, world

from influence_assets.steerability import plots
from influence_assets.steerability.clusters import adjusted_rand, cluster_table, grow
from influence_assets.steerability.matrix import matrix
from influence_assets.steerability.people import Persona
from influence_assets.steerability.scores import score_tables
from influence_assets.steerability.tables import CLUSTERS


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=30))
def test_the_adjusted_rand_index_is_that_of_sklearn(pairs):
    one, other = (np.array(side) for side in zip(*pairs, strict=True))
    got = adjusted_rand(one, other)
    if np.isfinite(got):
        assert got == pytest.approx(adjusted_rand_score(one, other))


def blocks(n_groups: int, size: int, seed: int = 0) -> tuple[pl.DataFrame, dict[str, Persona]]:
    """Personas of one framework answer alike for one another and at chance for the rest."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(n_groups), size)
    p = np.where(group[:, None] == group[None, :], 0.9, 0.4)
    answers = (rng.random((*p.shape, 30)) < p[:, :, None]).astype(float)
    personas = {f"p{i:03d}": Persona(f"f{group[i]}", "F", f"p{i:03d}", "x", "") for i in range(len(group))}
    return synthetic_responses(answers), personas


def test_planted_frameworks_are_found_with_an_interval():
    rows, personas = blocks(3, 6)
    table = cluster_table(rows, personas, draws=100, seed=0)
    across = table.filter(pl.col("scope") == "all")
    assert across["ari"].unique().to_list() == [1.0]
    assert across["ari_low"][0] > 0.8
    assert across.sort("position")["framework"].rle_id().max() == 2
    assert across["position"].sort().to_list() == list(range(18))
    assert across.sort("position")["cluster"].is_sorted()


def test_without_structure_the_agreement_is_at_chance():
    answers = np.random.default_rng(1).integers(0, 2, size=(24, 24, 20)).astype(float)
    personas = {f"p{i:03d}": Persona(f"f{i % 3}", "F", f"p{i:03d}", "x", "") for i in range(24)}
    across = cluster_table(synthetic_responses(answers), personas, draws=100, seed=0).filter(pl.col("scope") == "all")
    assert abs(across["ari"][0]) < 0.2
    assert across["ari_low"][0] < 0.1


def test_within_a_framework_there_is_no_agreement_to_speak_of():
    rows, personas = blocks(2, 5)
    table = cluster_table(rows, personas, draws=100, seed=0)
    within = table.filter(pl.col("scope") == "f1")
    assert within.height == 5
    assert within["ari"].is_null().all()
    assert table.columns == [column.name for column in CLUSTERS.columns]
    assert table.select(CLUSTERS.key).is_unique().all()


def test_a_tree_bears_missing_cells_constant_rows_and_a_single_persona():
    holes = np.random.default_rng(0).random((6, 6))
    holes[0, 3] = holes[:, 5] = np.nan
    assert sorted(grow(holes, 2).order_P.tolist()) == list(range(6))
    assert sorted(grow(np.full((4, 4), 0.5), 2).order_P.tolist()) == list(range(4))
    assert grow(np.ones((1, 1)), 3).cluster_P.tolist() == [1]


def test_clusters_of_no_responses_are_an_empty_table():
    rows, personas = blocks(2, 3)
    full = cluster_table(rows, personas, draws=100, seed=0)
    assert cluster_table(rows.head(0), personas, draws=100, seed=0).schema == full.schema


def size_of(png: bytes) -> tuple[int, int]:
    picture = Image.open(io.BytesIO(png))
    assert picture.format == "PNG"
    assert len(picture.convert("L").getcolors(maxcolors=10**6) or []) > 5
    return picture.size


def test_pictures_are_drawn_from_rows_with_hostile_names():
    who = world(6)
    _, rows = measure(RuleModels(), who, pairs=2)
    cells = matrix(rows)
    order = sorted(who.index)
    names = ["$x^2", "a\\b", "<b>", "ü" * 50, "", "%s"]
    png = plots.heat_map(cells, method="description", n_steer=0, title="$oops {x}", order=order, labels=names)
    assert min(size_of(png)) > 300
    _, summary = score_tables(rows, {p.persona_id: p for p in who.personas}, draws=100, seed=0)
    for score in ("sensitivity", ("sensitivity", "gain")):
        assert min(size_of(plots.score_plot(summary, score=score, title="$oops"))) > 100


def test_a_picture_of_a_hundred_personas_names_every_third():
    answers = np.random.default_rng(0).integers(0, 2, size=(100, 100, 2)).astype(float)
    cells = matrix(synthetic_responses(answers))
    order = sorted(cells["test_persona_id"].unique().to_list())
    assert size_of(plots.heat_map(cells, method="system", n_steer=0, title="x", order=order))[0] <= 1400
