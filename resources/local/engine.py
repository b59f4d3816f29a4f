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
from resources.local.passes import Counters, Layout, Limits, Wave
from resources.local.prefix import Plan
from resources.local.prefix_store import PrefixStore
from resources.local.rows import MANY, Branch, Columns, Row, lay_out, n_tokens
from resources.local.setup import BASE, Setup, SetupError
from resources.local.slots import Frame, KeyValues, Scratch, Stem, gathered
from resources.local.starts import starts
from resources.local.steering import Hooks
from resources.local.trial import is_shared_rightly

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
        self._hook = head.register_forward_pre_hook(self._only_read_positions) if head is not None else None
        self.shares = self._masks.known and config._attn_implementation in ("sdpa", "eager") and self._can_share()
        self.counters, self.store = Counters(), PrefixStore(self.limits.prefix_bytes)  # the trial above is not work

    def close(self) -> None:
        """Lets go of the model and of what is kept for it; with its hook they would hold each other until a full
        garbage collection, which memory outside Python's own does not bring about."""
        self._steering.take_off()
        if self._hook is not None:
            self._hook.remove()
        self.store = PrefixStore(0)
        self._idle_scratch.clear()

    def _can_share(self) -> bool:
        """Whether prefixes may be shared: proved on random tokens, not assumed."""
        limits = self.limits
        try:
            return is_shared_rightly(self)
        except (RuntimeError, TypeError, ValueError, IndexError, AttributeError, KeyError):
            return False  # a model with a cache or a mask of its own kind: it is run plainly
        finally:
            self.limits = limits

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
        layout: Layout | None = None,
    ) -> tuple[torch.Tensor, KeyValues | None]:
        """Runs `segments[i]` after row i of `past`; logits `[len(reads), vocabulary]` at the (row, offset) in `reads`.

        Without `past` nothing is kept. With it, the rows get the new keys and values in place. Segments are padded on
        the right: no real position sees what comes after it, so a pad changes nothing. `prompts` are the lengths of the
        rows' prompts, needed where the setup counts positions, `layout` that of rows with branches. Raises `SetupError`
        when the setup cannot be put on.
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
            logits = self._call(ids_B_S, lengths_B, past, layout)
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

    def _call(
        self, ids_B_S: torch.Tensor, lengths_B: np.ndarray, past: KeyValues | None, layout: Layout | None
    ) -> torch.Tensor:
        if past is None and layout is None:
            logits = self.model(input_ids=ids_B_S, use_cache=False).logits
        else:
            before_B = np.zeros_like(lengths_B) if past is None else past.lengths
            cache, frame = None, Frame.after(before_B, ids_B_S.shape[1], self.device)
            if past is not None:
                cache = past.ready(frame)
            if layout is None:
                last_B = torch.from_numpy(before_B + lengths_B - 1).to(self.device)
                positions_B_S = frame.columns_B_S.minimum(last_B[:, None])
            else:
                positions_B_S = torch.from_numpy(layout.positions_B_S).to(self.device)
            logits = self.model(
                input_ids=ids_B_S,
                position_ids=positions_B_S,
                attention_mask=self._masks.of(frame, layout),
                past_key_values=cache,
                use_cache=cache is not None,
            ).logits
        assert isinstance(logits, torch.Tensor)
        return logits

    def _measure(self, past: KeyValues) -> None:
        if not self.kv_bytes_per_token:
            self.kv_bytes_per_token = max(1, Stem(past, 0, ((0, 1),)).copied().nbytes)

    def run(
        self, plan: Plan, *, keep: bool = False, setup: Setup = BASE, prompts: Sequence[int] = ()
    ) -> Iterator[Wave]:
        """Computes a plan, one forward pass an item; with `keep`, waves say where the keys of what they read are.

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
        shared = self._shares(run)
        branches = starts(plan.roots, self.store, run.setup, few=run.few) if shared else [*map(Branch, plan.roots)]
        self.counters.stored_prefix_tokens += sum(branch.stem.length for branch in branches if branch.stem)
        yield from self._level(branches, run, 0)

    def _level(self, branches: list[Branch], run: _Run, depth: int) -> Iterator[Wave]:
        """Runs branches and what is below them. What did not fit into a row waits until there is enough to fill some
        passes, or until what it stands on takes half of the room for keys and values."""
        scratch = run.scratch_at(depth)
        scratch.reuse()
        waiting: list[Branch] = []
        for rows in self._passes(branches, run):
            kv, wave = self._pass(rows, run, scratch)
            if wave is not None:
                yield wave
            if not rows[0].later:
                scratch.reuse()
                continue
            assert kv is not None
            for number, row in enumerate(rows):
                stems: dict[Columns, Stem] = {}
                for segment, path, whole in row.later:
                    stem = stems.setdefault(path, Stem(kv, number, path))
                    waiting.append(Branch(segment, stem, whole))
            if self._enough(waiting):
                yield from self._level(waiting, run, depth + 1)
                waiting = []
                scratch.reuse()
        if waiting:
            yield from self._level(waiting, run, depth + 1)

    def _enough(self, waiting: list[Branch]) -> bool:
        sources = {id(b.stem.source): b.stem.source for b in waiting if b.stem is not None}.values()
        columns = sum(len(kv.lengths) * int(kv.lengths.max()) for kv in sources if isinstance(kv, KeyValues))
        return (
            sum(n_tokens(branch.segment) for branch in waiting) >= _PASSES_FULL * self.limits.tokens
            or columns * self.kv_bytes_per_token > self.limits.kv_bytes // 2
        )

    def _passes(self, branches: list[Branch], run: _Run) -> Iterator[list[Row]]:
        """Rows that run together. Those that nothing waits for come first: what they stand on is then free."""
        row_tokens = min(self.limits.row_tokens, self.limits.tokens) if self._shares(run) else 0
        rows = list(lay_out(branches, row_tokens, few=run.few))
        for awaited in (False, True):
            yield from pack(
                [row for row in rows if bool(row.later) is awaited],
                lambda row: (len(row.ids), row.before),
                pass_tokens=self.limits.pass_tokens,
                at_most=self.limits.tokens,
                at_most_columns=self.limits.kv_bytes / max(1, self.kv_bytes_per_token),
            )

    def _pass(self, rows: list[Row], run: _Run, scratch: Scratch) -> tuple[KeyValues | None, Wave | None]:
        """One forward pass: keys and values where any are needed, and what was read where anything was."""
        n_new = max(len(row.ids) for row in rows)
        kv: KeyValues | None = None
        if any(row.stem is not None for row in rows):
            kv = gathered([row.stem for row in rows], n_new, scratch)
        elif self.shares and (run.keep or any(row.later or row.kept for row in rows)):
            kv = KeyValues(self.n_layers, np.zeros(len(rows), dtype=np.int64))
        reads = [(i, offset) for i, row in enumerate(rows) for offset, _, _ in row.reads]
        numbers = [number for row in rows for _, number, _ in row.reads]
        prompts = [run.prompts[row.reads[0][1]] for row in rows] if run.setup.counts_positions else ()
        branched = any(row.n_segments > 1 for row in rows)
        layout = Layout.of(rows, n_new) if branched else None
        logits, kv = self.forward([row.ids for row in rows], reads or [(0, 0)], kv, run.setup, prompts, layout)
        if kv is not None and self._shares(run):
            for i, row in enumerate(rows):
                for path, whole in row.kept:
                    self.store.put(whole, Stem(kv, i, path), run.setup)
        if not numbers:
            return kv, None
        paths = (
            [Stem(kv, i, path) for i, row in enumerate(rows) for _, _, path in row.reads]
            if kv is not None and run.keep
            else None
        )
        return kv, Wave(numbers, logits, paths)

    def _shares(self, run: _Run) -> bool:
        return self.shares and not run.setup.counts_positions
