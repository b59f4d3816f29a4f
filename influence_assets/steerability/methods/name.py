"""The persona's name, with its framework, since a name alone may mean something else."""

from __future__ import annotations

from collections.abc import Sequence

from influence_assets.steerability.method import Case, Prefix, Steering


class ByName:
    """The variant `name` of the prompt file."""

    name = "name"
    uses_statements = False

    async def prefixes(self, cases: Sequence[Case], steering: Steering) -> list[Prefix]:
        return [
            Prefix(steering.prompts.render("name", name=case.persona.name, framework=case.persona.framework_name))
            for case in cases
        ]


METHOD = ByName()
