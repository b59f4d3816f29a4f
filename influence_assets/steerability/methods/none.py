"""No steering: the question alone. What every gain is measured against."""

from __future__ import annotations

from collections.abc import Sequence

from influence_assets.steerability.method import Case, Prefix, Steering


class Unsteered:
    """Nothing before the question."""

    name = "none"
    uses_statements = False

    async def prefixes(self, cases: Sequence[Case], steering: Steering) -> list[Prefix]:  # noqa: ARG002
        return [Prefix(())] * len(cases)


METHOD = Unsteered()
