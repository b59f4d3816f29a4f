"""The design of a sweep: every control is there, and the reference coefficient is chosen by cost alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from influence_assets.features.items import Half, TraitItem
from influence_assets.features.orders import Orders, option_orders
from influence_assets.features.settings import SteeringSettings
from influence_assets.features.sweep import (
    LOW,
    PROMPT,
    RANDOM,
    SHUFFLED,
    Subject,
    Trial,
    questions_of,
    reference_coefficient,
    subjects_of,
    trials_of,
)
from influence_assets.features.trait_asking import UNSTEERED
from influence_assets.features.trait_questions import TraitQuestion
from resources.messages import Message
from tests.features.sweep_cases import TRAITS, direction, directions, subject

COEFFICIENTS = (-0.4, -0.2, 0.0, 0.2, 0.4)
SETTINGS = SteeringSettings(coefficients=COEFFICIENTS)
REFERENCE = 0.2


def swept() -> tuple[list[Subject], list[Trial]]:
    found = subjects_of(directions(), SETTINGS, TRAITS)
    found += [Subject(trait, category, PROMPT) for trait in TRAITS for category in ("high", "low")]
    return found, trials_of(found, SETTINGS, REFERENCE, TRAITS)


def coefficients(trials: Sequence[Trial], trait: str, **fields: object) -> dict[str, list[float]]:
    """By name of who acts: the coefficients at which a trait's items are asked."""
    found: dict[str, list[float]] = {}
    for trial in trials:
        if all(getattr(trial.subject, name) == value for name, value in fields.items()) and trait in trial.traits:
            found.setdefault(trial.subject.name(0).removesuffix(" +0"), []).append(trial.coefficient)
    return found


def test_every_direction_has_its_curve_and_every_control_its_pair() -> None:
    _, trials = swept()
    for trait in TRAITS:
        own = coefficients(trials, trait, factor=trait, category="high", method="difference_in_means")
        assert own == {f"{trait} high difference_in_means": [c for c in COEFFICIENTS if c]}
        for other in TRAITS:
            away = coefficients(trials, other, factor=trait, category="high", method="difference_in_means")
            assert other == trait or list(away.values()) == [[-REFERENCE, REFERENCE]]
        low = coefficients(trials, trait, factor=trait, category=LOW, method="difference_in_means")
        assert [sorted(found) for found in low.values()] == [[-REFERENCE, REFERENCE]]
        random = coefficients(trials, trait, method=RANDOM)
        shuffled = coefficients(trials, trait, factor=trait, method=SHUFFLED)
        assert (len(random), len(shuffled)) == (3, 2), "random ones on every trait's items"
        for found in (*random.values(), *shuffled.values()):
            assert REFERENCE in found
            assert {abs(c) for c in found} == {REFERENCE}
        prompts = coefficients(trials, trait, method=PROMPT)
        assert len(prompts) == 2 * len(TRAITS), "prompts of all traits are asked everything"


def test_conditions_have_names_of_their_own() -> None:
    _, trials = swept()
    names = [trial.subject.name(trial.coefficient) for trial in trials]
    assert len(names) == len(set(names))
    assert UNSTEERED.name not in names
    unders = [trial.subject.under(trial.coefficient, SETTINGS) for trial in trials]
    assert [under.name for under in unders] == names
    for under, trial in zip(unders, trials, strict=True):
        pushed = [(push.file, push.coefficient) for push in under.steering]
        assert pushed == ([] if trial.subject.row is None else [(trial.subject.row.path, trial.coefficient)])


def test_only_chosen_factors_and_methods_are_tried_and_all_random_ones() -> None:
    chosen = SteeringSettings(factors=(TRAITS[0],), methods=("probe",))
    found = {(one.factor, one.method) for one in subjects_of(directions(), chosen, TRAITS)}
    assert found == {(TRAITS[0], "probe"), (TRAITS[0], SHUFFLED), ("", RANDOM)}
    every = {(one.factor, one.method) for one in subjects_of(directions(), SteeringSettings(), TRAITS)}
    assert ("age", "probe") not in every, "a factor without items is no trait"
    assert len(every) == 3 * len(TRAITS) + 1


def test_factors_without_items_are_tried_on_every_trait() -> None:
    age = Subject("age", "old", "probe", row=direction("age", "old", "probe"))
    assert {trial.traits for trial in trials_of([age], SETTINGS, REFERENCE, TRAITS)} == {TRAITS}


@settings(deadline=None)
@given(costs=st.lists(st.floats(0, 0.3), min_size=4, max_size=4))
def test_the_reference_is_the_largest_coefficient_within_the_bound(costs: list[float]) -> None:
    steering = SteeringSettings(coefficients=(-2.0, -1.0, 0.0, 1.0, 2.0), kl_bound=0.1)
    one = subject(TRAITS[0], "high", "probe")
    kl = dict(zip([(one.row.direction_id, c) for c in (1.0, -1.0, 2.0, -2.0)], costs, strict=True))
    found = reference_coefficient(kl, [one], steering)
    if (costs[2] + costs[3]) / 2 <= 0.1:
        assert found == 2.0
    else:
        assert found == 1.0, "the smaller one, within the bound or not"


def test_the_reference_is_the_smallest_where_nothing_is_tried() -> None:
    assert reference_coefficient({}, [], SETTINGS) == 0.2


def test_a_cost_that_is_not_known_is_not_within_the_bound() -> None:
    one = subject(TRAITS[0], "high", "probe")
    kl = {(one.row.direction_id, c): 0.0 if abs(c) < 0.3 else math.nan for c in COEFFICIENTS}
    assert reference_coefficient(kl, [one], SETTINGS) == 0.2


def question(trait: str, number: int) -> TraitQuestion:
    item = TraitItem(f"{trait}{number}", "s", trait, "x", "", ("a", "b"), ("c", "d"), Half.HELDOUT)
    return TraitQuestion(item, option_orders(Orders.CYCLIC)[0], (Message(role="user", content=item.id),))


def test_trials_become_questions_behind_the_unsteered_ones() -> None:
    _, trials = swept()
    questions = {trait: [question(trait, number) for number in range(2)] for trait in TRAITS}
    prompts = {
        (trait, category): (Message(role="system", content=f"{trait} {category}"),)
        for trait, category in itertools.product(TRAITS, ("high", "low"))
    }
    asked = questions_of(trials, questions, SETTINGS, prompts)
    assert asked[0] == (UNSTEERED, [one for own in questions.values() for one in own])
    assert len(asked) == 1 + len(trials)
    for (under, own), trial in zip(asked[1:], trials, strict=True):
        assert [one.item.trait for one in own] == [trait for trait in trial.traits for _ in range(2)]
        steered_by = [message.content for message in under.system]
        who = trial.subject
        assert steered_by == ([] if who.row is not None else [f"{who.factor} {who.category}"])


@pytest.mark.parametrize("values", [(0.0,), (-1.0, 1.0), (0.0, 1.0), (-1.0, 0.0), (-1.0, 0.0, 1.0, 1.0)])
def test_coefficients_have_both_signs_and_zero(values: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="both signs"):
        SteeringSettings(coefficients=values)


def test_the_index_is_in_the_name_of_a_null_alone() -> None:
    assert subject("", "", RANDOM, 3).name(-0.2) == "random 3 -0.2"
    assert subject(TRAITS[0], "high", SHUFFLED, 1).name(0.2) == f"{TRAITS[0]} high shuffled 1 +0.2"
    assert Subject(TRAITS[0], "high", PROMPT).name(0.0) == f"{TRAITS[0]} high prompt"
