"""The persona's description."""

from __future__ import annotations

from collections.abc import Sequence

from influence_assets.steerability.method import Case, Prefix, Steering


class ByDescription:
    """The variant `description` of the prompt file."""

    name = "description"
    uses_statements = False

    async def prefixes(self, cases: Sequence[Case], steering: Steering) -> list[Prefix]:
        return [Prefix(steering.prompts.render("description", description=case.persona.description)) for case in cases]


METHOD = ByDescription()
