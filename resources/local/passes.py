"""What bounds a forward pass, what it costs, and what it brings. Imports torch: import this module inside functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from resources.local.adapters import KEEP
from resources.local.rows import Row
from resources.local.slots import Stem


@dataclass(slots=True)
class Limits:
    """Bounds of one forward pass: new tokens (pads included), bytes of keys and values; and of what is kept: bytes of
    stored prefixes, number of adapters.

    `pass_tokens` is what a pass costs beside its tokens, in tokens. Trees of up to `row_tokens` stand in one row: the
    tokens of a row look at each other, also where they may not see each other.
    """

    tokens: int = 1024
    row_tokens: int = 96
    pass_tokens: int = 64
    kv_bytes: int = 64 * 2**20
    prefix_bytes: int = 256 * 2**20
    adapters: int = KEEP


@dataclass(slots=True)
class Counters:
    """What was computed. `computed` counts positions with pads, `unique` the least possible, `asked` all lengths."""

    forwards: int = 0
    computed: int = 0
    unique: int = 0
    asked: int = 0
    stored_prefix_tokens: int = 0


@dataclass(slots=True)
class Wave:
    """What one forward pass read: sequence numbers, their logits `[N, vocabulary]`, and where their keys and values
    are, if they were asked for and until the next pass."""

    numbers: list[int]
    logits_N_V: torch.Tensor
    paths: list[Stem] | None


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows with branches are laid out: per new token its position and the column where its subtree ends, each
    `[rows, tokens]`."""

    positions_B_S: NDArray[np.int64]
    ends_B_S: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[Row], n_new: int) -> Layout:
        """That of rows padded to `n_new` tokens; a pad is one more token at the end of the row's last path."""
        positions_B_S, ends_B_S = (np.empty((len(rows), n_new), dtype=np.int64) for _ in range(2))
        for i, row in enumerate(rows):
            n = len(row.ids)
            positions_B_S[i, :n], positions_B_S[i, n:] = row.positions, row.positions[-1]
            ends_B_S[i, :n], ends_B_S[i, n:] = row.ends, row.before + n_new
        return cls(positions_B_S, ends_B_S)
