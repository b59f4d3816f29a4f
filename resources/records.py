"""Stored answers as JSON text, and back: the one codec of the reply cache.

A fresh reply is read back from its own record before anybody sees it, so that the first run and every rerun see the
same. A distribution is stored raw, with its mass; the threshold below which it is void is applied on reading.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import TypeVar

from resources.answers import apply_threshold, must_draw
from resources.content import canonical
from resources.messages import Estimator, OptionProbabilities, Reply, Status, Usage
from resources.providers import Chosen, Generated

T = TypeVar("T")


def encode(answer: Generated | Chosen, *, latency_s: float, retries: int) -> str:
    """ASCII JSON of one answer; lone surrogates are kept as escapes."""
    usage = answer.usage
    common = {
        "status": answer.status.value,
        "usage": [usage.input_tokens, usage.cached_tokens, usage.output_tokens],
        "latency": round(latency_s, 6),
        "retries": retries,
        "id": answer.provider_request_id,
    }
    if isinstance(answer, Generated):
        return canonical({**common, "text": answer.text, "finish": answer.finish_reason}).decode()
    mass = None if math.isnan(answer.mass) else answer.mass
    own = {"p": list(answer.probabilities), "mass": mass, "estimator": answer.estimator.value}
    return canonical({**common, **own}).decode()


def reply_of(body: str, request_id: str, *, cached: bool) -> Reply | None:
    """A stored text; None when the record cannot be read."""

    def read() -> Reply:
        record = json.loads(body)
        return Reply(
            request_id,
            Status(record["status"]),
            record["text"],
            record["finish"],
            Usage(*record["usage"]),
            record["latency"],
            record["id"],
            cached,
            record["retries"],
        )

    return _or_none(read)


def chosen_of(body: str) -> Chosen | None:
    """A stored distribution, raw; None when the record cannot be read."""

    def read() -> Chosen:
        record = json.loads(body)
        mass = math.nan if record["mass"] is None else record["mass"]
        status, estimator = Status(record["status"]), Estimator(record["estimator"])
        return Chosen(tuple(record["p"]), mass, status, estimator, Usage(*record["usage"]), record["id"])

    return _or_none(read)


def probabilities_of(
    body: str, request_id: str, options: tuple[str, ...], *, cached: bool, void_below: float
) -> OptionProbabilities | None:
    """A stored distribution with the threshold applied; None when the record cannot be read, does not fit, or only says
    that draws are needed."""

    def read() -> OptionProbabilities | None:
        record = json.loads(body)
        mass = math.nan if record["mass"] is None else record["mass"]
        raw = Chosen(
            tuple(record["p"]), mass, Status(record["status"]), Estimator(record["estimator"]), Usage(*record["usage"])
        )
        if raw.probabilities and len(raw.probabilities) != len(options):
            raise ValueError("as many probabilities as options")
        if must_draw(raw):
            return None
        seen = apply_threshold(raw, void_below)
        return OptionProbabilities(
            request_id,
            options,
            seen.probabilities,
            mass,
            seen.status,
            seen.estimator,
            seen.usage,
            record["latency"],
            record["id"],
            cached,
            record["retries"],
        )

    return _or_none(read)


def _or_none(read: Callable[[], T | None]) -> T | None:
    """A record of an unknown shape is no record: the question is asked again."""
    try:
        return read()
    except (ValueError, KeyError, TypeError):
        return None
