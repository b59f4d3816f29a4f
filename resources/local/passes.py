"""What bounds a forward pass, what it costs, and what it brings. Imports torch: import this module inside functions."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from resources.local.adapters import KEEP
from resources.local.slots import KeyValues


@dataclass(slots=True)
class Limits:
    """Bounds of one forward pass: new tokens (pads included), bytes of keys and values; and of what is kept: bytes of
    stored prefixes, number of adapters. `pass_tokens` is what a pass costs beside its tokens, in tokens."""

    tokens: int = 1024
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
    """What one forward pass read: sequence numbers, their logits `[N, vocabulary]`, and where their keys are."""

    numbers: list[int]
    logits_N_V: torch.Tensor
    keys_values: KeyValues | None
    places: list[tuple[int, int]]
    """(row, length) in `keys_values` of each number."""
