"""Sampled replies: rows join and leave the decoding loop at any step. Imports torch: import inside functions.

Each row draws from its own stream of random numbers, named by (seed, sample, prompt), by inverting the cumulative
distribution in float64: a reply does not depend on which rows were decoded beside it. The distribution is the model's
own at the request's temperature and top_p: no top-k, no repetition penalty, whatever the generation config says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from transformers.cache_utils import DynamicCache

from resources.local.engine import Engine
from resources.local.setup import BASE, Setup
from resources.local.slots import KeyValues, Stem
from resources.messages import Sampling, Status, Usage
from resources.providers import Generated, ProviderFault

Decode = Callable[[Sequence[int]], str]
Done = list[tuple["Row", Generated | ProviderFault]]
NO_TOKEN = -1
"""Drawn where the logits are not finite."""


@dataclass(slots=True)
class Row:
    """One reply in the making. `limit` is the most tokens it may have, `ends` and `stops` what ends it before."""

    prompt: list[int]
    sampling: Sampling
    limit: int
    ends: frozenset[int]
    stops: tuple[str, ...]
    decode: Decode
    random: np.random.Generator
    tokens: list[int] = field(default_factory=list)

    def add(self, token: int) -> Generated | ProviderFault | None:
        """Takes the next token; the finished reply when it was the last, a fault when there is none."""
        if token == NO_TOKEN:
            return ProviderFault("not_finite", "the model's logits are not finite", retryable=False)
        if token in self.ends:
            return self._finish(self.decode(self.tokens), Status.OK, "stop", ended=1)
        self.tokens.append(token)
        if self.stops:
            tail = self.tokens[-1 - max(len(stop.encode(errors="replace")) for stop in self.stops) :]
            if any(stop in self.decode(tail) for stop in self.stops):
                text = self.decode(self.tokens)
                found = [text.find(stop) for stop in self.stops if stop in text]
                if found:
                    return self._finish(text[: min(found)], Status.OK, "stop")
        if len(self.tokens) >= self.limit:
            return self._finish(self.decode(self.tokens), Status.TRUNCATED, "length")
        return None

    def _finish(self, text: str, status: Status, reason: str, ended: int = 0) -> Generated:
        usage = Usage(input_tokens=len(self.prompt), output_tokens=len(self.tokens) + ended)
        return Generated(text, status, reason, usage)


def random_stream(sampling: Sampling, sample: int, prompt: Sequence[int]) -> np.random.Generator:
    """Philox keyed by sha256 of (seed, sample, prompt); a missing seed is a seed of its own."""
    name = f"{sampling.seed}:{sample}:".encode() + np.asarray(prompt, dtype="<u4").tobytes()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(hashlib.sha256(name).digest()[:16], "little")))


def draw(rows: Sequence[Row], logits_B_V: torch.Tensor) -> list[int]:
    """The next token of each row: inverse CDF of softmax(logits / temperature) after top_p (Holtzman et al., 2020:
    the smallest set of most likely tokens whose mass reaches top_p); temperature 0 takes the most likely.
    """
    logits = logits_B_V.double()
    heat = torch.tensor([row.sampling.temperature or 1.0 for row in rows], dtype=torch.float64, device=logits.device)
    p_B_V = torch.softmax(logits / heat[:, None], dim=-1)
    cut = [i for i, row in enumerate(rows) if row.sampling.top_p < 1.0]
    if cut:
        p_B_V[cut] = _nucleus(p_B_V[cut], torch.tensor([rows[i].sampling.top_p for i in cut], device=logits.device))
    cumulative = p_B_V.cumsum(-1)
    u_B = np.array([row.random.random() for row in rows])
    target = torch.from_numpy(u_B).to(logits.device)[:, None] * cumulative[:, -1:]
    tokens = torch.searchsorted(cumulative, target, right=True).clamp_(max=logits.shape[1] - 1)[:, 0]
    cold = torch.tensor([row.sampling.temperature == 0.0 for row in rows], device=logits.device)
    finite = cumulative[:, -1].isfinite()
    drawn: list[int] = torch.where(cold, logits.argmax(-1), tokens).where(finite, NO_TOKEN).tolist()
    return drawn


def _nucleus(p_N_V: torch.Tensor, top_p_N: torch.Tensor) -> torch.Tensor:
    ordered, places = p_N_V.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(-1) - ordered
    kept = torch.where(before < top_p_N[:, None], ordered, 0.0)
    return torch.zeros_like(p_N_V).scatter(-1, places, kept)


class Pool:
    """The rows that are being decoded, one token each a step, all with one setup."""

    def __init__(self, engine: Engine, setup: Setup = BASE) -> None:
        self._engine, self._setup = engine, setup
        self._keys_values = KeyValues(engine.n_layers, np.zeros(0, dtype=np.int64))
        self.rows: list[Row] = []

    def join(self, row: Row, prompt: Stem) -> None:
        """A row whose prompt has run and whose first token is drawn."""
        self._keys_values.append(prompt)
        self.rows.append(row)

    def step(self) -> Done:
        """One more token for each row; those that are finished, with their replies."""
        logits, _ = self._engine.forward(
            [row.tokens[-1:] for row in self.rows],
            [(i, 0) for i in range(len(self.rows))],
            self._keys_values,
            self._setup,
            [len(row.prompt) for row in self.rows],
        )
        return self._advance(draw(self.rows, logits))

    def _advance(self, tokens: Sequence[int]) -> Done:
        done = [(row, reply) for row, token in zip(self.rows, tokens, strict=True) if (reply := row.add(token))]
        for row, _ in done:
            self.drop(row)
        return done

    def drop(self, row: Row) -> None:
        """Takes a row out; the last one takes its place."""
        i = next(i for i, other in enumerate(self.rows) if other is row)
        self._keys_values.remove(i)
        self.rows[i] = self.rows[-1]
        self.rows.pop()
        if not self.rows:
            self._keys_values = KeyValues(self._engine.n_layers, np.zeros(0, dtype=np.int64))


class PlainPool(Pool):
    """The same for models whose cache is of their own kind: each row keeps its own cache and runs alone."""

    def __init__(self, engine: Engine, setup: Setup = BASE) -> None:
        super().__init__(engine, setup)
        self._caches: dict[int, DynamicCache] = {}

    def join(self, row: Row, prompt: Stem | None) -> None:  # noqa: ARG002  # its keys and values are of another kind
        self.rows.append(row)

    def step(self) -> Done:
        config = self._engine.model.config
        drawn: list[int] = []
        for row in self.rows:
            cache = self._caches.setdefault(id(row), DynamicCache(config=config))
            new = row.tokens[-1:] if cache.get_seq_length() else row.prompt + row.tokens
            drawn += draw([row], self._engine.next_logits(new, cache, self._setup, len(row.prompt)))
        return self._advance(drawn)

    def drop(self, row: Row) -> None:
        self._caches.pop(id(row), None)
        self.rows = [other for other in self.rows if other is not row]
