"""Forward passes over segments that share prefixes. Imports torch: import this module inside functions.

`Engine.forward` is the one place where the model is called, `Engine.next_logits` its stand-in for models whose cache is
of their own kind. Both put on the `Setup` that is asked for (an adapter, a steering); rows of another setup need a plan
and stored prefixes of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from resources.errors import InputError
from resources.local.adapters import Adapters
from resources.local.direction_reading import LoadedPushes
from resources.local.masks import Masks
from resources.local.passes import Counters, Limits, Wave
from resources.local.prefix import Plan, Segment
from resources.local.prefix_store import KEEP_FROM, PrefixStore
from resources.local.setup import BASE, Setup, SetupError
from resources.local.slots import KeyValues, Scratch, StoredRow
from resources.local.steering import Hooks

if TYPE_CHECKING:
    from transformers import PreTrainedModel
    from transformers.cache_utils import Cache

_MANY = 4
"""So many sequences must stand on a prefix for it to be remembered, unless there are fewer in all."""


@dataclass(slots=True)
class _Task:
    """A segment to run after row `parent` of what it stands on; `whole` are all its tokens, if it may be stored."""

    segment: Segment
    parent: int
    whole: list[int] | None = None


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of a plan. `scratch` is its own, one for each level: runs may be under way side by side.

    `prompts` are the lengths of the sequences' prompts, where the setup counts positions.
    """

    setup: Setup
    prompts: Sequence[int]
    keep: bool
    few: bool
    scratch: list[Scratch]

    def scratch_at(self, depth: int) -> Scratch:
        while len(self.scratch) <= depth:
            self.scratch.append(Scratch())
        return self.scratch[depth]


