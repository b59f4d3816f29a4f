"""The study's hard stop: reserve what a request may cost before it is sent, release it when its cost is in the ledger.

What was spent is the ledger's own sum over everything that shares the budget (`scope`: one run, one backfill), other
processes included; it is refreshed with every commit. A request that does not fit waits while others are in flight,
since most cost less than was reserved for them; when nothing is in flight it raises `BudgetError`. Other processes'
requests in flight are not seen before they are committed: the cap can be passed by what they cost, and no more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from resources.errors import BudgetError
from resources.messages import Request, Usage
from resources.registry import Price

_CHARACTERS_PER_TOKEN = 2.0
"""For the upper bound of a prompt's length: English has about 4, other scripts and code fewer."""

_TOKENS_PER_MESSAGE = 16
_MILLION = 1_000_000


def cost_usd(usage: Usage, price: Price) -> float:
    """US dollars of one request; tokens that the provider served from its own cache have their own price."""
    fresh = max(usage.input_tokens - usage.cached_tokens, 0)
    cached = usage.cached_tokens * price.cached_input
    return (fresh * price.input + cached + usage.output_tokens * price.output) / _MILLION


def cost_at_most(request: Request, price: Price, output_tokens: int) -> float:
    """US dollars that one request will hardly exceed, from the length of its prompt and its bound on the answer."""
    characters = sum(len(message.content) for message in request.messages)
    tokens = characters / _CHARACTERS_PER_TOKEN + _TOKENS_PER_MESSAGE * len(request.messages)
    return (tokens * price.input + output_tokens * price.output) / _MILLION


@dataclass(slots=True)
class Reservation:
    """Money for one request in flight: what it was thought to cost at most, and what is held back for it."""

    amount: float
    held: float


class Budget:
    """A cap in US dollars over one scope; `cap=None` never stops. Used from one event loop."""

    def __init__(self, cap: float | None, *, spent: float = 0.0, scope: str = "") -> None:
        self.cap, self.scope = cap, scope
        self.spent, self.reserved = spent, 0.0
        self._in_flight = 0
        self._factor = 1.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def reserve(self, amount: float) -> Reservation:
        """Set `amount` aside, waiting for others to settle where that may help; raise `BudgetError` where it cannot.

        Where earlier requests cost more than was thought, `amount` is scaled up by as much.
        """
        while self.cap is not None and amount > 0 and self.spent + self.reserved + amount * self._factor > self.cap:
            if not self._in_flight:
                raise BudgetError(self._message(amount * self._factor))
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
        reservation = Reservation(amount, amount * self._factor)
        self.reserved += reservation.held
        self._in_flight += 1
        return reservation

    def settle(self, reservation: Reservation, cost: float) -> None:
        """The request is over; its cost is in `spent` already, and is given here to learn from."""
        if cost > reservation.amount > 0:
            self._factor = max(self._factor, cost / reservation.amount)
        self.reserved = max(self.reserved - reservation.held, 0.0)
        self._in_flight -= 1
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)

    def refresh(self, spent: float) -> None:
        """Take over the scope's spending from the ledger, other processes' included."""
        self.spent = spent

    def _message(self, amount: float) -> str:
        return (
            f"the budget of ${self.cap:.4f} is used up: ${self.spent:.4f} spent, and the next request may cost"
            f" ${amount:.4f}; raise budget_usd in data/study.yaml; all replies so far are kept"
        )
