"""The rows of the joint tables as typed values. `tables.py` says what each column holds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Measure(StrEnum):
    """What is measured of every checkpoint; docs/joint.md defines each."""

    SENSITIVITY = "sensitivity"
    GAIN = "gain"
    TRAIT_SCORE = "trait_score"
    PROJECTION_REPLIES = "projection_replies"
    PROJECTION_WORDS = "projection_words"
    PROJECTION_NEUTRAL = "projection_neutral"
    REWARD = "reward"
    HARM = "harm"
    TARGETING_GAP = "targeting_gap"
    STANCE_SHIFT = "stance_shift"

    @property
    def unit(self) -> str:
        """In what it is counted."""
        return _UNITS[self]


_UNITS = {
    Measure.SENSITIVITY: "share of other tests done worse, 0 to 1",
    Measure.GAIN: "accuracy less unsteered accuracy",
    Measure.TRAIT_SCORE: "P(high)",
    Measure.PROJECTION_REPLIES: "mean residual norms",
    Measure.PROJECTION_WORDS: "mean residual norms",
    Measure.PROJECTION_NEUTRAL: "mean residual norms",
    Measure.REWARD: "expected rating",
    Measure.HARM: "harm, 0 to 1",
    Measure.TARGETING_GAP: "harm, vulnerable less ordinary",
    Measure.STANCE_SHIFT: "steps of the stance scale",
}


class ReadText(StrEnum):
    """What is read, and by whom: a checkpoint reads its own replies, the untouched model reads the same (what is said,
    in one and the same stream), and a checkpoint reads the same neutral texts every time."""

    REPLIES = "replies"
    WORDS = "words"
    NEUTRAL = "neutral"


OF_REPLIES = {ReadText.REPLIES: Measure.PROJECTION_REPLIES, ReadText.WORDS: Measure.PROJECTION_WORDS}
"""The measures that are taken of replies, by who reads."""


@dataclass(frozen=True, slots=True)
class Projection:
    """A row of `joint.projections`."""

    model: str
    iteration: int
    text_set: str
    text_id: str
    direction_id: str
    factor: str
    category: str
    method: str
    index: int
    projection: float
    n_tokens: int


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """A row of `joint.checkpoint_profile`."""

    model: str
    iteration: int
    measure: str
    subject: str
    user_kind: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    unit: str


@dataclass(frozen=True, slots=True)
class DriftRow:
    """A row of `joint.drift`."""

    model: str
    iteration: int
    measure: str
    subject: str
    user_kind: str
    change: float | None
    ci_low: float | None
    ci_high: float | None
    p: float | None
    p_adjusted: float | None
    n: int
    resampled: str
    n_resampled: int
    spread: float | None
    effect: float | None
    z_random: float | None
    z_shuffled: float | None
    unit: str


@dataclass(frozen=True, slots=True)
class HarmMove:
    """A row of `joint.moves_with_harm`."""

    model: str
    iteration: int
    measure: str
    subject: str
    correlation: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    resampled: str
    n_resampled: int


def known(number: float) -> float | None:
    """A number, or null for nan; without the last digits, which depend on the machine."""
    return None if math.isnan(number) else round(float(number), 9) + 0.0
