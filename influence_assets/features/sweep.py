"""Which conditions a steering sweep asks under: every direction at every coefficient, and the controls.

    dose        each tried direction of a trait, every coefficient, the trait's own items
    off target  the same directions at plus and minus the reference coefficient, the items of all traits
    null        random and shuffled directions at the reference coefficient (a random direction has no sign)
    prompt      the category's description as system message, the items of all traits
    unsteered   the items of all traits

The reference coefficient is the largest of the study's with a mean KL within its bound: it is chosen by what pushes
cost on neutral text, never by the items.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from influence_assets.features.direction_records import DirectionRow
from influence_assets.features.settings import SteeringSettings
from influence_assets.features.trait_asking import UNSTEERED, Under
from influence_assets.features.trait_questions import TraitQuestion
from resources.messages import Message
from resources.steering import Push

RANDOM, SHUFFLED, PROMPT = "random", "shuffled", "prompt"
LOW = "low"
"""The category of a trait that lies at the other end of what its items score."""
NULLS = (RANDOM, SHUFFLED)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose condition it is: a direction of `features.directions`, or a prompt (without `row`)."""

    factor: str
    category: str
    method: str
    index: int = 0
    row: DirectionRow | None = None

    @property
    def is_null(self) -> bool:
        return self.method in NULLS

    def name(self, coefficient: float) -> str:
        """The condition's name, which implies the coefficient."""
        who = f"{self.factor} {self.category} {self.method}" if self.factor else self.method
        number = f" {self.index}" if self.is_null else ""
        return f"{who}{number}" if self.row is None else f"{who}{number} {coefficient:+g}"

    def under(self, coefficient: float, settings: SteeringSettings, system: tuple[Message, ...] = ()) -> Under:
        """The condition in which this subject acts with that coefficient."""
        if self.row is None:
            return Under(self.name(0.0), system=system)
        push = Push(self.row.path, coefficient, settings.mode, settings.positions)
        return Under(self.name(coefficient), (push,), coefficient)


@dataclass(frozen=True, slots=True)
class Trial:
    """One subject at one coefficient on some traits."""

    subject: Subject
    coefficient: float
    traits: tuple[str, ...]


def subjects_of(rows: Iterable[DirectionRow], settings: SteeringSettings, traits: Sequence[str]) -> list[Subject]:
    """The directions that are tried: those of the chosen factors and methods, and all random ones."""
    chosen = set(settings.factors or traits)
    subjects = []
    for row in rows:
        wanted = row.method in NULLS or not settings.methods or row.method in settings.methods
        if row.method == RANDOM or (row.factor in chosen and wanted):
            subjects.append(Subject(row.factor, row.category, row.method, row.index, row))
    return subjects


def reference_coefficient(
    kl: Mapping[tuple[str, float], float], subjects: Sequence[Subject], settings: SteeringSettings
) -> float:
    """The largest positive coefficient whose mean KL over the tried directions, both signs, is within the bound; the
    smallest one when none is, or nothing is tried. `kl` is by (direction_id, coefficient)."""
    positive = settings.positive
    own = [subject.row.direction_id for subject in subjects if subject.row is not None]
    within = [
        c
        for c in positive
        if own
        and np.mean([kl[one, sign * c] for one in own for sign in (1, -1) if (one, sign * c) in kl])
        <= settings.kl_bound
    ]
    return max(within) if within else min(positive)


def trials_of(
    subjects: Sequence[Subject], settings: SteeringSettings, reference: float, traits: Sequence[str]
) -> list[Trial]:
    """Every trial of the sweep but the unsteered one; see the module."""
    everything, trials = tuple(traits), []
    for subject in subjects:
        own = (subject.factor,) if subject.factor in traits else everything
        if subject.row is None:
            trials.append(Trial(subject, 0.0, everything))
        elif subject.method == RANDOM:
            trials.append(Trial(subject, reference, everything))
        elif subject.method == SHUFFLED:
            trials.append(Trial(subject, reference, own))
        elif subject.category == LOW:
            trials += [Trial(subject, c, own) for c in settings.coefficients if abs(c) == reference]
        else:
            trials += [
                Trial(subject, c, everything if abs(c) == reference else own) for c in settings.coefficients if c
            ]
    return trials


def questions_of(
    trials: Sequence[Trial],
    questions: Mapping[str, Sequence[TraitQuestion]],
    settings: SteeringSettings,
    prompts: Mapping[tuple[str, str], tuple[Message, ...]],
) -> list[tuple[Under, list[TraitQuestion]]]:
    """Trials with their questions, the unsteered model's first. `questions` go by trait, `prompts` by (factor,
    category)."""
    asked: list[tuple[Under, list[TraitQuestion]]] = [(UNSTEERED, [q for own in questions.values() for q in own])]
    for trial in trials:
        subject = trial.subject
        system = () if subject.row is not None else prompts[subject.factor, subject.category]
        under = subject.under(trial.coefficient, settings, system)
        asked.append((under, [q for trait in trial.traits for q in questions[trait]]))
    return asked
