"""The model first writes, from the statements, who this persona must be, and is then steered by its own words.

This is what a service with a user model does. The text counts only when the model finished it; otherwise every answer
that would have followed carries the status of the failed request.
"""

from __future__ import annotations

from collections.abc import Sequence

from influence_assets.steerability.method import Case, Prefix, Steering
from resources.messages import Reply, Request, Role, Sampling, Status

# One description per case, so the likeliest one: a draw at temperature 1 would add noise that no repeat averages out.
_SAMPLING = Sampling(temperature=0.0, max_tokens=128)


class ByInferredDescription:
    """The variants `infer` (asked first) and `description` (filled with the answer) of the prompt file."""

    name = "inferred_description"
    uses_statements = True

    async def prefixes(self, cases: Sequence[Case], steering: Steering) -> list[Prefix]:
        asked = [case for case in cases if case.n_steer]
        replies = await steering.models.generate_many([_request(case, steering) for case in asked])
        by_case = iter(replies)
        return [_prefix(next(by_case), steering) if case.n_steer else Prefix(()) for case in cases]


def _request(case: Case, steering: Steering) -> Request:
    messages = steering.prompts.render("infer", agree=case.agree, disagree=case.disagree)
    return Request(steering.model, messages, Role.AGENT, sampling=_SAMPLING, adapter=steering.adapter)


def _prefix(reply: Reply, steering: Steering) -> Prefix:
    description = reply.text.strip()
    if reply.status is not Status.OK:
        return Prefix((), reply.status)
    if not description:
        return Prefix((), Status.UNPARSABLE)
    return Prefix(steering.prompts.render("description", description=description))


METHOD = ByInferredDescription()
