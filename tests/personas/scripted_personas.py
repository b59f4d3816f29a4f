"""A small deterministic world that answers as a perfect generator and judge would, with faults on demand."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from influence_assets.personas.frameworks import Framework
from influence_assets.study import Study
from resources.asking import Progress
from resources.content import sha256_of
from resources.messages import Estimator, OptionProbabilities, Reply, Request, Role, Status

DATA = Path(__file__).parents[2] / "data"

# What each end of each dimension says of itself: no two words are shared between ends.
VERBS = {
    ("order", "high"): ["plan", "sort", "tidy", "schedule", "label"],
    ("order", "low"): ["misplace", "postpone", "forget", "scatter", "muddle"],
    ("company", "high"): ["host", "invite", "gather", "greet", "entertain"],
    ("company", "low"): ["avoid", "escape", "dodge", "decline", "skip"],
    ("risk", "high"): ["gamble on", "dive into", "leap at", "bet on", "chase"],
    ("risk", "low"): ["double-check", "insure", "hedge against", "distrust", "verify"],
}
OBJECTS = [
    "my monthly papers", "every crowded dinner", "long winter evenings", "the neighbours nearby", "unfinished errands",
    "big weekend markets", "old family letters", "strange new recipes", "quick lunch meetings", "all those invoices",
    "a visiting cousin", "lively birthday parties", "unknown mountain roads", "the kitchen cupboards", "second chances",
    "cheap airline tickets", "noisy board games", "my garden tools", "distant job offers", "the morning newspaper",
]  # fmt: skip
PLACES = {
    "work": ["before the office opens", "whenever my boss calls", "at the end of a shift"],
    "family": ["while grandmother watches", "with both of my brothers", "after our reunion"],
    "travel": ["on a slow night train", "in every foreign harbour", "during a stopover"],
}
ENDS = {(verb, place): end for end, verbs in VERBS.items() for verb in verbs for place in PLACES}

FRAMEWORK = Framework.model_validate(
    {
        "name": "Toy Types",
        "about": "types of a toy world",
        "dimensions": {"order": "a", "company": "b", "risk": "c"},
        "aspects": list(PLACES),
        "personas": [
            {
                "name": f"Type{''.join(side[0].upper() for side in sides)}",
                "description": "Someone with "
                + ", ".join(f"{s} {d}" for d, s in zip(["order", "company", "risk"], sides, strict=True)),
                "traits": dict(zip(["order", "company", "risk"], sides, strict=True)),
            }
            for sides in product(["high", "low"], repeat=3)
        ],
    }
)


def study(**personas: object) -> Study:
    """A study on the toy world; keywords go to its `personas` part."""
    part = {"frameworks": ["toy"], "agree_per_persona": 6, "statements_per_request": 4, **personas}
    roles = {"generator": ["writer"], "filter_judge": ["judge"]}
    return Study.model_validate({"name": "test", "roles": roles, "personas": part})


def end_of(text: str) -> tuple[str, str] | None:
    """The dimension and end that a statement of the toy world expresses."""
    return next((end for end, verbs in VERBS.items() if any(f" {verb} " in text for verb in verbs)), None)


def traits_of(prompt: str) -> dict[str, str]:
    """The traits that a prompt's description names."""
    return {d: s for s, d in re.findall(r"\b(high|low) (order|company|risk)\b", prompt)}


@dataclass
class Scripted:
    """The `Models` protocol over the toy world.

    `spoil(request)` may return a reply text or a status that takes the place of the right answer of a generator;
    `p_yes(request, p)` may bend a judge's probability, nan for void.
    """

    spoil: Callable[[Request], str | Status | None] = lambda _: None
    p_yes: Callable[[Request, float], float] = lambda _, p: p
    asked: list[Request] = field(default_factory=list)

    async def generate(self, request: Request) -> Reply:
        return (await self.generate_many([request]))[0]

    async def choose(self, request: Request, options: Sequence[str]) -> OptionProbabilities:
        return (await self.choose_many([request], options))[0]

    async def generate_many(self, requests: Sequence[Request], on_progress: Progress | None = None) -> list[Reply]:
        self.asked += requests
        if on_progress:
            on_progress(len(requests), len(requests))
        return [self._reply(request) for request in requests]

    async def choose_many(
        self, requests: Sequence[Request], options: Sequence[str], on_progress: Progress | None = None
    ) -> list[OptionProbabilities]:
        self.asked += requests
        if on_progress:
            on_progress(len(requests), len(requests))
        return [self._choice(request, tuple(options)) for request in requests]

    def _reply(self, request: Request) -> Reply:
        spoilt = self.spoil(request)
        if isinstance(spoilt, Status):
            return Reply(request_id=_id(request), status=spoilt, text="half a")
        return Reply(request_id=_id(request), status=Status.OK, text=spoilt if spoilt is not None else _write(request))

    def _choice(self, request: Request, options: tuple[str, ...]) -> OptionProbabilities:
        prompt = request.messages[-1].content
        end = end_of(prompt)
        side = traits_of(prompt).get(end[0]) if end else None
        p = self.p_yes(request, 0.5 if end is None or side is None else 0.95 if side == end[1] else 0.05)
        void = math.isnan(p)
        return OptionProbabilities(
            request_id=_id(request),
            options=options,
            probabilities=() if void else (p, 1 - p),
            mass=0.1 if void else 0.9,
            status=Status.VOID if void else Status.OK,
            estimator=Estimator.LOGPROBS,
        )


def _write(request: Request) -> str:
    prompt = request.messages[-1].content
    if "statements about" not in prompt:
        return "Someone with " + ", ".join(f"{side} {d}" for d, side in traits_of(prompt).items())
    found = re.search(r"Write (\d+) .* about (\w+) that", prompt)
    assert found is not None
    n, aspect = int(found.group(1)), found.group(2)
    agree = "would agree" in prompt
    traits = traits_of(prompt)
    ends = [(d, side if agree else "low" if side == "high" else "high") for d, side in traits.items()]
    rng = random.Random(sha256_of([request.sampling.seed or 0, request.sample]))
    return json.dumps(
        [
            f"I {rng.choice(VERBS[rng.choice(ends)])} {rng.choice(OBJECTS)} {rng.choice(PLACES[aspect])}."
            for _ in range(n)
        ]
    )


def _id(request: Request) -> str:
    messages = [message.content for message in request.messages]
    return sha256_of([request.model, messages, request.sampling.seed, request.sample])[:16]


def is_generator(request: Request) -> bool:
    """Whether a request asks for statements."""
    return request.role is Role.GENERATOR and "statements about" in request.messages[-1].content
