"""A local model as a `Provider`: safetensors in, two verbs out.

The model is loaded at the first request; the identity, which is part of every cache key, comes from the files alone.
So a run whose replies are all remembered never imports torch. Many requests should be in flight at once (the batcher
takes thousands): what meets is what shares prefixes and fills batches. One instance of the model serves all requests,
with whatever adapter and steering each of them names; those with the same, or with none, meet.
"""

from __future__ import annotations

import ctypes
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from resources.adapters import KnownAdapters
from resources.local.batcher import Batcher
from resources.local.setup import Setup
from resources.local.weights import check_weights, model_directory, weights_hash
from resources.messages import Request
from resources.providers import Chosen, Generated, Identity
from resources.registry import ModelEntry
from resources.steering import KnownDirections, Steering, steering_hash

if TYPE_CHECKING:
    from resources.local.passes import Counters
    from resources.local.worker import Worker


_LIBC = ctypes.CDLL(None)
DECIMALS = 6
"""Of probabilities and masses."""


class LocalProvider:
    """One entry of `data/models.yaml` with `provider: local`.

    Raises `InputError` at once when the directory, its weight files or their headers are not usable. `allow_pickle`
    lets a directory load that has only pickled weights, which can run code. `share_prefixes=False` scores every prompt
    on its own (for comparisons). `max_tokens` bounds the tokens of one forward pass, pads included, `max_rows` the
    replies that are decoded at once, and `max_adapters` the adapters in memory (the least recently used goes).
    """

    def __init__(
        self,
        entry: ModelEntry,
        root: Path,
        *,
        allow_pickle: bool = False,
        share_prefixes: bool = True,
        max_tokens: int | None = None,
        max_rows: int | None = None,
        max_adapters: int | None = None,
    ) -> None:
        self._entry, self._root = entry, root
        self._allow_pickle, self._share = allow_pickle, share_prefixes
        self._max_tokens, self._max_rows, self._max_adapters = max_tokens, max_rows, max_adapters
        self._directory = model_directory(entry, root)
        weights = check_weights(self._directory, entry, allow_pickle=allow_pickle)
        digest = weights_hash(self._directory, entry, weights, root / "data" / "cache" / "hashes")
        self.identity = Identity("local", entry.model, entry.revision or "", digest)
        self._adapters = KnownAdapters(root)
        self._directions = KnownDirections(root)
        self._counters: Counters | None = None
        self._batcher = Batcher(self._make_worker)

    def adapter_hash(self, adapter: str | None) -> str:
        """sha256 of a LoRA checkpoint's files (a directory relative to the project); empty without one.

        The files are looked at once: as long as this provider lives, an adapter has the hash that it had first, and
        files that have another when they are loaded are refused.
        """
        found = self._adapters.find(adapter)
        return found.digest if found else ""

    def steering_hash(self, steering: Steering) -> str:
        """What of a steering belongs to an address: what is done, and the hashes of the direction files, which are
        looked at once as adapters are."""
        return steering_hash(self._directions.find(steering))

    def _setup(self, request: Request) -> Setup:
        return Setup(self._adapters.find(request.adapter), self._directions.find(request.steering))

    async def generate(self, request: Request) -> Generated:
        """A sampled reply at the request's own temperature and top_p, from the stream (seed, sample, prompt).

        `TRUNCATED` when max_tokens or the model's context ended it. Raises `ProviderFault` when the prompt does not
        fit or the model fails, `InputError` when the files do not make a model or the request's adapter is none of it.
        """
        return await self._batcher.generate(request, self._setup(request))

    async def choose(self, request: Request, options: tuple[str, ...]) -> Chosen:
        """The model's own distribution over a closed set of answers, at temperature 1, from the full vocabulary.

        `mass` is what all answers have together before they are scaled to 1; whether it is enough is for the caller.
        How answers become tokens is told in `variants.py`. Raises as `generate` does, and `InputError` for options
        that the tokenizer cannot write or tell apart. Numbers have six decimals: what a matrix product adds up depends
        on the shape of the batch in the last bits (in float64 far below that), and a rerun must give the same bytes.
        """
        chosen = await self._batcher.choose(request, options, self._setup(request))
        return replace(
            chosen,
            probabilities=tuple(round(p, DECIMALS) for p in chosen.probabilities),
            mass=round(chosen.mass, DECIMALS),
        )

    async def aclose(self) -> None:
        """Lets the model go; requests that still wait are cancelled."""
        await self._batcher.aclose()
        if hasattr(_LIBC, "malloc_trim"):  # glibc: what a thread freed stays the process's otherwise
            _LIBC.malloc_trim(0)

    @property
    def counters(self) -> Counters | None:
        """Tokens asked, unique and computed so far; None while the model is not loaded."""
        return self._counters

    def _make_worker(self) -> Worker:
        """Runs in the worker's thread: torch's thread settings belong to a thread."""
        from resources.local.engine import Engine
        from resources.local.loading import load
        from resources.local.passes import Limits
        from resources.local.worker import Worker

        loaded = load(self._directory, self._entry, allow_pickle=self._allow_pickle)
        gpu = loaded.device.type == "cuda"
        limits = (
            Limits(32_768, row_tokens=1024, pass_tokens=1024, kv_bytes=2**33, prefix_bytes=2**33) if gpu else Limits()
        )
        if self._max_tokens is not None:
            limits.tokens = self._max_tokens
        if self._max_adapters is not None:
            limits.adapters = self._max_adapters
        engine = Engine(loaded.model, limits)
        engine.shares = engine.shares and self._share
        self._counters = engine.counters
        return Worker(loaded, engine, max_rows=self._max_rows or (256 if gpu else 64))
