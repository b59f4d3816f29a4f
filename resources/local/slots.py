"""Keys and values of many sequences, each row with its own length. Imports torch: import this module inside functions.

What a row stands on lies in columns 0 and up, in every layer, whatever the other rows do: a token at position p in
column p. So a causal mask over columns is a causal mask over positions; rows of different lengths need no padding mask
(what lies behind a row's length is never read before it is overwritten), and rows can join and leave at any time. Only
where a row got branches (`rows.py`), a path through it lies in several ranges of columns; it is copied out as a `Stem`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers.cache_utils import Cache, CacheLayerMixin

from resources.local.rows import Columns


@dataclass(slots=True)
class Frame:
    """Where one forward pass writes: `columns_B_S`, or from `start` on when all rows have one length."""

    rows_B_1: torch.Tensor
    columns_B_S: torch.Tensor
    start: int | None
    used: int
    past: int

    @classmethod
    def after(cls, lengths_B: NDArray[np.int64], n_new: int, device: torch.device) -> Frame:
        """The `n_new` columns behind so many of each row."""
        uniform = bool((lengths_B == lengths_B[0]).all())
        return cls(
            rows_B_1=torch.arange(len(lengths_B), device=device)[:, None],
            columns_B_S=torch.from_numpy(lengths_B[:, None] + np.arange(n_new)).to(device),
            start=int(lengths_B[0]) if uniform else None,
            used=int(lengths_B.max()) + n_new,
            past=int(lengths_B.max()),
        )


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One sequence's keys and values, copied out: per layer `[heads, length, head_dim]` twice."""

    layers: list[tuple[torch.Tensor, torch.Tensor] | None]
    length: int

    @property
    def nbytes(self) -> int:
        return sum(k.nbytes + v.nbytes for k, v in filter(None, self.layers))


@dataclass(frozen=True, slots=True, eq=False)
class Stem:
    """A path of tokens: ranges of columns in one row of what holds their keys and values."""

    source: KeyValues | StoredRow
    row: int
    columns: Columns

    @property
    def length(self) -> int:
        return sum(end - begin for begin, end in self.columns)

    def at(self, place: int) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Keys and values of the whole row in one layer `[heads, columns, head_dim]`; None where it has none."""
        layer = self.source.layers[place]
        if not isinstance(layer, SlotLayer):
            return layer
        return None if layer.keys is None or layer.values is None else (layer.keys[self.row], layer.values[self.row])

    def copied(self) -> StoredRow:
        """The path's keys and values, side by side and on their own."""
        pairs = [self.at(place) for place in range(len(self.source.layers))]
        return StoredRow(
            [None if pair is None else (self._path(pair[0]), self._path(pair[1])) for pair in pairs], self.length
        )

    def _path(self, tensor: torch.Tensor) -> torch.Tensor:
        return torch.cat([tensor[:, begin:end] for begin, end in self.columns], dim=1)


class SlotLayer(CacheLayerMixin):  # type: ignore[misc]  # mypy reads no transformers
    """One layer of a `KeyValues`, in the form that a transformers model writes to."""

    is_sliding = False

    def __init__(self) -> None:
        super().__init__()
        self.keys: torch.Tensor | None = None
        self.values: torch.Tensor | None = None
        self.frame: Frame | None = None

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        assert self.frame is not None
        self.keys, self.values = (
            states.new_zeros((states.shape[0], states.shape[1], self.frame.used, states.shape[3]))
            for states in (key_states, value_states)
        )
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: object, **_kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if self.keys is None:
            self.lazy_initialization(key_states, value_states)
        frame = self.frame
        assert frame is not None
        assert self.keys is not None
        assert self.values is not None
        n = key_states.shape[0]
        for store, states in ((self.keys, key_states), (self.values, value_states)):
            if frame.start is not None:
                store[:n, :, frame.start : frame.start + states.shape[2]] = states
            else:
                store[frame.rows_B_1, :, frame.columns_B_S] = states.transpose(1, 2)
        return self.keys[:n, :, : frame.used], self.values[:n, :, : frame.used]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return (query_length if self.frame is None else self.frame.used), 0

    def get_seq_length(self) -> int:
        return 0 if self.frame is None else self.frame.past

    def get_max_length(self) -> int:
        return -1


