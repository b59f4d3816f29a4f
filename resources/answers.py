"""The one place that reads an answer out of what a model gave: out of token log-probabilities, or out of text.

Two promises. What can be told from the first token is told exactly: the variants of one answer (`8`, ` 8`, `yes`,
`Yes`) are summed, and the mass that the model put on all valid answers is kept. What cannot be told is never guessed:
where a server splits `10` into digits, the token `1` may be the answer 1 or the start of 10, and the reading says
`decidable=False`, so that the caller can draw samples instead.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from resources.errors import InputError
from resources.messages import Estimator, Status, Usage
from resources.providers import Chosen

VOID_BELOW = 0.5
"""Default mass on valid answers below which an answer means nothing."""

AMBIGUOUS_MASS = 1e-3
"""Probability on tokens that fit two answers, or only begin one, up to which the reading is still called exact."""

_ROUNDING = 1e-2
"""How far above 1 the probabilities of one position may sum; servers round log-probabilities."""

_SPACE_MARKS = "▁Ġ"
"""How some servers print the space that a token begins with."""


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One candidate for the next token: its text, the natural logarithm of its probability, its bytes if given."""

    token: str
    logprob: float
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Reading:
    """A distribution over options read from one position.

    `probabilities` line up with the options and sum to 1, or are empty when no valid token was seen. `mass` is their
    sum before scaling (nan when the log-probabilities were not numbers). Unless `decidable`, they must not be used.
    """

    probabilities: tuple[float, ...]
    mass: float
    status: Status
    decidable: bool = True


def check_options(options: Sequence[str]) -> tuple[str, ...]:
    """The options as a tuple; an `InputError` when they are fewer than two, blank, or the same but for spaces."""
    cleaned = [option.strip() for option in options]
    if len(cleaned) < 2 or not all(cleaned) or len(set(cleaned)) < len(cleaned):
        raise InputError(
            "needs at least two different answers",
            field="options",
            value=list(options),
            fix="list every valid answer once",
        )
    return tuple(cleaned)


def read_first_token(options: Sequence[str], top: Iterable[TokenLogprob]) -> Reading:
    """The distribution over `options` at the first token of the answer, from the server's most likely tokens.

    Each distinct token counts once. A log-probability that is not a number, or clearly above 0, makes the whole
    position unparsable: a server that prints one wrong number is not trusted with the others.
    """
    tokens = {(candidate.token, candidate.raw): candidate.logprob for candidate in reversed(list(top))}
    if any(math.isnan(logprob) or logprob > _ROUNDING for logprob in tokens.values()):
        return Reading((), math.nan, Status.UNPARSABLE)
    weights, ambiguous = _weigh(options, tokens)
    mass = math.fsum(weights)
    if mass > 1 + _ROUNDING:
        return Reading((), math.nan, Status.UNPARSABLE)
    decidable = ambiguous <= AMBIGUOUS_MASS
    if mass <= 0:
        return Reading((), 0.0, Status.VOID, decidable)
    return Reading(tuple(weight / mass for weight in weights), min(mass, 1.0), Status.OK, decidable)


def _weigh(options: Sequence[str], tokens: dict[tuple[str, bytes], float]) -> tuple[list[float], float]:
    """Probability of each option's own token, and the probability on tokens that do not tell the options apart."""
    fold = _folding(options)
    names = [fold(option) for option in options]
    words = {key: fold(key[0].lstrip(_SPACE_MARKS).strip()) for key in tokens}
    seen = set(words.values())
    weights, ambiguous = [0.0] * len(names), 0.0
    for key, logprob in tokens.items():
        word, probability = words[key], math.exp(min(logprob, 0.0))
        if word in names:
            weights[names.index(word)] += probability
        if any(name != word and name.startswith(word) and name not in seen for name in names):
            ambiguous += probability
    return weights, ambiguous


def _folding(options: Sequence[str]) -> Callable[[str], str]:
    """Case is ignored where the options stay distinct without it."""
    return str.casefold if len({option.casefold() for option in options}) == len(options) else str


def parse_option(text: str, options: Sequence[str]) -> str | None:
    """The option that a written answer names, or None. The first line alone must be the option, give or take
    surrounding quotes or asterisks, a final full stop, and case where the options stay distinct without it."""
    lines = text.strip().splitlines()
    if not lines:
        return None
    fold = _folding(options)
    word = fold(lines[0].strip().strip("\"'`*").strip().removesuffix(".").strip())
    return next((option for option in options if fold(option) == word), None)


@dataclass(frozen=True, slots=True)
class Draw:
    """One sampled answer."""

    text: str
    status: Status
    usage: Usage


def estimate_from_draws(options: Sequence[str], draws: Sequence[Draw]) -> Chosen:
    """The plain relative frequencies of k sampled answers; `mass` is the share of draws that named an option.

    When no draw did, the status is that of the draws where they all agree (all refused, all filtered), else void.
    """
    named = Counter(parse_option(draw.text, options) for draw in draws if draw.status in (Status.OK, Status.TRUNCATED))
    valid = sum(count for option, count in named.items() if option is not None)
    usage = Usage(
        sum(draw.usage.input_tokens for draw in draws),
        sum(draw.usage.cached_tokens for draw in draws),
        sum(draw.usage.output_tokens for draw in draws),
    )
    if valid:
        probabilities = tuple(named[option] / valid for option in options)
        return Chosen(probabilities, valid / len(draws), Status.OK, Estimator.SAMPLED, usage)
    statuses = {draw.status for draw in draws}
    agreed = statuses.pop() if len(statuses) == 1 else Status.VOID
    status = agreed if agreed in (Status.REFUSAL, Status.CONTENT_FILTER) else Status.VOID
    return Chosen((), 0.0, status, Estimator.SAMPLED, usage)


def needs_draws(usage: Usage, provider_request_id: str = "") -> Chosen:
    """What a provider returns when it has no log-probabilities, or none that tell the options apart."""
    return Chosen((), math.nan, Status.OK, Estimator.SAMPLED, usage, provider_request_id)


def must_draw(chosen: Chosen) -> bool:
    """Whether `needs_draws` made it."""
    return chosen.estimator is Estimator.SAMPLED and chosen.status is Status.OK and not chosen.probabilities


def apply_threshold(chosen: Chosen, void_below: float) -> Chosen:
    """The same answer, void (and without probabilities) when the mass on valid answers is below `void_below`."""
    if chosen.status is Status.OK and chosen.mass < void_below:
        return replace(chosen, probabilities=(), status=Status.VOID)
    return chosen
