"""Which statements of each persona steer and which test.

One seeded shuffle per persona, repeat and label serves every n: the set of n is the first n / 2 of either label, so a
larger set contains the smaller ones, and all n are tested on the same statements, those outside the largest set. The
draw depends on nothing but the seed and the persona's id, so a new persona changes nobody else's split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from influence_assets.steerability.people import People
from influence_assets.steerability.tables import SCHEMA_ORDER
from resources.errors import InputError

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Draw:
    """One persona's split in one repeat, as statement numbers. Steering statements stand in the order of the draw."""

    agree: Numbers
    disagree: Numbers
    test: Numbers

    def steer(self, n: int) -> tuple[Numbers, Numbers]:
        """The agree and the disagree statements of the steering set of size n."""
        return self.agree[: n // 2], self.disagree[: n // 2]

    @property
    def shown(self) -> Numbers:
        """Every statement of the largest steering set."""
        return np.concatenate([self.agree, self.disagree])


@dataclass(frozen=True, slots=True)
class Splits:
    """`draws[repeat][persona]`; None for a persona with too few statements, which takes no part."""

    n_steer: tuple[int, ...]
    draws: tuple[tuple[Draw | None, ...], ...]

    @property
    def taking_part(self) -> Numbers:
        """Numbers of the personas with enough statements."""
        return np.array([p for p, draw in enumerate(self.draws[0]) if draw is not None], dtype=np.int64)


def split(
    people: People, *, n_steer: Sequence[int], repeats: int, seed: int, test_per_persona: int | None = None
) -> Splits:
    """Balanced steering and test sets for every persona and repeat.

    `test_per_persona` bounds the test statements (half of either label). Raises `InputError` when an n is odd or
    negative, and when fewer than two personas have n / 2 steering statements and one test statement of either label.
    """
    for n in n_steer:
        if n < 0 or n % 2:
            raise InputError(
                "a steering set is half agree, half disagree, so its size is even",
                field="steerability.n_steer",
                value=n,
                fix=f"use {max(0, n - 1)} or {n + 1}",
            )
    sizes = tuple(sorted(set(n_steer)))
    if not sizes:
        raise InputError("no size of the steering set", field="steerability.n_steer", fix="name one, such as [4]")
    result = Splits(
        n_steer=sizes,
        draws=tuple(
            tuple(
                _draw(people, persona, repeat, largest=sizes[-1], seed=seed, tests=test_per_persona)
                for persona in range(len(people.personas))
            )
            for repeat in range(repeats)
        ),
    )
    if len(result.taking_part) < 2:
        counts = [len(people.statements_of(persona)) for persona in range(len(people.personas))]
        raise InputError(
            f"{len(result.taking_part)} of {len(counts)} personas have {sizes[-1] // 2} statements of either label to "
            f"steer and one to test; two are needed (the most that one has is {max(counts, default=0)})",
            field="steerability.n_steer",
            value=sizes[-1],
            fix="lower n_steer or raise personas.agree_per_persona",
        )
    return result


def leaks(people: People, shown: Numbers, tests: Numbers) -> NDArray[np.bool_]:
    """Which of the test statements have a text that the steered model was shown, whoever's statement it was.

    A contrast pair is one text of two personas, so a cell's tests are cleared by text, not by statement id.
    """
    return np.isin(people.text_S[tests], people.text_S[shown])


def steering_sets(people: People, splits: Splits, *, model: str, iteration: int = 0) -> pl.DataFrame:
    """Rows of `steerability.steering_sets`."""
    parts: list[tuple[int, int, int, str, Numbers]] = []
    for repeat, draws in enumerate(splits.draws):
        for persona, draw in enumerate(draws):
            for n in splits.n_steer:
                if draw is None:
                    parts.append((persona, n, repeat, "short", people.statements_of(persona)))
                else:
                    parts.append((persona, n, repeat, "steer", np.concatenate(draw.steer(n))))
                    parts.append((persona, n, repeat, "test", draw.test))
    sizes = [len(part[-1]) for part in parts]
    statement = np.concatenate([part[-1] for part in parts])
    persona_R = np.repeat([part[0] for part in parts], sizes)
    frame = pl.DataFrame(
        {
            "framework": np.array([person.framework for person in people.personas], dtype=object)[persona_R].tolist(),
            "persona_id": np.array([person.persona_id for person in people.personas], dtype=object)[persona_R].tolist(),
            "n_steer": np.repeat([part[1] for part in parts], sizes).astype(np.int32),
            "repeat": np.repeat([part[2] for part in parts], sizes).astype(np.int32),
            "statement_id": [people.statement_ids[s] for s in statement.tolist()],
            "agree": people.agree_S[statement],
            "part": np.repeat([part[3] for part in parts], sizes),
        }
    )
    return frame.with_columns(
        pl.lit(model).alias("model"), pl.lit(iteration, dtype=pl.Int32).alias("iteration")
    ).select(SCHEMA_ORDER["steerability.steering_sets"])


def seeded(seed: int, *names: str | int) -> np.random.Generator:
    """A generator that depends on the seed and the names alone, whatever else is drawn."""
    text = "\x1f".join([str(seed), *map(str, names)])
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]))


def _draw(people: People, persona: int, repeat: int, *, largest: int, seed: int, tests: int | None) -> Draw | None:
    own = people.statements_of(persona)
    person = people.personas[persona]
    rng = seeded(seed, "split", person.framework, person.persona_id, repeat)
    agree, disagree = (rng.permutation(own[people.agree_S[own] == label]) for label in (True, False))
    half = largest // 2
    shown = np.concatenate([agree[:half], disagree[:half]])
    rest = [label[half:][~leaks(people, shown, label[half:])] for label in (agree, disagree)]
    if min(map(len, rest)) < 1 or min(len(agree), len(disagree)) < half:
        return None
    if tests is not None:
        rest = [label[: max(1, tests // 2)] for label in rest]
    return Draw(agree=agree[:half], disagree=disagree[:half], test=np.sort(np.concatenate(rest)))
