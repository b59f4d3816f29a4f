"""How one question comes to its answer: from the cache, from whoever is asking it already, or from the provider."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from resources.accounts import Accounts
from resources.addresses import Kind, prompt_hash
from resources.answers import VOID_BELOW, Draw, estimate_from_draws
from resources.budget import Budget, cost_at_most, cost_usd
from resources.cache import ReplyCache
from resources.errors import InfluenceError
from resources.ledger import LedgerRow
from resources.messages import OptionProbabilities, Reply, Status, Usage
from resources.providers import Chosen, Generated
from resources.questions import ChoiceQuestion, GaveUp, Question, TextQuestion, draw_questions, estimate_question
from resources.records import encode
from resources.trying import Patience
from resources.writer import Seam

T = TypeVar("T", bound=Reply | OptionProbabilities)

_NOTHING = Usage()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a person watching a run may want to know.

    `throttled`: the provider asked for fewer requests; `failing`: nothing has come from it for some seconds;
    `gave_up`: one question was not answered.
    """

    kind: str
    model: str
    detail: str


@dataclass(frozen=True, slots=True)
class Settings:
    """`void_below`: mass on valid answers below which an answer is void. `draws`: the k of an estimate."""

    void_below: float = VOID_BELOW
    draws: int = 5
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, slots=True)
class Settled:
    """How a question ended: a stored record (`body`), or a give-up. `cached`: this caller's asking cost nothing."""

    body: str | None
    end: GaveUp | None
    cached: bool


