"""What the numbers of a report do not say: sentences of `limits.yaml` that hold for this study."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from influence_assets.influence.metrics import ENOUGH_ENVIRONMENTS
from influence_assets.study import Study
from resources.messages import Role
from resources.yamlfiles import load_yaml

FEW_PERSONAS = 20
"""The simulated studies behind the intervals' coverage (docs/steerability.md) had so many."""

ORGANISM = "organism"
"""The registry's name of the model that ships with the project."""

_JUDGES = (Role.PREFERENCE, Role.VETO, Role.EVALUATION_JUDGE)


class When(StrEnum):
    """Under which condition a sentence stands in a report."""

    ALWAYS = "always"
    CONVERSATIONS = "conversations"
    ORGANISM = "organism"
    JUDGES_ITSELF = "judges_itself"
    JUDGE_MEASURES = "judge_measures"
    FEW_ENVIRONMENTS = "few_environments"
    FEW_PERSONAS = "few_personas"
    TRAINED = "trained"
    CHECKS_NOT_PASSED = "checks_not_passed"
    EDITED_CHECKOUT = "edited_checkout"


class _Limit(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    when: When
    text: str = Field(min_length=1)


class _Limits(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    limits: tuple[_Limit, ...] = Field(min_length=1)


class Facts(BaseModel):
    """What the conditions rest on; counts are of what has landed, environments those with conversations."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: tuple[str, ...]
    n_environments: int
    n_personas: int
    trained: bool
    checks_passed: bool
    edited_checkout: bool


def limits_of(study: Study, facts: Facts) -> tuple[str, ...]:
    """The sentences that hold, in the file's order."""
    holding = holding_conditions(study, facts)
    listed = load_yaml(Path(__file__).with_name("limits.yaml"), _Limits)
    return tuple(limit.text.strip() for limit in listed.limits if limit.when in holding)


def holding_conditions(study: Study, facts: Facts) -> frozenset[When]:
    """The conditions that hold for this study and what has landed of it."""
    judges = {name for role in _JUDGES for name in study.roles.get(role, ())}
    training = set(_players(study, (Role.PREFERENCE, Role.VETO)))
    holds = {
        When.ALWAYS: True,
        When.CONVERSATIONS: facts.n_environments > 0,
        When.ORGANISM: ORGANISM in facts.models,
        When.JUDGES_ITSELF: facts.n_environments > 0 and bool(judges & set(facts.models)),
        When.JUDGE_MEASURES: facts.n_environments > 0
        and bool(training & set(study.roles.get(Role.EVALUATION_JUDGE, ()))),
        When.FEW_ENVIRONMENTS: 0 < facts.n_environments < ENOUGH_ENVIRONMENTS,
        When.FEW_PERSONAS: 0 < facts.n_personas < FEW_PERSONAS,
        When.TRAINED: facts.trained,
        When.CHECKS_NOT_PASSED: not facts.checks_passed,
        When.EDITED_CHECKOUT: facts.edited_checkout,
    }
    return frozenset(when for when, true in holds.items() if true)


def _players(study: Study, roles: Sequence[Role]) -> list[str]:
    return [name for role in roles for name in study.roles.get(role, ())]