@dataclass
class Engine:
    """One model, its limits and its stored prefixes. Not thread-safe: one worker uses it."""

    model: PreTrainedModel
    limits: Limits = field(default_factory=Limits)
    counters: Counters = field(default_factory=Counters)

    def __post_init__(self) -> None:
        config = self.model.config.get_text_config()
        self.device = next(self.model.parameters()).device
        self.n_layers = int(config.num_hidden_layers)
        self._masks = Masks(config, self.model.dtype, self.device)
        self.kv_bytes_per_token = 0
        self.store = PrefixStore(self.limits.prefix_bytes)
        self.adapters = Adapters(self.model, self.limits.adapters)
        self._steering, self._steered, self._pushes = Hooks(self.model), BASE.steering, LoadedPushes()
        self._idle_scratch: list[list[Scratch]] = []
        self._read: tuple[torch.Tensor, torch.Tensor] | None = None
        head: torch.nn.Module | None = self.model.get_output_embeddings()
        self._reads_at_head = head is not None
        if head is not None:
            head.register_forward_pre_hook(self._only_read_positions)
        self.shares = self._can_share(config._attn_implementation)
        self.counters = Counters()  # the trial above is not work

    def _can_share(self, attention: str) -> bool:
        """Layers of plain or sliding attention under a mask of ours; proved on random tokens, not assumed."""
        if not self._masks.known or attention not in ("sdpa", "eager"):
            return False
        tokens = np.random.default_rng(0).integers(0, self.model.config.get_text_config().vocab_size, 24).tolist()
        try:
            plain, _ = self.forward([tokens], [(0, 23)])
            _, past = self.forward([tokens[:9], tokens[:17]], [(0, 8)], past=KeyValues(self.n_layers, np.zeros(2, int)))
            parted, _ = self.forward([tokens[9:], tokens[17:]], [(0, 14), (1, 6)], past=past)
        except (RuntimeError, TypeError, ValueError, IndexError, AttributeError, KeyError):
            return False  # a model with a cache or a mask of its own kind: it is run plainly
        size = float(plain.abs().max()) + 1.0
        tolerance = 1e-4 if plain.dtype == torch.float32 else 5e-2
        return bool((parted.float() - plain.float()).abs().max() < tolerance * size)

    def _only_read_positions(
        self, _head: torch.nn.Module, args: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, ...] | None:
        """Before the output matrix: keeps the positions that are read, so that the vocabulary is not paid for all."""
        if self._read is None:
            return None
        rows, columns = self._read
        return (args[0][rows, columns][None], *args[1:])

    @torch.inference_mode()
    def forward(
        self,
        segments: Sequence[list[int]],
        reads: Sequence[tuple[int, int]],
        past: KeyValues | None = None,
        setup: Setup = BASE,
        prompts: Sequence[int] = (),
    ) -> tuple[torch.Tensor, KeyValues | None]:
        """Runs `segments[i]` after row i of `past`; logits `[len(reads), vocabulary]` at the (row, offset) in `reads`.

        Without `past` nothing is kept. With it, the rows get the new keys and values in place. Segments are padded on
        the right: no real position sees what comes after it, so a pad changes nothing. `prompts` are the lengths of the
        rows' prompts, needed where the setup counts positions. Raises `SetupError` when the setup cannot be put on.
        """
        self._put_on(setup)
        if setup.counts_positions:
            before_B = np.zeros(len(segments), dtype=np.int64) if past is None else past.lengths
            self._say_where(before_B, max(map(len, segments)), prompts)
        lengths_B = np.array([len(segment) for segment in segments])
        n_new = int(lengths_B.max())
        ids_B_S = torch.tensor(
            [segment + segment[-1:] * (n_new - len(segment)) for segment in segments], device=self.device
        )
        rows, columns = np.array(reads).T
        read = (torch.from_numpy(rows).to(self.device), torch.from_numpy(columns).to(self.device))
        self._read = read if self._reads_at_head else None
        try:
            logits = self._call(ids_B_S, lengths_B, past)
        finally:
            self._read = None
        if past is not None:
            past.lengths = past.lengths + lengths_B
            self._measure(past)
        self.counters.forwards += 1
        self.counters.computed += ids_B_S.numel()
        return (logits[0] if self._reads_at_head else logits[read]), past

    @torch.inference_mode()
    def next_logits(self, tokens: list[int], cache: Cache, setup: Setup = BASE, prompt: int = 0) -> torch.Tensor:
        """Logits `[1, vocabulary]` after `tokens`, which follow what is in `cache`; the cache gets them in place.
        `prompt` is the length of the sequence's prompt, needed where the setup counts positions."""
        self._put_on(setup)
        if setup.counts_positions:
            self._say_where(np.array([cache.get_seq_length()]), len(tokens), [prompt])
        ids_1_S = torch.tensor([tokens], device=self.device)
        logits = self.model(input_ids=ids_1_S, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
        assert isinstance(logits, torch.Tensor)
        return logits[:, -1]

    def _put_on(self, setup: Setup) -> None:
        try:
            self.adapters.wear(setup.adapter)
            if setup.steering != self._steered:
                self._steering.take_off()
                self._steered = BASE.steering
                self._steering.put_on(self._pushes.of(setup.steering))
                self._steered = setup.steering
        except InputError as error:
            raise SetupError(setup, error) from error

    def _say_where(self, before_B: np.ndarray, n_new: int, prompts: Sequence[int]) -> None:
        index_B_S = before_B[:, None] + np.arange(n_new)
        self._steering.places.index_B_S = torch.from_numpy(index_B_S).to(self.device)
        self._steering.places.prompt_B = torch.tensor(list(prompts), device=self.device)

    def _call(self, ids_B_S: torch.Tensor, lengths_B: np.ndarray, past: KeyValues | None) -> torch.Tensor:
        if past is None:
            logits = self.model(input_ids=ids_B_S, use_cache=False).logits
        else:
            cache, frame = past.frame(ids_B_S.shape[1], self.device)
            last_B = torch.from_numpy(past.lengths + lengths_B - 1).to(self.device)
            logits = self.model(
                input_ids=ids_B_S,
                position_ids=frame.columns_B_S.minimum(last_B[:, None]),
                attention_mask=self._masks.of(frame),
                past_key_values=cache,
                use_cache=True,
            ).logits
        assert isinstance(logits, torch.Tensor)
        return logits

    def _measure(self, past: KeyValues) -> None:
        if not self.kv_bytes_per_token:
            row = past.row(0, 1)
            self.kv_bytes_per_token = max(1, row.nbytes)

    def run(
        self, plan: Plan, *, keep: bool = False, setup: Setup = BASE, prompts: Sequence[int] = ()
    ) -> Iterator[Wave]:
        """Computes a plan, one forward pass an item; with `keep`, waves hold the keys of what they read.

        Where the setup counts positions, `prompts` are the lengths of the sequences' prompts, and the plan must share
        nothing: a token's place in one prompt is another one in another. Several runs may be under way, in any order of
        their items. Raises `SetupError` as `forward` does.
        """
        self.counters.unique += plan.unique_tokens
        self.counters.asked += plan.total_tokens
        scratch = self._idle_scratch.pop() if self._idle_scratch else []
        run = _Run(setup, prompts, keep, sum(root.leaves for root in plan.roots) < _MANY, scratch)
        try:
            yield from self._run(plan, run)
        finally:
            self._idle_scratch.append(scratch)

    def _run(self, plan: Plan, run: _Run) -> Iterator[Wave]:
        fresh, continued = (
            self._starts(plan.roots, run) if self._shares(run) else ([_Task(r, 0) for r in plan.roots], [])
        )
        yield from self._level(fresh, None, run, 0)
        for first in range(0, len(continued), 64):
            rows = KeyValues(self.n_layers, np.zeros(0, dtype=np.int64))
            tasks: list[_Task] = []
            for task, stored, n in continued[first : first + 64]:
                task.parent = len(tasks)
                tasks.append(task)
                rows.append(stored)
                rows.lengths[-1] = n
            yield from self._level(tasks, rows, run, 0)

    def _starts(self, roots: list[Segment], run: _Run) -> tuple[list[_Task], list[tuple[_Task, StoredRow, int]]]:
        """What begins at nothing, and what goes on from a stored prefix; branches that reach further into the store
        than where they part are cut off and start there.
        """
        fresh: list[_Task] = []
        continued: list[tuple[_Task, StoredRow, int]] = []
        todo: list[tuple[Segment, list[int]]] = [(root, []) for root in roots]
        while todo:
            segment, above = todo.pop()
            whole = above + segment.tokens
            kept: list[Segment] = []
            for child in segment.children:
                looked_for = run.few or child.leaves >= _MANY
                found = self._stored(child, whole, run.setup) if looked_for else None
                if found is None or found[1] <= len(whole):
                    kept.append(child)
                else:
                    todo.append((child, whole))
            if segment.children and not kept and not segment.ends:
                continue
            found = self._stored(segment, above, run.setup)
            if found is None or found[1] < len(above):
                fresh.append(_Task(Segment(whole, segment.ends, kept, segment.leaves), 0, whole))
                fresh[-1].segment.ends = [(offset + len(above), i) for offset, i in segment.ends]
                continue
            n = found[1] - len(above)
            self.counters.stored_prefix_tokens += found[1]
            rest = Segment(segment.tokens[n:], [(o - n, i) for o, i in segment.ends], kept, segment.leaves)
            continued.append((_Task(rest, 0, whole), *found))
        return fresh, continued

    def _stored(self, segment: Segment, above: list[int], setup: Setup) -> tuple[StoredRow, int] | None:
        """The stored prefix for a segment, short of the first position that must be read and of the last one."""
        first_read = min((offset for offset, _ in segment.ends), default=len(segment.tokens) - 1)
        return self.store.longest(above + segment.tokens, len(above) + first_read, setup)

    def _level(self, tasks: list[_Task], past: KeyValues | None, run: _Run, depth: int) -> Iterator[Wave]:
        for chunk in self._chunks(tasks, past):
            segments = [task.segment for task in chunk]
            reads = [(row, offset) for row, segment in enumerate(segments) for offset, _ in segment.ends]
            numbers = [number for segment in segments for _, number in segment.ends]
            n_new = max(len(segment.tokens) for segment in segments)
            rows: KeyValues | None = None
            if past is not None:
                rows = past.gather([task.parent for task in chunk], n_new, run.scratch_at(depth))
            elif self.shares and (run.keep or run.few or any(segment.children for segment in segments)):
                rows = KeyValues(self.n_layers, np.zeros(len(chunk), dtype=np.int64))
            before = np.zeros(len(chunk), dtype=np.int64) if rows is None else rows.lengths
            prompts = [run.prompts[s.ends[0][1]] for s in segments] if run.setup.counts_positions else ()
            logits, rows = self.forward([s.tokens for s in segments], reads or [(0, 0)], rows, run.setup, prompts)
            if rows is not None:
                self._remember(chunk, rows, run)
            if numbers:
                places = [(row, int(before[row]) + offset + 1) for row, offset in reads]
                yield Wave(numbers, logits, rows, places)
            children = [
                _Task(child, row, None if task.whole is None else task.whole + child.tokens)
                for row, task in enumerate(chunk)
                for child in task.segment.children
            ]
            if children:
                yield from self._level(children, rows, run, depth + 1)

    def _shares(self, run: _Run) -> bool:
        return self.shares and not run.setup.counts_positions

    def _remember(self, chunk: list[_Task], rows: KeyValues, run: _Run) -> None:
        """Stores what many sequences stand on, and everything when there are few."""
        for row, task in enumerate(chunk):
            if task.whole is None or not (run.few or task.segment.leaves >= _MANY):
                task.whole = None
            elif len(task.whole) >= KEEP_FROM:
                self.store.put(task.whole, rows.row(row, len(task.whole)), run.setup)

    def _chunks(self, tasks: list[_Task], past: KeyValues | None) -> Iterator[list[_Task]]:
        """Tasks of like length together, inner segments apart from leaves, so that their children meet in turn."""
        order = sorted(tasks, key=lambda task: (not task.segment.children, len(task.segment.tokens)))
        chunk: list[_Task] = []
        longest = past_columns = 0
        for task in order:
            length = len(task.segment.tokens)
            columns = 0 if past is None else int(past.lengths[task.parent])
            new_longest, new_past = max(longest, length), max(past_columns, columns)
            n = len(chunk) + 1
            kv_bytes = n * (new_longest + new_past) * self.kv_bytes_per_token
            if chunk and (n * new_longest > self.limits.tokens or kv_bytes > self.limits.kv_bytes):
                yield sorted(chunk, key=lambda task: task.parent)
                chunk, new_longest, new_past = [], length, columns
            chunk.append(task)
            longest, past_columns = new_longest, new_past
        if chunk:
            yield sorted(chunk, key=lambda task: task.parent)