class Asker:
    """Asks each question at most once at a time, and remembers the answer before it hands it over."""

    def __init__(
        self,
        accounts: Accounts,
        cache: ReplyCache,
        budget: Budget,
        settings: Settings,
        on_event: Callable[[Event], None],
        on_seam: Seam,
    ) -> None:
        self._accounts, self._cache, self._budget, self._settings = accounts, cache, budget, settings
        self._on_event, self._on_seam = on_event, on_seam
        self._pending: dict[str, asyncio.Future[Settled | None]] = {}

    async def known(self, questions: Sequence[Question[T]], start: int) -> dict[int, T]:
        """Answers that the cache holds, by position from `start` on; one bulk lookup."""
        bodies = await self._cache.find([question.address for question in questions])
        answers: dict[int, T] = {}
        for index, question in enumerate(questions if bodies else (), start):
            body = bodies.get(question.address)
            answer = None if body is None else question.read(body, cached=True)
            if answer is not None:
                answers[index] = answer
                self._cache.note((self._row(question, answer.status, cached=True),))
        return answers

    async def answer(self, question: Question[T]) -> T:
        """The answer, stored; a row with `gave_up` when there is none. Raises `BudgetError` and `InputError` only."""
        settled = await self._settle(question)
        if settled.body is not None and isinstance(question, ChoiceQuestion) and question.wants_draws(settled.body):
            question = estimate_question(
                question.static,
                question.entry,
                question.request,
                question.options,
                void_below=question.void_below,
                draws=self._settings.draws,
            )
            settled = await self._settle(question)
        return self._read(question, settled)

    def _read(self, question: Question[T], settled: Settled) -> T:
        if settled.body is None:
            assert settled.end is not None
            answer: T | None = question.gave_up(settled.end)
        else:
            answer = question.read(settled.body, cached=settled.cached)
        if answer is None:
            raise InfluenceError(f"the reply cache holds a record at {question.address} that is no answer")
        if settled.cached:
            self._cache.note((self._row(question, answer.status, cached=True),))
        return answer

    async def _settle(self, question: Question[T]) -> Settled:
        """The stored answer; asked if neither the cache has it nor anybody is asking."""
        address = question.address
        while (pending := self._pending.get(address)) is not None:
            await asyncio.wait((pending,))
            # None: whoever asked was stopped before an answer came, and it is somebody else's turn.
            if (other := pending.result()) is not None:
                return Settled(other.body, other.end, cached=True)
        turn: asyncio.Future[Settled | None] = asyncio.get_running_loop().create_future()
        self._pending[address] = turn
        settled = None
        try:
            # Looked up in our turn: whoever was asking until now has stored the answer before the turn was given on.
            body = (await self._cache.find((address,))).get(address)
            if body is not None:
                settled = Settled(body, None, cached=True)
            else:
                settled = await (self._estimate(question) if _is_estimate(question) else self._ask(question))
            return settled
        finally:
            del self._pending[address]
            turn.set_result(settled)

    async def _ask(self, question: Question[T]) -> Settled:
        """Put the question to the provider, within the budget, as often as it takes."""
        entry = question.entry
        provider = self._accounts.provider(entry)
        reservation = await self._budget.reserve(cost_at_most(question.request, entry.price, question.output_tokens))
        cost = 0.0
        try:
            tried = await self._accounts.persistence(entry).ask(lambda: question.put_to(provider))
            if tried.value is None:
                assert tried.fault is not None
                return self._give_up(question, GaveUp(tried.fault, tried.retries, tried.latency_s))
            cost = cost_usd(tried.value.usage, entry.price)
            self._on_seam("after reply")
            return await self._store(question, tried.value, tried.latency_s, tried.retries)
        finally:
            self._budget.settle(reservation, cost)

    async def _estimate(self, question: Question[T]) -> Settled:
        """Draw k answers, each remembered by itself, and store what they say together."""
        assert isinstance(question, ChoiceQuestion)
        draws = draw_questions(question, self._settings.draws)
        outcomes = await asyncio.gather(*(self._draw(draw) for draw in draws), return_exceptions=True)
        replies: list[Reply] = []
        for outcome in outcomes:
            if isinstance(outcome, GaveUp):
                return self._give_up(question, outcome)
            if isinstance(outcome, BaseException):
                raise outcome
            replies.append(outcome)
        chosen = estimate_from_draws(question.options, [Draw(r.text, r.status, r.usage) for r in replies])
        latency = max(reply.latency_s for reply in replies)
        return await self._store(question, chosen, latency, sum(reply.retries for reply in replies), paid=False)

    async def _draw(self, draw: TextQuestion) -> Reply | GaveUp:
        settled = await self._settle(draw)
        return settled.end or self._read(draw, settled)

    async def _store(
        self, question: Question[T], answer: Generated | Chosen, latency_s: float, retries: int, *, paid: bool = True
    ) -> Settled:
        """Remember the answer with its ledger row. An estimate was paid for by its draws' rows."""
        usage = answer.usage if paid else _NOTHING
        row = self._row(question, answer.status, cached=False, usage=usage, latency_s=latency_s, retries=retries)
        body = encode(answer, latency_s=latency_s, retries=retries)
        return Settled(await self._cache.put(question.address, body, row), None, cached=False)

    def _give_up(self, question: Question[T], end: GaveUp) -> Settled:
        row = self._row(question, Status.GAVE_UP, cached=False, latency_s=end.latency_s, retries=end.retries)
        self._cache.note((row,))
        self._on_event(Event("gave_up", question.entry.name, end.detail))
        return Settled(None, end, cached=False)

    def _row(
        self,
        question: Question[T],
        status: Status,
        *,
        cached: bool,
        usage: Usage = _NOTHING,
        latency_s: float = 0.0,
        retries: int = 0,
    ) -> LedgerRow:
        entry, request = question.entry, question.request
        return LedgerRow(
            question.address,
            entry.provider.value,
            entry.name,
            request.role,
            question.kind.value,
            usage,
            cost_usd(usage, entry.price),
            latency_s,
            cached,
            status,
            retries,
            time.time(),
            prompt_hash(request),
            self._accounts.origin(entry, request),
            request.sampling.seed,
            request.sample,
        )


def _is_estimate(question: Question[T]) -> bool:
    return question.kind is Kind.ESTIMATE
