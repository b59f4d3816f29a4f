"""Trait scores: the published hard score to the figure, and laws of the score by probability."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from trait_oracle import EXPECTED, REAL_ITEMS, ROWS, TRAIT_PERCENTAGES

from influence_assets.features.items import Half, TraitItem
from influence_assets.features.orders import FORWARD, REVERSE, Option, Orders, by_option, option_orders
from influence_assets.features.trait_questions import TraitQuestion
from influence_assets.features.trait_rows import Condition, answer_rows, score_rows
from influence_assets.features.trait_scores import (
    ItemScores,
    hard_high,
    hard_shares,
    order_consistency,
    score_items,
    trait_score,
)
from influence_assets.features.trait_tables import TABLES, TRAIT_ANSWERS, TRAIT_SCORES, TraitAnswer, TraitScoreRow
from influence_assets.rows import from_frame, to_frame
from resources.frames import conform
from resources.messages import Estimator, OptionProbabilities, Status

BOOT = {"draws": 200, "seed": 3}
NAN = float("nan")


def hard(forward, reverse):
    shares = hard_shares(by_option(np.array([forward]), FORWARD), by_option(np.array([reverse]), REVERSE))
    return shares[0], hard_high(shares)[0]


def scored(shares_N_O_4, mass=0.9, status=Status.OK, **options) -> ItemScores:
    shares = np.asarray(shares_N_O_4, dtype=float)
    statuses = [[status] * shares.shape[1]] * shares.shape[0]
    return score_items(shares, np.full(shares.shape[:2], mass), statuses, **options)


distributions = hnp.arrays(float, (3, 4, 4), elements=st.floats(0.01, 1)).map(
    lambda x: x / x.sum(axis=2, keepdims=True)
)


@pytest.mark.parametrize("case", ROWS)
def test_the_published_hard_score(case):
    shares, high = hard(*ROWS[case])
    expected, largest, label = EXPECTED[case]
    assert shares == pytest.approx(expected, abs=1e-6)
    assert int(np.argmax(shares)) == largest
    assert bool(high) is label


@pytest.mark.parametrize("idx", REAL_ITEMS)
def test_the_published_label_of_real_answers(idx):
    forward, reverse, label = REAL_ITEMS[idx]
    assert bool(hard(forward, reverse)[1]) is label


def test_hard_scores_as_percentages_of_any_number_of_traits():
    rows = []
    for k, trait in enumerate(TRAIT_PERCENTAGES):
        answers = [_certain(trait, q, Option.HIGH1 if q <= k % 4 else Option.LOW2) for q in range(4)]
        rows += score_rows([one for pair in answers for one in pair], **BOOT)
    assert {row.trait: 100 * row.hard_score for row in rows} == TRAIT_PERCENTAGES
    assert len(score_rows(_certain("Narcissism", 0, Option.LOW1), **BOOT)) == 1


def test_a_hard_score_wants_an_answer_in_both_orders():
    shares = hard_shares(np.array([[0.0, 0, 0, 0], [NAN, 1, 1, 1]]), np.array([[1.0, 0, 0, 0], [1, 1, 1, 1]]))
    assert np.isnan(shares).all()
    assert np.isnan(hard_high(shares)).all()


def test_p_high_is_the_mean_over_orders():
    items = scored([[[0.5, 0.2, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]]])
    assert items.p_high_N.tolist() == pytest.approx([0.5])
    assert items.answered_N.tolist() == [2]
    assert items.status == (Status.OK,)


def test_orders_without_a_distribution_are_left_out():
    shares = np.array([[[0.6, 0.2, 0.1, 0.1], [NAN] * 4], [[NAN] * 4] * 2, [[NAN] * 4] * 2])
    mass = np.array([[0.9, 0.7], [NAN, NAN], [0.1, NAN]])
    statuses = [[Status.OK, Status.VOID], [Status.REFUSAL] * 2, [Status.VOID, Status.REFUSAL]]
    items = score_items(shares, mass, statuses)
    assert items.p_high_N == pytest.approx([0.8, NAN, NAN], nan_ok=True)
    assert items.mass_N == pytest.approx([0.8, NAN, 0.1], nan_ok=True)
    assert items.status == (Status.OK, Status.REFUSAL, Status.VOID)


def test_too_little_mass_is_a_status_and_no_number():
    shares = np.full((2, 2, 4), 0.25)
    items = score_items(shares, np.array([[0.6, 0.3], [0.7, 0.3]]), [[Status.OK] * 2] * 2)
    assert items.status == (Status.VOID, Status.OK)
    assert np.isnan(items.p_high_N[0])
    assert np.isnan(items.consistency_N[0])
    assert scored(shares, mass=0.1, min_mass=0.0).status == (Status.OK, Status.OK)


@given(distributions)
def test_high_and_low_are_each_others_mirror(shares):
    mirrored = scored(shares[:, :, [2, 3, 0, 1]])
    assert mirrored.p_high_N == pytest.approx(1 - scored(shares).p_high_N)
    assert mirrored.consistency_N == pytest.approx(scored(shares).consistency_N)


@given(
    st.sampled_from([Orders.ALL, Orders.CYCLIC]), hnp.arrays(float, 4, elements=st.floats(0.01, 1)), st.integers(0, 9)
)
def test_a_taste_for_places_alone_scores_chance(orders, letters, seed):
    letters = letters / letters.sum()
    shares = np.stack([by_option(letters, order) for order in option_orders(orders)])[None]
    assert scored(shares).p_high_N == pytest.approx([0.5])
    shuffled = np.random.default_rng(seed).permutation(shares, axis=1)
    assert scored(shuffled).consistency_N == pytest.approx(scored(shares).consistency_N)


@given(distributions)
def test_consistency_is_the_mean_over_pairs_of_orders(shares):
    pairs = [(o, p) for o in range(4) for p in range(4) if o != p]
    by_hand = np.mean([(shares[:, o] * shares[:, p]).sum(axis=1) for o, p in pairs], axis=0)
    assert order_consistency(shares) == pytest.approx(by_hand)


def test_consistency_at_its_ends():
    always_a = np.stack([by_option(np.array([1.0, 0, 0, 0]), order) for order in option_orders(Orders.CYCLIC)])
    same = np.tile([0.0, 0, 1, 0], (4, 1))
    found = order_consistency(np.stack([always_a, same, np.full((4, 4), 0.25)]))
    assert found.tolist() == pytest.approx([0.0, 1.0, 0.25])
    every = np.stack([by_option(np.array([1.0, 0, 0, 0]), order) for order in option_orders(Orders.ALL)])
    assert order_consistency(every[None]) == pytest.approx([5 / 23])
    assert np.isnan(order_consistency(same[None, :1])).all()


def test_a_trait_score_counts_void_items():
    p_high = np.array([0.2, 0.8, NAN, 0.6])
    items = ItemScores(p_high, np.array([0.9, 0.7, 0.1, NAN]), np.array([1, 0.5, NAN, NAN]), np.ones(4, int), ())
    score = trait_score(items, np.array([0.0, 1.0, NAN, 1.0]), **BOOT)
    assert score.score == pytest.approx(1.6 / 3)
    assert score.ci_low is not None
    assert 0 <= score.ci_low < score.score < score.ci_high <= 1
    assert (score.n, score.n_void, score.n_hard) == (3, 1, 3)
    assert score.mass == pytest.approx(1.7 / 3)
    assert score.order_consistency == pytest.approx(0.75)
    assert score.hard_score == pytest.approx(2 / 3)


def test_no_item_that_counts_is_no_number():
    score = trait_score(scored(np.full((2, 2, 4), NAN), mass=NAN, status=Status.REFUSAL), **BOOT)
    assert (score.score, score.ci_low, score.ci_high, score.mass, score.order_consistency) == (None,) * 5
    assert (score.n, score.n_void, score.hard_score) == (0, 2, None)


def test_shapes_and_sums_are_checked():
    with pytest.raises(ValueError, match=r"expected \(N, O, 4\)"):
        scored(np.full((2, 2, 3), 1 / 3))
    with pytest.raises(ValueError, match=r"shares sum to 2, not to 1"):
        scored(np.full((1, 1, 4), 0.5))
    with pytest.raises(ValueError, match=r"more or fewer than 2 orders"):
        score_items(np.full((1, 2, 4), 0.25), np.ones((1, 2)), [[Status.OK]])


def test_rows_go_through_their_tables_and_back():
    questions = [_question("openness", q, order) for q in range(3) for order in option_orders(Orders.ALL)]
    replies = [_reply((0.4, 0.3, 0.2, 0.1)) for _ in questions]
    replies[-24:] = [_reply((), mass=NAN, status=Status.REFUSAL)] * 24
    answers = answer_rows(Condition("m", 0, "unsteered"), questions, replies)
    assert answers[0].p_high1 == 0.4
    assert answers[0].request_id == "r"
    assert (answers[-1].p_high1, answers[-1].mass, answers[-1].status) == (None, None, "refusal")
    frame = conform(TRAIT_ANSWERS, {"model": "m", "iteration": "0"}, to_frame(TRAIT_ANSWERS, answers))
    (score,) = score_rows(from_frame(TraitAnswer, frame), **BOOT)
    assert score.score == pytest.approx(0.5)
    assert (score.n, score.n_void, score.half, score.n_hard) == (2, 1, "heldout", 2)
    table = conform(TRAIT_SCORES, {"model": "m", "iteration": "0"}, to_frame(TRAIT_SCORES, [score]))
    assert from_frame(TraitScoreRow, table) == [score]


def test_without_both_public_orders_there_is_no_hard_score():
    questions = [_question("openness", 0, order) for order in option_orders(Orders.CYCLIC)]
    answers = answer_rows(Condition("m", 0, "steered", 1.5), questions, [_reply((0.25,) * 4)] * 4)
    (score,) = score_rows(answers, **BOOT)
    assert (score.hard_score, score.n_hard) == (None, 0)
    assert answers[0].coefficient == 1.5


def test_items_asked_in_different_orders_are_refused():
    questions = [_question("openness", q, order) for q in range(2) for order in option_orders(Orders.PUBLIC)]
    answers = answer_rows(Condition("m", 0, "unsteered"), questions, [_reply((0.25,) * 4)] * 4)
    with pytest.raises(ValueError, match=r"openness1 was not asked in the orders low1 high1 low2 high2"):
        score_rows(answers[:3], **BOOT)
    with pytest.raises(ValueError, match=r"two answers to openness0 in the order"):
        score_rows([*answers, answers[0]], **BOOT)


def test_columns_that_queries_depend_on():
    names = {table.name: [column.name for column in table.columns] for table in TABLES}
    wanted = {"model", "iteration", "condition", "trait", "score", "ci_low", "ci_high", "mass", "n"}
    wanted |= {"order_consistency"}
    assert wanted <= set(names["features.trait_scores"])
    for table in TABLES:
        assert table.partition == ("model", "iteration")
        assert set(table.key) <= set(names[table.name])


def _question(trait, number, order):
    item = TraitItem(f"{trait}{number}", "s", trait, "x", "", ("a", "b"), ("c", "d"), Half.HELDOUT)
    return TraitQuestion(item, order, ())


def _reply(probabilities, mass=0.95, status=Status.OK):
    return OptionProbabilities("r", ("A", "B", "C", "D"), probabilities, mass, status, Estimator.LOGPROBS)


def _certain(trait, number, option):
    """Answers in both public orders that put nearly all on one option."""
    questions = [_question(trait, number, order) for order in option_orders(Orders.PUBLIC)]
    replies = [_reply(tuple(0.97 if one is option else 0.01 for one in question.order)) for question in questions]
    return answer_rows(Condition("m", 0, "unsteered"), questions, replies)
