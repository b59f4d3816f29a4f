"""Statements that the persona would and would not say; without statements, no steering."""

from __future__ import annotations

from collections.abc import Sequence

from influence_assets.steerability.method import Case, Prefix, Steering


class ByExamples:
    """The variant `examples` of the prompt file."""

    name = "examples"
    uses_statements = True

    async def prefixes(self, cases: Sequence[Case], steering: Steering) -> list[Prefix]:
        return [
            Prefix(steering.prompts.render("examples", agree=case.agree, disagree=case.disagree))
            if case.n_steer
            else Prefix(())
            for case in cases
        ]


METHOD = ByExamples()
