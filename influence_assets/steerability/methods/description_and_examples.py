"""The persona's description and statements that it would and would not say; without statements, the description."""

from __future__ import annotations

from collections.abc import Sequence

from influence_assets.steerability.method import Case, Prefix, Steering


class ByDescriptionAndExamples:
    """The variant `description_and_examples` of the prompt file."""

    name = "description_and_examples"
    uses_statements = True

    async def prefixes(self, cases: Sequence[Case], steering: Steering) -> list[Prefix]:
        return [Prefix(steering.prompts.render(_variant(case), **_values(case))) for case in cases]


def _variant(case: Case) -> str:
    return "description_and_examples" if case.n_steer else "description"


def _values(case: Case) -> dict[str, str | tuple[str, ...]]:
    description: dict[str, str | tuple[str, ...]] = {"description": case.persona.description}
    return description | {"agree": case.agree, "disagree": case.disagree} if case.n_steer else description


METHOD = ByDescriptionAndExamples()
