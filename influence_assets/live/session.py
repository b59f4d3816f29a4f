"""A conversation as it happens, held in a thread of its own; whoever looks on sees what has been said so far.

It is the same conversation that a study holds (`influence/conversation.py`): only the asking differs. A role that a
person plays waits for that person; before each reply of a model as agent it waits for `go_on`. Judges of a reply answer
beside, as in a study. All public methods are called from outside the thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from influence_assets.influence.conversation import Held, Plan, hold
from influence_assets.influence.judge_answers import Question, judgement_of
from influence_assets.influence.judge_requests import PREFERENCE, VETO, Ask, ask
from influence_assets.influence.prompting import Prompting
from influence_assets.influence.records import Conversation, Judgement, Purpose, Turn
from influence_assets.influence.rubrics import Rubric
from influence_assets.influence.transcript import Entry
from resources.asking import Models
from resources.errors import InfluenceError
from resources.messages import Estimator, OptionProbabilities, Reply, Request, Role, Status

PERSON = "person"
"""The player of a role that no model plays."""

TRANSITION = "transition"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person is waited for: words (no `options`), or one of the options."""

    number: int
    role: Role
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class View:
    """What there is so far. `ready`: the agent's next reply waits for `go_on`. `held` once it is over."""

    turns: tuple[Turn, ...]
    judgements: tuple[Judgement, ...]
    wanted: tuple[Wanted, ...]
    ready: bool
    over: bool
    error: str
    held: Held | None

    @property
    def busy(self) -> bool:
        """Whether something comes without anybody's doing."""
        return not (self.over or self.ready or self.wanted)


