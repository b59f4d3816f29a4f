"""Replies of several setups in the making. Imports torch: import this module inside functions.

Each setup has a lane of its own, since a forward pass has one setup; lanes take one step each in turn, and share the
rows that may be decoded at once in equal parts, so that a lane with many prompts cannot keep the others out.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence

from resources.local.batcher import GenerateItem
from resources.local.engine import Engine
from resources.local.generation import Done, PlainPool, Pool, Row, draw
from resources.local.prefix import plan
from resources.local.setup import Setup
from resources.local.slots import Stem
from resources.providers import Generated, ProviderFault

Answered = list[tuple[GenerateItem, Generated | ProviderFault]]


class _Lane:
    """What one setup decodes: rows that wait, and rows in the pool."""

    def __init__(self, engine: Engine, setup: Setup) -> None:
        self.setup = setup
        self.waiting: deque[Row] = deque()
        self.pool = Pool(engine, setup) if engine.shares else PlainPool(engine, setup)


class Decoder:
    """All lanes of one model. `max_rows` bounds the rows of all pools together."""

    def __init__(self, engine: Engine, max_rows: int) -> None:
        self._engine, self.max_rows = engine, max_rows
        self._lanes: OrderedDict[Setup, _Lane] = OrderedDict()
        self._items: dict[int, GenerateItem] = {}

    @property
    def busy(self) -> bool:
        return bool(self._lanes)

    def add(self, item: GenerateItem, row: Row) -> None:
        """A prompt to run when there is room."""
        if item.setup not in self._lanes:
            self._lanes[item.setup] = _Lane(self._engine, item.setup)
        self._lanes[item.setup].waiting.append(row)
        self._items[id(row)] = item

    def abandon(self, setup: Setup | None = None) -> list[GenerateItem]:
        """Forgets all lanes, or one; their items."""
        gone = {key: item for key, item in self._items.items() if setup is None or item.setup == setup}
        for key in gone:  # also of rows that were on their way into a pool when the pass failed
            del self._items[key]
        for lane in [lane for lane in self._lanes if setup is None or lane == setup]:
            del self._lanes[lane]
        return list(gone.values())

    def step(self) -> Answered:
        """The next lane's turn: waiting rows join when there is room for some, then each row gets one token."""
        lane = next(iter(self._lanes.values()))
        self._lanes.move_to_end(lane.setup)
        for row in [row for row in lane.pool.rows if not self._items[id(row)].wanted()]:
            lane.pool.drop(row)
            del self._items[id(row)]
        done: Done = []
        share = max(1, self.max_rows // len(self._lanes))
        taken = sum(len(other.pool.rows) for other in self._lanes.values())
        free = min(share - len(lane.pool.rows), self.max_rows - taken)
        if lane.waiting and free >= max(1, min(len(lane.waiting), share // 8)):
            done += self._join(lane, free)
        if lane.pool.rows:
            done += lane.pool.step()
        answered = [(self._items.pop(id(row)), reply) for row, reply in done]
        if not lane.waiting and not lane.pool.rows:
            del self._lanes[lane.setup]
        return answered

    def _join(self, lane: _Lane, free: int) -> Done:
        """Runs waiting prompts, draws their first tokens and lets them into the pool; those that end at once."""
        rows: list[Row] = []
        while lane.waiting and len(rows) < free:
            row = lane.waiting.popleft()
            if self._items[id(row)].wanted():
                rows.append(row)
            else:
                del self._items[id(row)]
        if isinstance(lane.pool, PlainPool):
            for row in rows:
                lane.pool.join(row, None)
            return []
        done: Done = []
        prompts, setup = [row.prompt for row in rows], lane.setup
        whole = plan(prompts, share=not setup.counts_positions)
        for wave in self._engine.run(whole, keep=True, setup=setup, prompts=[*map(len, prompts)]):
            read = [rows[number] for number in wave.numbers]
            paths: Sequence[Stem | None] = wave.paths or [None] * len(read)
            for path, row, token in zip(paths, read, draw(read, wave.logits_N_V), strict=True):
                reply = row.add(token)
                if reply is not None:
                    done.append((row, reply))
                elif path is not None:
                    lane.pool.join(row, path)
        return done
