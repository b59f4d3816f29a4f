"""The one way to ask models: look the question up, ask it if nobody has, remember the answer, then hand it over.

What is promised:
- a question that was answered once is never paid for again, whatever crashed in between;
- identical questions in flight at the same time are asked once;
- a reply is in the cache, and its cost in the ledger, before the caller sees it;
- a failing request becomes a row with a status and never takes its neighbours with it;
- when the budget is used up, what is in flight is awaited and stored, then `BudgetError` is raised.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from resources.accounts import Accounts, identity_for
from resources.addresses import identity_parts, static_part
from resources.answers import check_options
from resources.asker import Asker, Event, Settings, T
from resources.asking import Progress
from resources.cache import ReplyCache
from resources.content import Json
from resources.errors import InputError
from resources.ledger import Origin
from resources.messages import OptionProbabilities, Reply, Request
from resources.questions import ChoiceQuestion, Question, TextQuestion, choice_question, text_question
from resources.registry import ModelEntry, ProviderName, Registry
from resources.replystore import ReplyStore
from resources.writer import Seam

__all__ = ["Event", "ModelLayer", "Settings", "identity_of", "open_models"]

_LOOKUP = 5_000
"""Questions per bulk lookup; between two, other tasks get their turn."""


def identity_of(entry: ModelEntry, root: Path) -> Json:
    """Which weights an entry of the registry names, as JSON for hashing; needs no key and asks nobody."""
    return identity_parts(identity_for(entry, root))


@asynccontextmanager
async def open_models(
    registry: Registry,
    replies: ReplyStore,
    *,
    root: Path,
    run_id: str,
    asset: str,
    partition: str,
    budget_usd: float | None = None,
    budget_scope: str | None = None,
    on_event: Callable[[Event], None] | None = None,
    on_seam: Seam | None = None,
    settings: Settings | None = None,
) -> AsyncIterator[ModelLayer]:
    """The models of a registry, for one materialization.

    `replies` is where answers are remembered; `root` is where relative directories of local models start. What shares
    `budget_scope` (default: the run) shares `budget_usd`. `on_seam` is called at `after reply`, `before commit` and
    `after commit`, so that a test can stop the process there. Raises `InputError` when the store cannot be used.
    """
    cache, budget = ReplyCache.open(
        replies,
        run_id=run_id,
        asset=asset,
        partition=partition,
        scope=run_id if budget_scope is None else budget_scope,
        budget_usd=budget_usd,
        on_seam=on_seam,
    )
    tell = on_event or (lambda _: None)
    limits = settings or Settings()
    accounts = Accounts(root, limits.patience, lambda kind, entry, fault: tell(Event(kind, entry.name, str(fault))))
    asker = Asker(accounts, cache, budget, limits, tell, on_seam or (lambda _: None))
    try:
        yield ModelLayer(registry, accounts, asker, limits)
    finally:
        try:
            await accounts.aclose()
        finally:
            await cache.aclose()


class ModelLayer:
    """Implements `resources.asking.Models`. Made by `open_models`, used from one event loop."""

    def __init__(self, registry: Registry, accounts: Accounts, asker: Asker, settings: Settings) -> None:
        self._registry, self._accounts, self._asker, self._settings = registry, accounts, asker, settings
        self._entries: dict[str, ModelEntry] = {}
        self._static: dict[tuple[str, Origin], str] = {}

    async def generate(self, request: Request) -> Reply:
        """Text from the model; a status says what became of it."""
        return await self._asker.answer(self._text(request))

    async def choose(self, request: Request, options: Sequence[str]) -> OptionProbabilities:
        """The model's own next-token distribution over `options`; void when the mass on them is too small."""
        return await self._asker.answer(self._choice(request, check_options(options)))

    async def generate_many(self, requests: Sequence[Request], on_progress: Progress | None = None) -> list[Reply]:
        """Replies in the order of the requests. Raises `BudgetError` when the budget ends, and `InputError` for an
        unknown model, a role that it may not play, or a missing key."""
        return await self._answer_many(requests, self._text, on_progress)

    async def choose_many(
        self, requests: Sequence[Request], options: Sequence[str], on_progress: Progress | None = None
    ) -> list[OptionProbabilities]:
        """Distributions in the order of the requests. Raises as `generate_many` does."""
        checked = check_options(options)
        return await self._answer_many(requests, lambda request: self._choice(request, checked), on_progress)

    def _text(self, request: Request) -> TextQuestion:
        entry = self._entry(request)
        return text_question(self._static_part(entry, request), entry, request)

    def _choice(self, request: Request, options: tuple[str, ...]) -> ChoiceQuestion:
        entry = self._entry(request)
        static, limits = self._static_part(entry, request), self._settings
        return choice_question(static, entry, request, options, void_below=limits.void_below, draws=limits.draws)

    def _entry(self, request: Request) -> ModelEntry:
        entry = self._entries.get(request.model)
        if entry is None:
            entry = self._entries[request.model] = self._registry[request.model]
        if request.role not in entry.roles:
            raise InputError(
                f"the model {entry.name!r} may not play this role",
                place="data/models.yaml",
                field="roles",
                value=request.role.value,
                fix="add the role to the model's entry, or choose another model in data/study.yaml",
            )
        return entry

    def _static_part(self, entry: ModelEntry, request: Request) -> str:
        origin = self._accounts.origin(entry, request)
        key = (entry.name, origin)
        if key not in self._static:
            identity = self._accounts.provider(entry).identity
            self._static[key] = static_part(identity, origin.adapter, origin.steering)
        return self._static[key]

    async def _answer_many(
        self, requests: Sequence[Request], ask: Callable[[Request], Question[T]], on_progress: Progress | None
    ) -> list[T]:
        questions: list[Question[T]] = []
        answers: dict[int, T] = {}
        for start in range(0, len(requests), _LOOKUP):
            chunk = [ask(request) for request in requests[start : start + _LOOKUP]]
            answers |= await self._asker.known(chunk, start)
            questions += chunk
            await asyncio.sleep(0)
        report = on_progress or _silent
        if questions:
            report(len(answers), len(questions))
        missing = [index for index in range(len(questions)) if index not in answers]
        await self._ask_missing(questions, missing, answers, report)
        return [answers[index] for index in range(len(questions))]

    def _as_sent(self, model: str, questions: Sequence[Question[T]], indices: list[int]) -> list[int]:
        """The order in which questions go out. To a server: those that begin alike one after the other, so that its
        prefix cache still has what they share. The engine of this process finds common prefixes by itself."""
        if self._registry[model].provider is ProviderName.LOCAL:
            return indices
        return sorted(indices, key=lambda index: _prompt(questions[index].request))

    async def _ask_missing(
        self, questions: Sequence[Question[T]], missing: Sequence[int], answers: dict[int, T], report: Progress
    ) -> None:
        """Ask what is missing. The first failure stops new questions; it is raised when those in flight are done."""
        failures: list[Exception] = []

        async def work(indices: Iterator[int]) -> None:
            for index in indices:
                if failures:
                    return
                try:
                    answers[index] = await self._asker.answer(questions[index])
                    report(len(answers), len(questions))
                except Exception as error:
                    failures.append(error)
                    return

        # Each model has its own workers, so that a slow one does not keep a fast one waiting.
        by_model: dict[str, list[int]] = {}
        for index in missing:
            by_model.setdefault(questions[index].entry.name, []).append(index)
        async with asyncio.TaskGroup() as group:
            for name, indices in by_model.items():
                waiting = iter(self._as_sent(name, questions, indices))
                for _ in range(min(len(indices), self._accounts.live(self._registry[name]))):
                    group.create_task(work(waiting))
        if failures:
            raise failures[0]


def _prompt(request: Request) -> tuple[str, ...]:
    """What a server's prefix cache goes by: the adapter, then the messages in turn."""
    said = (part for message in request.messages for part in (message.role, message.content))
    return (request.adapter or "", *said)


def _silent(done: int, total: int) -> None:
    """The progress that nobody watches."""
    del done, total
