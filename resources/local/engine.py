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
from resources.local.packing import pack
from resources.local.passes import Counters, Limits, Wave
from resources.local.prefix import Plan
from resources.local.prefix_store import KEEP_FROM, PrefixStore
from resources.local.setup import BASE, Setup, SetupError
from resources.local.slots import KeyValues, Scratch, gathered
from resources.local.starts import MANY, Task, starts
from resources.local.steering import Hooks

if TYPE_CHECKING:
    from transformers import PreTrainedModel
    from transformers.cache_utils import Cache

_PASSES_FULL = 4
"""Segments below others wait until there are tokens for so many passes: where more meet, fewer are padded."""


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
        run = _Run(setup, prompts, keep, sum(root.leaves for root in plan.roots) < MANY, scratch)
        try:
            yield from self._run(plan, run)
        finally:
            self._idle_scratch.append(scratch)

    def _run(self, plan: Plan, run: _Run) -> Iterator[Wave]:
        fresh, continued = (
            starts(plan.roots, self.store, run.setup, few=run.few)
            if self._shares(run)
            else ([Task(root) for root in plan.roots], [])
        )
        yield from self._level(fresh, run, 0)
        for first in range(0, len(continued), 64):
            rows = KeyValues(self.n_layers, np.zeros(0, dtype=np.int64))
            tasks: list[Task] = []
            for task, stored, n in continued[first : first + 64]:
                task.after = (rows, len(tasks))
                tasks.append(task)
                rows.append(stored)
                rows.lengths[-1] = n
                self.counters.stored_prefix_tokens += n
            yield from self._level(tasks, run, 0)

    def _level(self, tasks: list[Task], run: _Run, depth: int) -> Iterator[Wave]:
        """Runs tasks and what stands on them. Children wait until there are enough of them to fill some passes, or
        until what they stand on takes half of the room for keys and values."""
        scratch = run.scratch_at(depth)
        scratch.reuse()
        waiting: list[Task] = []
        for chunk in self._chunks(tasks):
            inner = bool(chunk[0].segment.children)
            rows, wave = self._pass(chunk, run, scratch)
            if wave is not None:
                yield wave
            if not inner:
                scratch.reuse()
                continue
            assert rows is not None
            waiting += [
                task.below(child, rows, row) for row, task in enumerate(chunk) for child in task.segment.children
            ]
            held = {id(task.after[0]): task.after[0] for task in waiting if task.after is not None}.values()
            if (
                sum(len(task.segment.tokens) for task in waiting) >= _PASSES_FULL * self.limits.tokens
                or sum(len(kv.lengths) * int(kv.lengths.max()) for kv in held) * self.kv_bytes_per_token
                > self.limits.kv_bytes // 2
            ):
                yield from self._level(waiting, run, depth + 1)
                waiting = []
                scratch.reuse()
        if waiting:
            yield from self._level(waiting, run, depth + 1)

    def _pass(self, chunk: list[Task], run: _Run, scratch: Scratch) -> tuple[KeyValues | None, Wave | None]:
        """One forward pass: the keys and values where any are kept, and what was read where anything was."""
        segments = [task.segment for task in chunk]
        reads = [(row, offset) for row, segment in enumerate(segments) for offset, _ in segment.ends]
        numbers = [number for segment in segments for _, number in segment.ends]
        before = [task.before for task in chunk]
        rows: KeyValues | None = None
        after = [task.after for task in chunk if task.after is not None]
        if after:
            rows = gathered(after, max(len(segment.tokens) for segment in segments), scratch)
        elif self.shares and (run.keep or run.few or any(segment.children for segment in segments)):
            rows = KeyValues(self.n_layers, np.zeros(len(chunk), dtype=np.int64))
        prompts = [run.prompts[s.ends[0][1]] for s in segments] if run.setup.counts_positions else ()
        logits, rows = self.forward([s.tokens for s in segments], reads or [(0, 0)], rows, run.setup, prompts)
        if rows is not None:
            self._remember(chunk, rows, run)
        if not numbers:
            return rows, None
        return rows, Wave(numbers, logits, rows, [(row, before[row] + offset + 1) for row, offset in reads])

    def _shares(self, run: _Run) -> bool:
        return self.shares and not run.setup.counts_positions

    def _remember(self, chunk: list[Task], rows: KeyValues, run: _Run) -> None:
        """Stores what many sequences stand on, and everything when there are few."""
        for row, task in enumerate(chunk):
            if task.whole is None or not (run.few or task.segment.leaves >= MANY):
                task.whole = None
            elif len(task.whole) >= KEEP_FROM:
                self.store.put(task.whole, rows.row(row, len(task.whole)), run.setup)

    def _chunks(self, tasks: list[Task]) -> Iterator[list[Task]]:
        """The passes; those of leaves come first, since nothing waits for what they stand on."""
        for inner in (False, True):
            yield from pack(
                [task for task in tasks if bool(task.segment.children) is inner],
                lambda task: (len(task.segment.tokens), task.before),
                pass_tokens=self.limits.pass_tokens,
                at_most=self.limits.tokens,
                at_most_columns=self.limits.kv_bytes / max(1, self.kv_bytes_per_token),
            )
