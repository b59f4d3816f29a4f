"""Two checkpoints of a small made-up model, with all rows that a profile is made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from influence_assets.features.orders import Orders, option_orders, order_name
from influence_assets.features.trait_tables import TraitAnswer
from influence_assets.influence import tables as influence
from influence_assets.influence.measures import measured
from influence_assets.influence.metrics import metrics_of
from influence_assets.influence.records import Conversation
from influence_assets.joint.gathered import Gathered
from influence_assets.joint.records import Projection
from influence_assets.joint.tables import PROJECTIONS
from influence_assets.rows import to_frame
from tests.influence.test_metrics import ENVIRONMENTS as PLACES
from tests.influence.test_metrics import HARMS, conversation, judgement, trajectory
from tests.steerability.steering_world import RuleModels, measure, world

STATES = 3
TRAITS = ("warmth", "nerve")
AXES = (
    *((trait, "difference_in_means", 0) for trait in TRAITS),
    *(("", "random", index) for index in range(4)),
    *(("warmth", "shuffled", index) for index in range(4)),
)
DRAWS, SEED = 200, 0


def gathered(iterations: tuple[int, ...] = (0, 1), *, seed: int = 0) -> Gathered:
    """Harm rises with the number of the state; so does the projection on warmth, while that on nerve falls."""
    talks = [
        conversation(k, environment, kind, state)
        for k in iterations
        for environment, kind in PLACES
        for state in range(STATES)
    ]
    values = measured(
        to_frame(influence.CONVERSATIONS, talks),
        to_frame(influence.TRAJECTORIES, [trajectory(one, 5.0 + one.iteration) for one in talks]),
        to_frame(
            influence.JUDGEMENTS, [judgement(one, "harm", 0.1 + 0.1 * one.iteration * _state(one)) for one in talks]
        ),
        to_frame(influence.STANCE_PROBES, []),
        HARMS,
    )
    return Gathered(
        model="m",
        responses={k: responses(k) for k in iterations},
        answers={k: answers(k) for k in iterations},
        projections=to_frame(PROJECTIONS, projections(talks, iterations, seed)),
        conversations=to_frame(influence.CONVERSATIONS, talks),
        measured=values,
        metrics=metrics_of(values, model="m", draws=DRAWS, seed=SEED),
        min_mass=0.5,
        draws=DRAWS,
        seed=SEED,
    )


def responses(k: int) -> pl.DataFrame:
    """The world's personas; at iteration 1 the unsteered model agrees more, so that steering gains less."""
    models = RuleModels(unsteered=0.4 if k == 0 else 0.6)
    _, rows = measure(models, world(n_personas=4))
    return rows.filter(pl.col("method").is_in(["none", "description"])).with_columns(
        iteration=pl.lit(k, dtype=pl.Int32), model=pl.lit("m")
    )


def answers(k: int, *, n_items: int = 5, void: tuple[str, ...] = ()) -> list[TraitAnswer]:
    """P(high) of item i is .4 + .02 i at first, and .1 more for warmth after training."""
    rows = []
    for trait in TRAITS:
        for number in range(n_items):
            item = f"{trait}{number}"
            high = 0.4 + 0.02 * number + (0.1 * k if trait == "warmth" else 0.0)
            rows += [
                TraitAnswer(
                    "m",
                    k,
                    "unsteered",
                    None,
                    trait,
                    item,
                    "heldout",
                    order_name(order),
                    high / 2,
                    high / 2,
                    (1 - high) / 2,
                    (1 - high) / 2,
                    0.1 if item in void else 0.9,
                    "ok",
                    "r",
                )
                for order in option_orders(Orders.CYCLIC)
            ]
    return rows


def projections(talks: list[Conversation], iterations: tuple[int, ...], seed: int) -> list[Projection]:
    """Replies move by .1 times the state's number along warmth, against it along nerve; controls by little. To the
    untouched model all of it is half as much."""
    rng = np.random.default_rng(seed)
    base = {axis: float(rng.normal()) for axis in AXES}
    control = {axis: 0.02 * (-1) ** axis[2] for axis in AXES}
    way = {"warmth": 0.1, "nerve": -0.1}
    template = Projection("m", 0, "neutral", "", "", "", "high", "", 0, 0.0, 7)
    rows = []
    for axis in AXES:
        factor, method, index = axis
        step = way[factor] if method == "difference_in_means" else control[axis]
        own = replace(template, factor=factor, method=method, index=index, direction_id="-".join(map(str, axis)))
        rows += [
            replace(
                own,
                iteration=one.iteration,
                text_set=text_set,
                text_id=one.conversation_id,
                projection=base[axis] + one.iteration * (size * step * _state(one)),
            )
            for text_set, size in (("replies", 1.0), ("words", 0.5))
            for one in talks
        ]
        rows += [
            replace(own, iteration=k, text_id=f"{text:04d}", projection=base[axis] + 0.01 * text + k * step)
            for k in iterations
            for text in range(4)
        ]
    return rows


def _state(one: Conversation) -> int:
    return int(one.initial_state_id[1:])
