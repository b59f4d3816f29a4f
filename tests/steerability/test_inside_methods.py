"""Steering from inside: a persona's traits become pushes, and what cannot be pushed fails with a status."""

import asyncio

import polars as pl
import pytest
from steering_world import PROMPTS, RuleModels

from influence_assets.features.settings import SteeringSettings
from influence_assets.steerability.internal import Directions, Pole
from influence_assets.steerability.method import Case, Prefix, Steering, all_methods, needs_directions
from influence_assets.steerability.people import Persona
from influence_assets.steerability.study_design import directions_of
from resources.messages import Status
from resources.steering import Push

UP, DOWN = Push("up.safetensors", 0.1), Push("down.safetensors", 0.1)
DIRECTIONS = Directions(
    {Pole("warmth", "high", "difference_in_means"): UP, Pole("order", "low", "difference_in_means"): DOWN}
)


def prefix(
    levels: dict[str, float], name: str = "control_vector", directions: Directions | None = DIRECTIONS
) -> Prefix:
    case = Case(Persona("f", "F", "id", "Ada", "someone", levels), (), (), 0, 0)
    steering = Steering(RuleModels(), "fake", PROMPTS.methods, directions=directions)
    (found,) = asyncio.run(all_methods()[name].prefixes([case], steering))
    return found


def test_every_trait_of_the_persona_is_a_push() -> None:
    assert prefix({"warmth": 1.0, "order": -1.0}) == Prefix((), steering=(DOWN, UP))
    assert prefix({"warmth": 1.0, "order": 0.0}) == Prefix((), steering=(UP,))


@pytest.mark.parametrize("levels", [{}, {"warmth": 0.0}, {"warmth": -1.0}, {"warmth": 1.0, "wit": 1.0}])
def test_what_has_no_direction_fails_and_is_no_number(levels) -> None:
    assert prefix(levels) == Prefix((), Status.VOID)


def test_each_method_uses_directions_of_its_own_kind() -> None:
    assert prefix({"warmth": 1.0}, "sae_features").status is Status.VOID
    assert prefix({"warmth": 1.0}, directions=None).status is Status.VOID
    assert needs_directions(["description", "control_vector"])
    assert not needs_directions(["description", "name", "no such"])


def test_the_coefficient_is_the_reference_of_the_sweep() -> None:
    rows = pl.DataFrame(
        {
            "factor": ["warmth", "warmth"],
            "category": ["high", "high"],
            "method": ["difference_in_means", "shuffled"],
            "path": ["up.safetensors", "s"],
            "index": [0, 3],
        }
    )
    settings = SteeringSettings(coefficients=(-0.2, 0.0, 0.05, 0.2))
    swept = directions_of(rows, pl.DataFrame({"reference": [0.0, 0.2]}), settings)
    assert swept.pushes == {Pole("warmth", "high", "difference_in_means"): Push("up.safetensors", 0.2)}
    unswept = directions_of(rows, pl.DataFrame({"reference": []}, schema={"reference": pl.Float64}), settings)
    assert [push.coefficient for push in unswept.pushes.values()] == [0.05]
