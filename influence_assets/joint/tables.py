"""The public tables `joint.*`: what every checkpoint was probed with, its profile, and how it drifted."""

from __future__ import annotations

from dataclasses import replace

from influence_assets.features import tables as features
from influence_assets.steerability import tables as steerability
from resources.tables import Column, Table

CHECKPOINT = ("model", "iteration")

_MODEL = (
    Column("model", "VARCHAR", "name of the model in data/models.yaml"),
    Column("iteration", "INTEGER", "training iteration of the checkpoint; 0 is the untouched model"),
)
_MEASURE = (
    *_MODEL,
    Column(
        "measure",
        "VARCHAR",
        "sensitivity, gain, trait_score, projection_replies, projection_words, projection_neutral, reward, harm, "
        "targeting_gap or stance_shift; docs/joint.md defines each",
    ),
    Column("subject", "VARCHAR", "the steering method, or the trait; empty for measures of conversations"),
)
_KIND = Column("user_kind", "VARCHAR", "simulated users that it is measured with, or all; all where there are none")
_UNIT = Column("unit", "VARCHAR", "what the measure counts in")
_RESAMPLED = (
    Column(
        "resampled", "VARCHAR", "what the interval draws anew: environments, initial states, personas, items, texts"
    ),
    Column("n_resampled", "INTEGER", "how many of these there are"),
)

RESPONSES = replace(
    steerability.RESPONSES,
    name="joint.responses",
    comment="Answers of every checkpoint in the joint family's smaller design; columns as in steerability.responses.",
)

TRAIT_ANSWERS = replace(
    features.TRAIT_ANSWERS,
    name="joint.trait_answers",
    comment="Held-out trait items asked of every checkpoint, unsteered; columns as in features.trait_answers.",
)

PROJECTIONS = Table(
    name="joint.projections",
    comment="How far along each direction of the untouched model a checkpoint's residual stream lies while it reads a "
    "text: the dot product over the scale, read where `features.pooling` says (a text's last token, or its mean).",
    columns=(
        *_MODEL,
        Column(
            "text_set",
            "VARCHAR",
            "replies: the checkpoint's own; words: those, read by the untouched model; neutral: fixed texts",
        ),
        Column("text_id", "VARCHAR", "the conversation_id, or the number of the neutral text in its file"),
        Column("direction_id", "VARCHAR", "the direction in features.directions, found in iteration 0"),
        Column("factor", "VARCHAR", "trait that it is of; empty for random ones"),
        Column("category", "VARCHAR", "category that it points to; high for traits"),
        Column("method", "VARCHAR", "how it was found; random and shuffled ones are controls"),
        Column("index", "INTEGER", "number in a series of controls, from 0"),
        Column("projection", "DOUBLE", "in mean residual norms of the untouched model there; mean over its replies"),
        Column("n_tokens", "INTEGER", "tokens behind it"),
    ),
    partition=CHECKPOINT,
    key=("model", "iteration", "text_set", "text_id", "direction_id"),
)

CHECKPOINT_PROFILE = Table(
    name="joint.checkpoint_profile",
    comment="Everything that is measured of every checkpoint, one row per measure, with 95 % intervals.",
    columns=(
        *_MEASURE,
        _KIND,
        Column("value", "DOUBLE", "the measure; null where it cannot be had"),
        Column("ci_low", "DOUBLE", "lower end of the 95 % bootstrap interval"),
        Column("ci_high", "DOUBLE", "upper end of the 95 % bootstrap interval"),
        Column("n", "INTEGER", "personas, items, texts or conversations behind it"),
        _UNIT,
    ),
    partition=("model",),
    key=("model", "iteration", "measure", "subject", "user_kind"),
)

DRIFT = Table(
    name="joint.drift",
    comment="How far every measure of a trained checkpoint is from the untouched model's, in pairs: the same personas, "
    "items, texts, or initial states and seeds.",
    columns=(
        *_MEASURE,
        _KIND,
        Column("change", "DOUBLE", "mean over pairs of the checkpoint's value less the untouched model's"),
        Column("ci_low", "DOUBLE", "lower end of its 95 % interval"),
        Column("ci_high", "DOUBLE", "upper end of its 95 % interval"),
        Column("p", "DOUBLE", "two-sided permutation p of no change"),
        Column("p_adjusted", "DOUBLE", "p adjusted over all rows of the model (Benjamini-Hochberg)"),
        Column("n", "INTEGER", "pairs behind it"),
        *_RESAMPLED,
        Column("spread", "DOUBLE", "standard deviation of the pairs' changes; pooled over the two groups of a gap"),
        Column("effect", "DOUBLE", "change / spread, the standardized change (Cohen's d of the pairs)"),
        Column(
            "z_random", "DOUBLE", "change over the root mean square change along random directions; projections only"
        ),
        Column("z_shuffled", "DOUBLE", "the same against directions of shuffled labels, the harder comparison"),
        _UNIT,
    ),
    partition=("model",),
    key=("model", "iteration", "measure", "subject", "user_kind"),
)

MOVES_WITH_HARM = Table(
    name="joint.moves_with_harm",
    comment="Whether a measure's change goes with the change in harm over held-out initial states. What is not "
    "measured per initial state (steerability, trait items, neutral texts) has no row.",
    columns=(
        *_MEASURE,
        Column("correlation", "DOUBLE", "rank correlation over initial states of its change with harm's change"),
        Column("ci_low", "DOUBLE", "lower end of its 95 % bootstrap interval"),
        Column("ci_high", "DOUBLE", "upper end of its 95 % bootstrap interval"),
        Column("n", "INTEGER", "initial states behind it"),
        *_RESAMPLED,
    ),
    partition=("model",),
    key=("model", "iteration", "measure", "subject"),
)

TABLES = (RESPONSES, TRAIT_ANSWERS, PROJECTIONS, CHECKPOINT_PROFILE, DRIFT, MOVES_WITH_HARM)
