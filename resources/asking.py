"""How the families ask models. `Models` is the one way; what implements it is in `resources/models.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from resources.messages import OptionProbabilities, Reply, Request

Progress = Callable[[int, int], None]
"""Called with (done, total) as replies come in."""


class Models(Protocol):
    """Two verbs, one request or many. Nothing here raises for a bad reply: it comes back as a row with a status."""

    async def generate(self, request: Request) -> Reply:
        """Text from the model, cached by content address."""
        ...

    async def choose(self, request: Request, options: Sequence[str]) -> OptionProbabilities:
        """The model's own next-token distribution over a closed set of answers (temperature 1, nothing cut off)."""
        ...

    async def generate_many(self, requests: Sequence[Request], on_progress: Progress | None = None) -> list[Reply]:
        """Replies in the order of the requests; cached ones are looked up together, the rest are asked at once."""
        ...

    async def choose_many(
        self, requests: Sequence[Request], options: Sequence[str], on_progress: Progress | None = None
    ) -> list[OptionProbabilities]:
        """Distributions in the order of the requests; cached ones are looked up together, the rest asked at once."""
        ...