class LiveConversation:
    """One conversation. `players` says who plays each role; `opened` opens the models for as long as it lasts."""

    def __init__(
        self,
        plan: Plan,
        players: Mapping[Role, str],
        opened: Callable[[], AbstractAsyncContextManager[Models]],
        prompting: Prompting,
        *,
        min_mass: float,
    ) -> None:
        self.plan, self.players = plan, dict(players)
        self._opened, self._prompting, self._min_mass = opened, prompting, min_mass
        self._turns: list[Turn] = []
        self._judgements: list[Judgement] = []
        self._wanted: dict[int, tuple[Wanted, asyncio.Future[str]]] = {}
        self._asked, self._turn, self._ready, self._over, self._error = 0, 1, False, False, ""
        self._held: Held | None = None
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="live conversation")

    def begin(self) -> None:
        """Start; returns when `go_on`, `answer` and `stop` can be called."""
        self._thread.start()
        self._begun.wait()

    def view(self) -> View:
        """What there is so far."""
        return View(
            tuple(self._turns),
            tuple(self._judgements),
            tuple(wanted for wanted, _ in list(self._wanted.values())),
            self._ready,
            self._over,
            self._error,
            self._held,
        )

    def go_on(self) -> None:
        """Let the agent speak; from now on it is no longer ready but busy."""
        if self._ready:
            self._ready = False
            self._tell(self._gate.set)

    def answer(self, number: int, text: str) -> None:
        """A person's words or choice. Raises `InfluenceError` for an answer that is not among the options, or empty."""
        found = self._wanted.get(number)
        if found is None:
            return  # answered already, or the conversation has ended
        wanted, future = found
        if not text.strip() or (wanted.options and text not in wanted.options):
            offered = ", ".join(wanted.options) or "some words"
            raise InfluenceError(f"the {wanted.role.value} must answer with {offered}")
        self._wanted.pop(number, None)
        self._tell(lambda: None if future.done() else future.set_result(text))

    def stop(self) -> None:
        """End it here, whoever is waited for; returns when it has ended."""
        self._tell(self._main_task.cancel)
        self._thread.join(timeout=30)

    def _tell(self, what: Callable[[], object]) -> None:
        if not self._over:
            self._loop.call_soon_threadsafe(what)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except asyncio.CancelledError:
            self._error = "stopped before its end"
        except Exception as error:
            ours = [one for one in _flat(error) if isinstance(one, InfluenceError)]
            self._error = "; ".join(map(str, ours)) or "it failed; the terminal says why"
            if not ours:
                raise
        finally:
            self._wanted.clear()
            self._ready, self._over = False, True
            self._begun.set()

    async def _main(self) -> None:
        self._loop, self._gate = asyncio.get_running_loop(), asyncio.Event()
        task = asyncio.current_task()
        assert task is not None
        self._main_task = task
        self._begun.set()
        async with self._opened() as self._models, asyncio.TaskGroup() as self._judges:
            held = await hold(self.plan, self, self._prompting, self, min_mass=self._min_mass)
        self._held = held

    async def generate(self, request: Request) -> Reply:
        """How the conversation asks for words (`conversation.Asking`)."""
        if self.players[request.role] == PERSON:
            return Reply(request_id="", status=Status.OK, text=await self._from_person(request.role, ()))
        if request.role is Role.AGENT:
            self._ready = True
            await self._gate.wait()
            self._gate.clear()
        return await self._models.generate(request)

    async def choose(self, request: Request, options: Sequence[str]) -> OptionProbabilities:
        """How the conversation asks where the environment goes (`conversation.Asking`)."""
        answer = await self._chosen(request, tuple(options))
        self._judgements.append(self._transition(answer))
        return answer

    def said(self, row: Turn) -> None:
        """Something was said (`conversation.Listener`)."""
        self._turns.append(row)
        self._turn = max(self._turn, row.turn)

    def replied(self, plan: Plan, turn: int, transcript: tuple[Entry, ...]) -> None:
        """The agent has spoken: its judges are asked (`conversation.Listener`)."""
        for name, rubric, role in (
            (PREFERENCE, plan.environment.preference, Role.PREFERENCE),
            (VETO, plan.environment.veto, Role.VETO),
        ):
            judge = self.players[role]
            question = ask(self._prompting, name, rubric, transcript, turn=turn, judge=judge, role=role)
            self._judges.create_task(self._judge(question, rubric))

    async def _judge(self, question: Ask, rubric: Rubric) -> None:
        answer = await self._chosen(question.request, tuple(rubric.options))
        about = Question(_unfinished(self.plan), question)
        self._judgements.append(judgement_of(about, answer, purpose=Purpose.TRAINING, min_mass=self._min_mass))

    async def _chosen(self, request: Request, options: tuple[str, ...]) -> OptionProbabilities:
        if self.players[request.role] != PERSON:
            return await self._models.choose(request, options)
        chosen = await self._from_person(request.role, options)
        shares = tuple(float(option == chosen) for option in options)
        # What a person picks is one sample of whatever they might have picked.
        return OptionProbabilities("", options, shares, 1.0, Status.OK, Estimator.SAMPLED)

    async def _from_person(self, role: Role, options: tuple[str, ...]) -> str:
        self._asked += 1
        future: asyncio.Future[str] = self._loop.create_future()
        self._wanted[self._asked] = (Wanted(self._asked, role, options), future)
        return await future

    def _transition(self, answer: OptionProbabilities) -> Judgement:
        usable = bool(answer.probabilities) and answer.mass >= self._min_mass
        return Judgement(
            conversation_id=self.plan.conversation_id,
            model=self.plan.model,
            iteration=self.plan.iteration,
            turn=self._turn,
            judge=self.players[Role.TRANSITION],
            rubric=TRANSITION,
            purpose=Purpose.TRAINING.value,
            distribution=dict(zip(answer.options, answer.probabilities, strict=True)) if usable else {},
            expected=None,
            share=None,
            mass=answer.mass if answer.mass == answer.mass else None,
            estimator=answer.estimator.value,
            status=answer.status.value if usable or answer.status is not Status.OK else Status.VOID.value,
            request_id=answer.request_id,
        )


def _flat(error: BaseException) -> Iterator[BaseException]:
    """An error, or those that a group of errors holds."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _flat(one)
    else:
        yield error


def _unfinished(plan: Plan) -> Conversation:
    """What is known of a conversation before it has ended."""
    start = plan.start
    return Conversation(
        conversation_id=plan.conversation_id,
        model=plan.model,
        iteration=plan.iteration,
        family=start.family,
        environment=start.environment.name,
        user_kind=start.environment.user_kind.value,
        initial_state_id=start.state.id,
        split=start.split.value,
        condition=plan.condition.value,
        sample=start.sample,
        final_state="",
        n_turns=0,
        status="",
        detail="",
        seed=plan.seeds.conversation,
    )
