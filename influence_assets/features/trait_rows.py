"""From replies to rows: a model's answers to trait questions under one condition, and the scores they come to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from influence_assets.features.orders import FORWARD, REVERSE, by_option, order_name
from influence_assets.features.trait_questions import TraitQuestion
from influence_assets.features.trait_scores import hard_high, hard_shares, score_items, trait_score
from influence_assets.features.trait_tables import TraitAnswer, TraitScoreRow
from resources.answers import VOID_BELOW
from resources.messages import OptionProbabilities, Status

_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Condition:
    """What a checkpoint was under when it was asked. `coefficient` is None where no vector is added."""

    model: str
    iteration: int
    name: str
    coefficient: float | None = None


def answer_rows(
    condition: Condition, questions: Sequence[TraitQuestion], replies: Sequence[OptionProbabilities]
) -> list[TraitAnswer]:
    """Rows of `features.trait_answers`, in the order of the questions; `replies` line up with them.

    A reply's probabilities are kept whenever it has any; whether the mass suffices is decided per item.
    """
    return [_answer(condition, question, reply) for question, reply in zip(questions, replies, strict=True)]


def score_rows(
    answers: Iterable[TraitAnswer], *, draws: int, seed: int, min_mass: float = VOID_BELOW
) -> list[TraitScoreRow]:
    """Rows of `features.trait_scores`, one per model, iteration, condition, trait and half of the answers.

    There is a hard score where every item was asked in both public orders. Raises `ValueError` where the items of a
    row were not all asked in the same orders under one coefficient.
    """
    groups: dict[tuple[str, int, str, str, str], list[TraitAnswer]] = {}
    for one in answers:
        groups.setdefault((one.model, one.iteration, one.condition, one.trait, one.half), []).append(one)
    rows = []
    for (model, iteration, condition, trait, half), members in groups.items():
        orders, table_N_O = _by_item(members)
        shares_N_O_4 = np.array([[_shares(one) for one in row] for row in table_N_O], dtype=np.float64)
        mass_N_O = np.array([[_NAN if one.mass is None else one.mass for one in row] for row in table_N_O])
        statuses_N_O = [[Status(one.status) for one in row] for row in table_N_O]
        items = score_items(shares_N_O_4, mass_N_O, statuses_N_O, min_mass=min_mass)
        score = trait_score(items, _hard(orders, shares_N_O_4), draws=draws, seed=seed)
        rows.append(
            TraitScoreRow(
                model=model,
                iteration=iteration,
                condition=condition,
                trait=trait,
                half=half,
                score=score.score,
                ci_low=score.ci_low,
                ci_high=score.ci_high,
                mass=score.mass,
                order_consistency=score.order_consistency,
                n=score.n,
                n_void=score.n_void,
                hard_score=score.hard_score,
                n_hard=score.n_hard,
            )
        )
    return rows


def _answer(condition: Condition, question: TraitQuestion, reply: OptionProbabilities) -> TraitAnswer:
    shares = by_option(np.array(reply.probabilities), question.order).tolist() if reply.probabilities else [None] * 4
    return TraitAnswer(
        model=condition.model,
        iteration=condition.iteration,
        condition=condition.name,
        coefficient=condition.coefficient,
        trait=question.item.trait,
        item_id=question.item.id,
        half=question.item.half.value,
        order=order_name(question.order),
        p_high1=shares[0],
        p_high2=shares[1],
        p_low1=shares[2],
        p_low2=shares[3],
        mass=reply.mass if math.isfinite(reply.mass) else None,
        status=reply.status.value,
        request_id=reply.request_id or None,
    )


def _by_item(answers: Sequence[TraitAnswer]) -> tuple[tuple[str, ...], list[list[TraitAnswer]]]:
    """The names of the orders, and for each item its answers in that order."""
    items: dict[str, dict[str, TraitAnswer]] = {}
    for one in answers:
        found = items.setdefault(one.item_id, {})
        if one.order in found:
            raise ValueError(f"{one.condition}: two answers to {one.item_id} in the order {one.order}")
        found[one.order] = one
    orders = tuple(sorted({one.order for one in answers}))
    for item_id, found in items.items():
        if len(found) < len(orders):
            missing = ", ".join(sorted(set(orders) - set(found)))
            raise ValueError(f"{item_id} was not asked in the orders {missing}, as others were")
    return orders, [[found[order] for order in orders] for found in items.values()]


def _shares(answer: TraitAnswer) -> list[float]:
    shares = (answer.p_high1, answer.p_high2, answer.p_low1, answer.p_low2)
    return [_NAN if share is None else share for share in shares]


def _hard(orders: Sequence[str], shares_N_O_4: NDArray[np.float64]) -> NDArray[np.float64] | None:
    public = (order_name(FORWARD), order_name(REVERSE))
    if any(name not in orders for name in public):
        return None
    forward, reverse = (orders.index(name) for name in public)
    return hard_high(hard_shares(shares_N_O_4[:, forward], shares_N_O_4[:, reverse]))
