"""Agreement: do judges other than the generator believe the label?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean

from influence_assets.personas.records import Candidate, Decision, Filter, Persona
from resources.asking import Models, Progress
from resources.messages import OptionProbabilities, Request, Role, Status
from resources.prompts import PromptFile

YES = "yes"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What all judges together say of one persona and text.

    `p_agree` is the mean over the judges that gave a valid answer in every answer order; nan when none did, and then
    `status` says what became of the first failed answer.
    """

    p_agree: float
    n_judges: int
    status: Status

    def confidence(self, agree: bool) -> float:
        """Distance of P(agree) from .5 on the label's side: .5 certain, 0 undecided, negative for the other label."""
        return self.p_agree - 0.5 if agree else 0.5 - self.p_agree


async def judge(
    candidates: Sequence[Candidate],
    personas: Mapping[str, Persona],
    prompt: PromptFile,
    models: Models,
    judges: Sequence[str],
    on_progress: Progress | None = None,
) -> dict[str, Judgement]:
    """Judgements by statement id. Every judge is asked in every answer order (variant) of the prompt, one token each.

    Personas without a description are not among the candidates' personas.
    """
    plan = [request for c in candidates for request in judge_requests(personas[c.persona_id], c.text, prompt, judges)]
    answers = await models.choose_many(plan, prompt.options, on_progress)
    orders = len(prompt.variants)
    per_candidate = orders * len(judges)
    return {
        candidate.id: combine(
            [answers[at + j * orders : at + (j + 1) * orders] for j in range(len(judges))],
        )
        for candidate, at in zip(candidates, range(0, len(answers), per_candidate), strict=True)
    }


def judge_requests(persona: Persona, text: str, prompt: PromptFile, judges: Sequence[str]) -> list[Request]:
    """What is asked of every judge, in every answer order, about one persona and text; judge by judge."""
    description = _description(persona)
    return [
        Request(
            model=model,
            messages=prompt.render(variant, description=description, statement=text),
            role=Role.FILTER_JUDGE,
        )
        for model, variant in product(judges, prompt.variants)
    ]


def _description(persona: Persona) -> str:
    if persona.description is None:
        raise ValueError(f"persona {persona.name} has no description and cannot be judged")
    return persona.description


def combine(answers_by_judge: Sequence[Sequence[OptionProbabilities]]) -> Judgement:
    """One judgement out of every judge's answers in every order.

    A judge counts only when all of its answers are valid: half of the orders alone would bring the bias towards the
    first answer back.
    """
    valid = [
        fmean(answer.p(YES) for answer in answers)
        for answers in answers_by_judge
        if all(answer.status is Status.OK for answer in answers)
    ]
    if valid:
        return Judgement(fmean(valid), len(valid), Status.OK)
    failed = next(answer.status for answers in answers_by_judge for answer in answers if answer.status is not Status.OK)
    return Judgement(math.nan, 0, failed)


def agreement(candidates: Sequence[Candidate], judgements: Mapping[str, Judgement], threshold: float) -> list[Decision]:
    """One decision per candidate; passed when the confidence on the label's side is at least the threshold.

    A void, refused or given-up judgement fails with its status as the reason and no score.
    """
    return [_decision(candidate, judgements[candidate.id], threshold) for candidate in candidates]


def _decision(candidate: Candidate, judgement: Judgement, threshold: float) -> Decision:
    valid = judgement.status is Status.OK
    confidence = judgement.confidence(candidate.agree)
    passed = valid and confidence >= threshold
    if not valid:
        reason = judgement.status.value
    elif passed:
        reason = ""
    else:
        reason = "the judges believe the other label" if confidence < 0 else "the judges are not sure"
    return Decision(
        framework=candidate.framework,
        statement_id=candidate.id,
        persona_id=candidate.persona_id,
        filter=Filter.AGREEMENT.value,
        passed=passed,
        score=confidence if valid else None,
        threshold=threshold,
        reason=reason,
    )
