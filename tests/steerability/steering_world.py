"""A small world to steer in, and a fake model that answers by rule."""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from influence_assets.steerability.cells import design
from influence_assets.steerability.method import chosen_methods
from influence_assets.steerability.people import People, people
from influence_assets.steerability.respond import Measurement, Prompts, respond
from influence_assets.steerability.splits import split
from resources.asking import Progress
from resources.messages import Estimator, OptionProbabilities, Reply, Request, Status

PROMPTS = Prompts.load(Path(__file__).parents[2] / "data/prompts/steerability")
TRAITS = ("order", "warmth", "nerve")


def frames(n_personas: int = 8, per_label: int = 8, frameworks: int = 1) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Personas at the corners of three traits; each statement speaks of one trait and one pole."""
    personas, statements = [], []
    for number in range(n_personas):
        levels = {trait: ("high" if number >> bit & 1 else "low") for bit, trait in enumerate(TRAITS)}
        framework = f"world{number % frameworks}"
        persona_id = f"p{number:02d}"
        personas.append(
            {
                "framework": framework,
                "framework_name": framework.title(),
                "persona_id": persona_id,
                "name": f"Name{number}",
                "description": " ".join(f"{trait}-{level}" for trait, level in levels.items()),
                "traits": [{"key": trait, "value": level} for trait, level in levels.items()],
            }
        )
        for agree in (True, False):
            for index in range(per_label):
                trait = TRAITS[index % 3]
                pole = levels[trait] if agree else ("low" if levels[trait] == "high" else "high")
                text = f"I say {trait}-{pole} about thing{number}x{index}{'a' if agree else 'd'}."
                statements.append(
                    {
                        "framework": framework,
                        "persona_id": persona_id,
                        "statement_id": hashlib.md5(text.encode()).hexdigest()[:8],
                        "text": text,
                        "agree": agree,
                        "pair_id": "",
                    }
                )
    return pl.DataFrame(personas), pl.DataFrame(statements)


@dataclass
class RuleModels:
    """Agrees with what the words before the question say of the trait; else with `unsteered`. Counts what it is asked.

    `fail` decides from the question's text whether the reply is an error, and which.
    """

    unsteered: float = 0.4
    fail: Callable[[Request], Status] = lambda _: Status.OK
    mass: float = 0.9
    describes: Status = Status.OK
    asked: list[Request] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)

    async def generate(self, request: Request) -> Reply:
        return (await self.generate_many([request]))[0]

    async def choose(self, request: Request, options: Sequence[str]) -> OptionProbabilities:
        return (await self.choose_many([request], options))[0]

    async def generate_many(self, requests: Sequence[Request], on_progress: Progress | None = None) -> list[Reply]:
        del on_progress
        return [Reply(_id(request), self.describes, text=" ".join(sorted(_stance(request)))) for request in requests]

    async def choose_many(
        self, requests: Sequence[Request], options: Sequence[str], on_progress: Progress | None = None
    ) -> list[OptionProbabilities]:
        self.asked += requests
        self.calls.append(len(requests))
        if on_progress is not None:
            on_progress(len(requests), len(requests))
        return [self._choice(request, tuple(options)) for request in requests]

    def _choice(self, request: Request, options: tuple[str, ...]) -> OptionProbabilities:
        status = self.fail(request)
        if status is not Status.OK:
            return OptionProbabilities(_id(request), options, (), math.nan, status, Estimator.LOGPROBS)
        trait, pole = re.findall(r"(\w+)-(high|low)", request.messages[-1].content)[0]
        stance = _stance(Request(request.model, request.messages[:-1], request.role))
        known = {word.split("-")[0]: word.split("-")[1] for word in stance}
        p = self.unsteered if trait not in known else 0.9 if known[trait] == pole else 0.1
        return OptionProbabilities(_id(request), options, (p, 1 - p), self.mass, Status.OK, Estimator.LOGPROBS)


def measure(models: RuleModels, world: People, **settings: object) -> tuple[Measurement, pl.DataFrame]:
    """The measurement and its responses, with the settings of the study that a test wants to differ."""
    wanted: dict[str, object] = {"methods": ("none", "description"), "n_steer": (4,), "repeats": 1, "pairs": None}
    wanted |= settings
    splits = split(world, n_steer=wanted["n_steer"], repeats=wanted["repeats"], seed=3)
    measurement = Measurement(
        people=world,
        splits=splits,
        cells=design(world, splits, pairs=wanted["pairs"], seed=3),
        methods=chosen_methods(wanted["methods"]),
        prompts=PROMPTS,
        seed=3,
    )
    return measurement, asyncio.run(respond(measurement, models, model="fake"))


def world(n_personas: int = 8, per_label: int = 8, frameworks: int = 1) -> People:
    """The small world, checked."""
    return people(*frames(n_personas, per_label, frameworks))


def synthetic_responses(
    correct_P_Q_S: np.ndarray, *, method: str = "system", agree_S: np.ndarray | None = None
) -> pl.DataFrame:
    """Rows of `steerability.responses` from an array of right (1), wrong (0) and void (nan) answers."""
    s_count = correct_P_Q_S.shape[2]
    agree_S = np.arange(s_count) % 2 == 0 if agree_S is None else agree_S
    p, q, s = (axis.ravel() for axis in np.indices(correct_P_Q_S.shape))
    right = correct_P_Q_S.ravel()
    agree = agree_S[s]
    p_agree = np.where(np.isnan(right), np.nan, np.where(right == 1, agree, ~agree).astype(float))
    return pl.DataFrame(
        {
            "model": ["fake"] * len(p),
            "iteration": np.zeros(len(p), dtype=np.int32),
            "method": [method] * len(p),
            "n_steer": np.zeros(len(p), dtype=np.int32),
            "repeat": np.zeros(len(p), dtype=np.int32),
            "steered_persona_id": [f"p{i:03d}" for i in p],
            "test_persona_id": [f"p{i:03d}" for i in q],
            "statement_id": [f"s{i:03d}_{j:03d}" for i, j in zip(q, s, strict=True)],
            "agree": agree,
            "p_agree": p_agree,
            "correct": right,
        }
    ).with_columns(pl.col("p_agree").fill_nan(None), (pl.col("correct").fill_nan(None) == 1).alias("correct"))


def _stance(request: Request) -> set[str]:
    """Words like order-high that the request gives; what the persona would not say counts as its opposite."""
    text = "\n".join(message.content for message in request.messages)
    said, _, denied = text.partition("would not say")
    words = {f"{trait}-{pole}" for trait, pole in re.findall(r"(\w+)-(high|low)", said)}
    opposite = {"high": "low", "low": "high"}
    return words | {f"{trait}-{opposite[pole]}" for trait, pole in re.findall(r"(\w+)-(high|low)", denied)}


def _id(request: Request) -> str:
    return hashlib.sha256(repr(request).encode()).hexdigest()