class Scratch:
    """Memory that one level of a plan uses again and again: fresh pages cost more than what is written to them.

    What is taken lies side by side until `reuse`, after which none of it may be read any more.
    """

    def __init__(self) -> None:
        self._flat: dict[tuple[int, int], torch.Tensor] = {}
        self._taken: dict[tuple[int, int], int] = {}

    def take(self, name: tuple[int, int], like: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
        """A tensor `[rows, heads, columns, head_dim]` for `name` like one `[heads, ., head_dim]`, not written to."""
        shape = (rows, like.shape[0], columns, like.shape[2])
        size = rows * columns * like.shape[0] * like.shape[2]
        flat, at = self._flat.get(name), self._taken.get(name, 0)
        if flat is None or flat.numel() < at + size:
            self._flat[name] = flat = like.new_empty(at + size + size // 2)  # who holds some of the old one keeps it
            at = 0
        self._taken[name] = at + size
        return flat[at : at + size].view(shape)

    def reuse(self) -> None:
        """Everything may be taken again."""
        self._taken.clear()


class KeyValues:
    """The keys and values of `len(lengths)` rows over all layers; more rows and columns may be allocated than used."""

    def __init__(self, n_layers: int, lengths: NDArray[np.int64]) -> None:
        self.layers = [SlotLayer() for _ in range(n_layers)]
        self.lengths = lengths

    def ready(self, frame: Frame) -> Cache:
        """Room for the columns of a frame; the transformers cache to pass to the model."""
        for layer in self.layers:
            layer.frame = frame
        self.reserve(len(self.lengths), frame.used)
        return Cache(layers=list(self.layers))

    def reserve(self, rows: int, columns: int) -> None:
        """Room for so many rows and columns; grows by doubling, keeps what is there."""
        for layer in self.layers:
            if layer.keys is None or layer.values is None:
                continue
            have_rows, _, have_columns, _ = layer.keys.shape
            if rows <= have_rows and columns <= have_columns:
                continue
            new_rows = have_rows if rows <= have_rows else max(rows, 2 * have_rows)
            new_columns = have_columns if columns <= have_columns else max(columns, 2 * have_columns)
            layer.keys, layer.values = (_grown(t, new_rows, new_columns) for t in (layer.keys, layer.values))

    def append(self, stem: Stem) -> None:
        """One more row at the end, a copy of `stem`."""
        at, n_columns = len(self.lengths), stem.length
        pairs = [stem.at(place) for place in range(len(self.layers))]
        for layer, pair in zip(self.layers, pairs, strict=True):
            if pair is not None and layer.keys is None:
                layer.keys, layer.values = (t.new_zeros((1, t.shape[0], n_columns, t.shape[2])) for t in pair)
                layer.is_initialized = True
        self.reserve(at + 1, n_columns)
        for layer, pair in zip(self.layers, pairs, strict=True):
            if pair is not None:
                _write(layer, slice(at, at + 1), stem, pair)
        self.lengths = np.append(self.lengths, n_columns)

    def remove(self, i: int) -> None:
        """Drops row i; the last row takes its place."""
        last = len(self.lengths) - 1
        if i != last:
            n = int(self.lengths[last])
            for layer in self.layers:
                if layer.keys is not None and layer.values is not None:
                    layer.keys[i, :, :n] = layer.keys[last, :, :n]
                    layer.values[i, :, :n] = layer.values[last, :, :n]
            self.lengths[i] = n
        self.lengths = self.lengths[:last].copy()


def _grown(tensor: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    new = tensor.new_zeros((rows, tensor.shape[1], columns, tensor.shape[3]))
    new[: tensor.shape[0], :, : tensor.shape[2]] = tensor
    return new


def gathered(stems: Sequence[Stem | None], n_new: int, scratch: Scratch) -> KeyValues:
    """A new set of rows in `scratch`, row i a copy of `stems[i]` (empty for None), with room for `n_new` more columns.

    One of them at least is no None.
    """
    lengths = np.array([0 if stem is None else stem.length for stem in stems])
    columns = int(lengths.max()) + n_new
    some = next(stem for stem in stems if stem is not None)
    new = KeyValues(len(some.source.layers), lengths)
    runs = list(_runs(stems))
    for place, layer in enumerate(new.layers):
        like = some.at(place)
        if like is None:
            continue
        layer.keys, layer.values = (scratch.take((place, i), like[i], len(stems), columns) for i in range(2))
        layer.is_initialized = True
        for stem, rows in runs:
            pair = None if stem is None else stem.at(place)
            n = 0 if stem is None or pair is None else _write(layer, rows, stem, pair)
            # unwritten columns get weight 0, and 0 times whatever memory held may be NaN
            layer.keys[rows, :, n:] = 0.0
            layer.values[rows, :, n:] = 0.0
    return new


def _write(layer: SlotLayer, rows: slice, stem: Stem, pair: tuple[torch.Tensor, torch.Tensor]) -> int:
    """Copies a stem, of which `pair` is this layer, to the first columns of some rows; how many columns it takes."""
    assert layer.keys is not None
    assert layer.values is not None
    n = 0
    for begin, end in stem.columns:
        to = slice(n, n + end - begin)
        layer.keys[rows, :, to], layer.values[rows, :, to] = (tensor[:, begin:end] for tensor in pair)
        n = to.stop
    return n


def _runs(stems: Sequence[Stem | None]) -> Iterator[tuple[Stem | None, slice]]:
    """Neighbours that stand on the very same stem: one copy writes them all."""
    begin = 0
    for end in range(1, len(stems) + 1):
        if end == len(stems) or stems[end] is not stems[begin]:
            yield stems[begin], slice(begin, end)
            begin = end
