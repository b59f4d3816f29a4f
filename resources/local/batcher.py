"""Where requests of many coroutines meet: an asyncio front and one worker thread that runs the model.

A batch is what is waiting when the worker looks; nobody waits for a timer or for a batch to fill. Scoring and decoding
take turns, and so do the setups (adapters) that are asked for, so that none starves. The thread lives while there is
work. Whatever goes wrong with one request is that request's answer; a failed forward pass fails those that were in it.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from resources.local.setup import BASE, Setup
from resources.local.variants import Answers
from resources.messages import Request
from resources.providers import Chosen, Generated

if TYPE_CHECKING:
    from resources.local.worker import Worker

Answer = TypeVar("Answer")


@dataclass(slots=True, eq=False)
class Item(Generic[Answer]):
    """One request on its way, with the future that waits for it on its own loop."""

    request: Request
    future: asyncio.Future[Answer]
    loop: asyncio.AbstractEventLoop
    setup: Setup

    def wanted(self) -> bool:
        """Whether anybody still waits."""
        return not self.future.done()


@dataclass(slots=True, eq=False)
class ChooseItem(Item[Chosen]):
    options: tuple[str, ...] = ()
    answers: Answers | None = None


@dataclass(slots=True, eq=False)
class GenerateItem(Item[Generated]):
    pass


AnyItem = ChooseItem | GenerateItem
Outcome = tuple[AnyItem, Chosen | Generated | BaseException]


class Batcher:
    """Hands requests to a worker that is made at the first one, by `make_worker`, in the worker's thread."""

    def __init__(self, make_worker: Callable[[], Worker]) -> None:
        self._make_worker = make_worker
        self._worker: Worker | None = None
        self._lock = threading.Lock()
        self._inbox: deque[AnyItem] = deque()
        self._thread: threading.Thread | None = None
        self._closing = False

    async def choose(self, request: Request, options: tuple[str, ...], setup: Setup = BASE) -> Chosen:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Chosen] = loop.create_future()
        self._submit(ChooseItem(request, future, loop, setup, options))
        return await future

    async def generate(self, request: Request, setup: Setup = BASE) -> Generated:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Generated] = loop.create_future()
        self._submit(GenerateItem(request, future, loop, setup))
        return await future

    async def aclose(self) -> None:
        """Ends the worker after its present forward pass and lets the model go; waiting requests are cancelled."""
        with self._lock:
            self._closing = True
            waiting, thread = list(self._inbox), self._thread
            self._inbox.clear()
        for item in waiting:
            _at_home(item.loop, item.future.cancel)
        if thread is not None:
            await asyncio.to_thread(thread.join)
        with self._lock:
            worker, self._closing, self._worker = self._worker, False, None
        if worker is not None:
            worker.engine.close()

    def _submit(self, item: AnyItem) -> None:
        with self._lock:
            self._inbox.append(item)
            running = self._thread is not None
        if not running:  # after one tick, so that everything that is ready to ask is in the first batch
            item.loop.call_soon(self._start)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and self._inbox:
                self._thread = threading.Thread(target=self._work, name="local-model", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        """The thread: takes what waits, moves the worker on by one turn, delivers; ends when nothing is left."""
        while True:
            with self._lock:
                items = list(self._inbox)
                self._inbox.clear()
                idle = self._worker is None or not self._worker.busy
                if self._closing or (not items and idle):
                    self._thread = None
                    left = items + ([] if self._worker is None else self._worker.abandon())
                    break
            try:
                if self._worker is None:
                    self._worker = self._make_worker()
                outcomes = self._worker.turn(items)
            except BaseException as error:  # the thread's boundary: nobody may wait for ever
                outcomes = [(item, error) for item in items]
                if self._worker is not None:
                    outcomes += [(item, error) for item in self._worker.abandon()]
            deliver(outcomes)
        for item in left:
            _at_home(item.loop, item.future.cancel)


def deliver(outcomes: Sequence[Outcome]) -> None:
    """Sets the futures, each on the loop that waits for it."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Outcome]] = {}
    for outcome in outcomes:
        by_loop.setdefault(outcome[0].loop, []).append(outcome)
    for loop, own in by_loop.items():
        _at_home(loop, _settle, own)


def _at_home(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *args: object) -> None:
    try:
        loop.call_soon_threadsafe(call, *args)
    except RuntimeError:
        if not loop.is_closed():  # a closed loop has nobody waiting on it any more
            raise


def _settle(outcomes: Sequence[Outcome]) -> None:
    for item, answer in outcomes:
        if item.future.done():
            continue
        if isinstance(answer, BaseException):
            item.future.set_exception(answer)
        else:
            item.future.set_result(answer)  # type: ignore[arg-type]  # the worker answers each kind in kind
