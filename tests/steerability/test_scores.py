"""Scores: what they give to systems whose worth is known, their laws, and the coverage of their intervals."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from oracle_figures import SCORES as ORACLE
from steering_world import RuleModels, measure, synthetic_responses, world

from influence_assets.stats.ranks import auc
from influence_assets.stats.resampling import counts as resample
from influence_assets.steerability import shares
from influence_assets.steerability.estimates import mean_draws, overall, persona_scores
from influence_assets.steerability.people import Persona
from influence_assets.steerability.scores import score_tables
from influence_assets.steerability.tables import SCORES, SUMMARY
from influence_assets.steerability.tensors import Draws, cell_means, resampled_cell_means, tensors

OURS = ("sensitivity", "specificity")
COMPATIBLE = ("compatible_sensitivity", "compatible_specificity")


def people_of(rows: pl.DataFrame) -> dict[str, Persona]:
    return {name: Persona("w", "W", name, name, "") for name in rows["test_persona_id"].unique().to_list()}


def summary_of(rows: pl.DataFrame, method: str, draws: int = 200) -> dict[str, dict[str, float]]:
    _, summary = score_tables(rows, people_of(rows), draws=draws, seed=0)
    kept = summary.filter((pl.col("method") == method) & (pl.col("framework") == ""))
    return {row["score"]: row for row in kept.iter_rows(named=True)}


def always_agree(n_personas: int, n_statements: int) -> np.ndarray:
    answers = np.zeros((n_personas, n_personas, n_statements))
    answers[:, :, ::2] = 1  # every second statement is one to agree with
    return answers


def test_always_agreeing_scores_chance_by_ours_and_all_by_the_compatible_scores():
    scores = summary_of(synthetic_responses(always_agree(20, 8), method="always_agree"), "always_agree")
    for score in OURS:
        assert scores[score]["value"] == 0.5
        assert scores[score]["ci_low"] == scores[score]["ci_high"] == 0.5
    for score in COMPATIBLE:
        assert scores[score]["value"] == 1.0
    assert scores["identification"]["value"] == 0.0


@pytest.mark.parametrize(("n_personas", "n_statements"), [(10, 12), (30, 20)])
def test_a_coin_scores_chance_by_ours_and_more_by_the_compatible_scores(n_personas, n_statements):
    toss = np.random.default_rng(0).integers(0, 2, size=(n_personas, n_personas, n_statements)).astype(float)
    scores = summary_of(synthetic_responses(toss, method="coin"), "coin", draws=1000)
    for score in OURS:
        assert scores[score]["value"] == pytest.approx(0.5, abs=0.03)
        assert scores[score]["ci_low"] < 0.5 < scores[score]["ci_high"]
    for score in COMPATIBLE:
        assert scores[score]["value"] > scores[score]["chance"] + 0.02
    assert scores["accuracy"]["value"] == pytest.approx(0.5, abs=0.01)


def test_a_single_toss_lies_where_the_coin_says_that_tosses_lie():
    toss = np.random.default_rng(5).integers(0, 2, size=(20, 20, 12)).astype(float)
    rows = synthetic_responses(toss, method="coin")
    band = summary_of(rows, "coin", draws=1000)
    once = summary_of(rows.with_columns(method=pl.lit("system")), "system")
    for score in (*OURS, "accuracy", "double_centred", *COMPATIBLE):
        assert band[score]["ci_low"] - 0.05 <= once[score]["value"] <= band[score]["ci_high"] + 0.05


def test_a_perfect_system_scores_one_with_certainty():
    answers = always_agree(12, 10)
    answers[np.arange(12), np.arange(12)] = 1
    scores = summary_of(synthetic_responses(answers), "system")
    for score in (*OURS, *COMPATIBLE, "identification", "accuracy"):
        assert scores[score]["value"] == 1.0
        assert scores[score]["ci_low"] == scores[score]["ci_high"] == 1.0
    assert scores["double_centred"]["value"] == pytest.approx(0.5 * (1 - 1 / 12))


def test_a_system_that_plays_the_opposite_scores_nothing():
    answers = always_agree(12, 10)
    answers[np.arange(12), np.arange(12)] = 0
    scores = summary_of(synthetic_responses(answers), "system")
    assert [scores[score]["value"] for score in OURS] == [0.0, 0.0]


def test_orientation_is_that_of_the_oracle():
    """Sensitivity looks along a steered persona's row, specificity along a test persona's column."""
    case = ORACLE["asymmetric"]
    scores = persona_scores(np.array(case["accuracy"]), None, np.ones(3))
    assert scores["compatible_sensitivity"] == pytest.approx(case["sensitivity_scores"], abs=1e-12)
    assert scores["compatible_specificity"] == pytest.approx(case["specificity_scores"], abs=1e-12)
    assert scores["sensitivity"] == pytest.approx([0.5, 1.0, 0.0])
    assert scores["specificity"] == pytest.approx([0.5, 0.5, 1.0])


def test_gain_and_leakage_are_measured_on_the_same_statements():
    rng = np.random.default_rng(1)
    none = np.broadcast_to(rng.integers(0, 2, size=(1, 6, 10)), (6, 6, 10)).astype(float).copy()
    system = none.copy()
    system[np.arange(6), np.arange(6)] = 1
    none[2, 2, :5] = np.nan  # void without steering: these statements say nothing of the gain
    rows = pl.concat([synthetic_responses(none, method="none"), synthetic_responses(system)])
    scores = summary_of(rows, "system")
    expected = [np.nanmean((system - none)[p, p]) for p in range(6)]
    assert scores["gain"]["value"] == pytest.approx(np.mean(expected))
    assert scores["leakage"]["value"] == pytest.approx(0)
    assert "gain" not in summary_of(rows, "none")


def test_void_answers_count_for_nothing():
    rng = np.random.default_rng(2)
    answers = rng.integers(0, 2, size=(5, 5, 9)).astype(float)
    void = rng.random(answers.shape) < 0.3
    holes = np.where(void, np.nan, answers)
    got = cell_means(tensors(synthetic_responses(holes)).runs[0].correct_R_P_Q_S)
    assert got == pytest.approx(np.nanmean(holes, axis=2))
    all_void = np.full_like(answers, np.nan)
    scores, summary = score_tables(
        synthetic_responses(all_void), people_of(synthetic_responses(answers)), draws=100, seed=0
    )
    assert scores["value"].is_null().all()
    assert summary.select("value", "ci_low", "ci_high").null_count().row(0) == (summary.height,) * 3


matrices = st.integers(2, 7).flatmap(
    lambda n: arrays(np.float64, (n, n), elements=st.integers(0, 4).map(lambda k: k / 4))
)


@given(matrices)
def test_sensitivity_is_the_auc_of_the_own_test_against_the_others(accuracy):
    got = shares.mid_rank(accuracy, np.ones(len(accuracy)))
    for p, row in enumerate(accuracy):
        assert got[p] == pytest.approx(auc(row[[p]], np.delete(row, p)))


@given(matrices)
def test_scores_only_look_at_the_order(accuracy):
    one = persona_scores(accuracy, None, np.ones(len(accuracy)))
    other = persona_scores(accuracy**3 / 2, None, np.ones(len(accuracy)))
    for score in (*OURS, *COMPATIBLE, "identification"):
        assert one[score] == pytest.approx(other[score])


@given(matrices, st.floats(-0.5, 0.5), st.integers(0, 6))
def test_the_double_centred_diagonal_does_not_see_what_a_row_or_column_shares(accuracy, shift, which):
    weights = np.ones(len(accuracy))
    changed = accuracy.copy()
    changed[which % len(accuracy)] += shift
    changed[:, (which + 1) % len(accuracy)] -= shift / 2
    assert shares.double_centred(changed, weights) == pytest.approx(shares.double_centred(accuracy, weights), abs=1e-9)


@settings(max_examples=40)
@given(matrices, st.data())
def test_a_weighted_persona_is_that_persona_several_times_but_never_its_own_rival(accuracy, data):
    n = len(accuracy)
    weights = data.draw(arrays(np.int64, n, elements=st.integers(0, 3)))
    who = np.repeat(np.arange(n), weights)
    big = accuracy[np.ix_(who, who)]
    got = persona_scores(accuracy, None, weights.astype(float))
    for place, p in enumerate(who):
        rivals = who != p
        if rivals.any():
            assert got["sensitivity"][p] == pytest.approx(auc(big[place, [place]], big[place][rivals]))
            assert got["specificity"][p] == pytest.approx(auc(big[[place], place], big[rivals, place]))
            assert got["identification"][p] == float(big[place, place] > big[place][rivals].max())
        assert got["compatible_sensitivity"][p] == pytest.approx((big[place] <= big[place, place]).mean())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_resampled_cells_are_those_of_repeated_statements(seed):
    rng = np.random.default_rng(seed)
    answers = np.where(rng.random((2, 3, 3, 6)) < 0.2, np.nan, rng.integers(0, 2, size=(2, 3, 3, 6)))
    counts = rng.integers(0, 3, size=(3, 4, 6)).astype(np.float32)
    got = resampled_cell_means(answers, counts)
    for draw in range(4):
        for q in range(3):
            repeated = np.repeat(answers[:, :, q], counts[q, draw].astype(int), axis=2)
            known = ~np.isnan(repeated)
            with np.errstate(invalid="ignore"):
                expected = np.where(known, repeated, 0).sum(axis=(0, 2)) / known.sum(axis=(0, 2))
            assert got[draw, :, q] == pytest.approx(expected, nan_ok=True)


def test_draws_keep_labels_balanced():
    data = tensors(synthetic_responses(always_agree(4, 7)))
    drawn = Draws.of(data, 50, seed=0)
    for q in range(4):
        agree = int(data.agree_Q[q])
        assert (drawn.statements_Q_B_S[q, :, :agree].sum(axis=1) == agree).all()
        assert (drawn.statements_Q_B_S[q, :, agree:].sum(axis=1) == data.disagree_Q[q]).all()


def test_a_sparse_design_is_scored_on_the_cells_that_it_has():
    _, rows = measure(RuleModels(), world(8), pairs=3)
    _, summary = score_tables(rows, people_of(rows), draws=100, seed=0)
    steered = summary.filter((pl.col("method") == "description") & (pl.col("score") == "sensitivity")).row(
        0, named=True
    )
    assert steered["n"] == 8
    assert steered["value"] > 0.9
    won = summary.filter((pl.col("method") == "description") & (pl.col("score") == "identification"))
    assert won["chance"][0] == pytest.approx(1 / 4)


def test_tables_have_their_columns_and_keys_and_return_with_the_seed():
    _, rows = measure(RuleModels(), world(4))
    one, two = (score_tables(rows, people_of(rows), draws=100, seed=4) for _ in range(2))
    for table, frame, again in zip((SCORES, SUMMARY), one, two, strict=True):
        assert frame.columns == [column.name for column in table.columns]
        assert frame.select(table.key).is_unique().all()
        assert frame.equals(again)
        assert (frame["ci_low"] <= frame["value"]).all()
        assert (frame["value"] <= frame["ci_high"]).all()


def test_no_responses_give_empty_tables_with_their_types():
    _, rows = measure(RuleModels(), world(4))
    scores, summary = score_tables(rows, people_of(rows), draws=100, seed=0)
    empty = score_tables(rows.head(0), {}, draws=100, seed=0)
    assert [frame.schema for frame in empty] == [scores.schema, summary.schema]
    assert [frame.height for frame in empty] == [0, 0]


def test_coverage_of_intervals_over_personas():
    """1,000 studies of 20 personas whose steerability differs: the 95 % intervals hold the true means."""
    rng = np.random.default_rng(0)
    many = [_study(rng)[2] for _ in range(3000)]
    truth = {score: np.mean([values[score].mean() for values in many]) for score in (*OURS, "gain")}
    covered = dict.fromkeys(truth, 0)
    for trial in range(1000):
        accuracy, gain, values = _study(rng)
        drawn = Draws(np.empty((20, 200, 12)), resample(20, 200, np.random.default_rng(trial)))
        means = mean_draws(accuracy, gain, drawn)
        for score in covered:
            _, low, high = overall(float(values[score].mean()), means[score], 20)
            covered[score] += low <= truth[score] <= high
    for score, count in covered.items():
        assert 0.93 <= count / 1000 <= 0.97, score


def _study(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """20 personas, 12 statements each: own tests are .15 easier on average, and some tests are easier than others."""
    easy = np.clip(0.5 + 0.08 * rng.standard_normal(20), 0.05, 0.95)
    p = easy + 0.08 * rng.standard_normal((20, 20))
    p[np.arange(20), np.arange(20)] += 0.15 + 0.1 * rng.standard_normal(20)
    accuracy = rng.binomial(12, np.clip(p, 0.02, 0.98)) / 12
    gain = accuracy - rng.binomial(12, easy) / 12
    return accuracy, gain, persona_scores(accuracy, gain, np.ones(20))
