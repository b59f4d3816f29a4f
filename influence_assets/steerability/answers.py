"""One answer: what the variants of one question came to together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from resources.messages import OptionProbabilities, Status

_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "p_agree": pl.Float64,
    "mass": pl.Float64,
    "status": pl.String,
    "estimator": pl.String,
    "n_variants": pl.Int32,
    "p_variants": pl.List(pl.Float64),
    "request_id": pl.String,
    "request_ids": pl.List(pl.String),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """Columns of `steerability.responses` that come from the model; None is null, never a number."""

    p_agree: float | None
    mass: float | None
    status: str
    estimator: str
    p_variants: tuple[float | None, ...]
    request_ids: tuple[str, ...]

    @classmethod
    def of(cls, replies: Sequence[OptionProbabilities], min_mass: float) -> Answer:
        """The mean P(first option) over the variants that were answered with at least `min_mass` on the options.

        The mass is the mean over all variants whose mass is known. When no variant was answered, the status is the
        one that all share, else void.
        """
        statuses = [_status(reply, min_mass) for reply in replies]
        p_variants = tuple(
            reply.probabilities[0] if status is Status.OK else None
            for reply, status in zip(replies, statuses, strict=True)
        )
        kept = [p for p in p_variants if p is not None]
        masses = [reply.mass for reply in replies if reply.mass == reply.mass]  # nan, unknown, is unequal to itself
        shared = statuses[0] if len(set(statuses)) == 1 else Status.VOID
        return cls(
            p_agree=sum(kept) / len(kept) if kept else None,
            mass=sum(masses) / len(masses) if masses else None,
            status=str(Status.OK if kept else shared),
            estimator=str(replies[0].estimator),
            p_variants=p_variants,
            request_ids=tuple(reply.request_id for reply in replies),
        )

    @classmethod
    def failed(cls, status: Status) -> Answer:
        """No question was asked, because what should stand before it failed."""
        return cls(None, None, str(status), "", (), ())

    @classmethod
    def reference(cls) -> Answer:
        """Answered without a model."""
        return cls(None, None, str(Status.OK), "reference", (), ())


def answer_frame(answers: Sequence[Answer]) -> pl.DataFrame:
    """One row per answer."""
    return pl.DataFrame(
        {
            "p_agree": [answer.p_agree for answer in answers],
            "mass": [answer.mass for answer in answers],
            "status": [answer.status for answer in answers],
            "estimator": [answer.estimator for answer in answers],
            "n_variants": [len(answer.p_variants) - answer.p_variants.count(None) for answer in answers],
            "p_variants": [answer.p_variants for answer in answers],
            "request_id": [answer.request_ids[0] if answer.request_ids else "" for answer in answers],
            "request_ids": [answer.request_ids for answer in answers],
        },
        schema=_SCHEMA,
    )


def _status(reply: OptionProbabilities, min_mass: float) -> Status:
    if reply.status is Status.OK and reply.mass < min_mass:
        return Status.VOID
    return reply.status
