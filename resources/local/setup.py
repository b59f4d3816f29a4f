"""What a request changes about the model that answers it. Needs no torch.

Rows of one forward pass share one setup; so do stored prefixes, since keys and values come out of the changed model.
"""

from __future__ import annotations

from dataclasses import dataclass

from resources.adapters import Adapter
from resources.errors import InputError
from resources.steering import FoundPush, Positions


@dataclass(frozen=True, slots=True)
class Setup:
    """The base model as it is, with an adapter, with its residual stream steered, or both."""

    adapter: Adapter | None = None
    steering: tuple[FoundPush, ...] = ()

    @property
    def counts_positions(self) -> bool:
        """Whether a token's place in its own prompt decides what is done to it, so that prompts share nothing."""
        return any(push.positions is not Positions.ALL for push in self.steering)


BASE = Setup()


class SetupError(Exception):
    """A setup that cannot be put on the model; `reason` is what whoever asked for it is told."""

    def __init__(self, setup: Setup, reason: InputError) -> None:
        super().__init__(str(reason))
        self.setup, self.reason = setup, reason
