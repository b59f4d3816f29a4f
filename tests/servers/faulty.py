"""A script with faults: each question fails in its own ways before it is answered, whatever order they come in.

Which questions fail, how and how often follows from their text alone, so that a run with faults can be compared with
one without, and a rerun sees the same world.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from tests.servers.scripted import Answer, Asked, error, openai_logprobs, text

LATENCY = 0.02
Fault = Callable[[Asked], Answer]


def _always(answer: Answer) -> Fault:
    return lambda _: answer


SLOW: tuple[Fault, ...] = (
    lambda asked: replace(right(asked), delay=5.0),
    lambda asked: replace(right(asked), drip=0.05),
)
"""These cost the whole timeout of a try, so that a storm has fewer of them."""

FAST: tuple[Fault, ...] = (
    _always(error(429)),
    _always(error(429, headers={"retry-after": "0.02"})),
    _always(error(429, headers={"retry-after-ms": "20"})),
    _always(error(429, headers={"retry-after": "soon"})),
    _always(error(500)),
    _always(error(503)),
    _always(error(529)),
    lambda asked: replace(right(asked), keep=40),
    lambda asked: Answer(right(asked).body[:-7]),
    _always(Answer(b"<html>bad gateway</html>", content_type="text/html")),
    _always(Answer(b'{"choices": [], "content": null}')),
)
FAULTS = (*SLOW, *FAST)
_STORM = (*SLOW, *(FAST * 4))
_tries: Counter[str] = Counter()


def right(asked: Asked) -> Answer:
    """The answer without faults."""
    if asked.wants_logprobs:
        return openai_logprobs([("yes", math.log(0.7)), ("no", math.log(0.2))], delay=LATENCY)
    return text(asked, f"re: {asked.last}", delay=LATENCY)


def draw(asked: Asked, salt: str) -> float:
    """A number in [0, 1) that depends on the question and the salt alone."""
    key = f"{salt} {asked.path} {asked.wants_logprobs} {asked.last}".encode()
    return int.from_bytes(hashlib.sha256(key).digest()[:7]) / 2**56


def faulty(asked: Asked) -> Answer:
    """One try in five fails: a question of which a fault was drawn fails once, sometimes twice."""
    key = f"{asked.path} {asked.wants_logprobs} {asked.last}"
    tried = _tries[key]
    _tries[key] += 1
    if draw(asked, f"fails {tried}") < 0.2:
        return _STORM[int(draw(asked, f"how {tried}") * len(_STORM))](asked)
    return right(asked)
