"""The public tables `steerability.*`. `steered` is the persona that the model was made to act as, `test` the persona
whose statements it was asked about."""

from __future__ import annotations

import polars as pl

from resources.tables import Column, Table

_PARTITION = ("model", "iteration")

_MODEL = (
    Column("model", "VARCHAR", "name of the model in data/models.yaml"),
    Column("iteration", "INTEGER", "training iteration of the checkpoint; 0 is the untouched model"),
)
_METHOD = (
    *_MODEL,
    Column(
        "method", "VARCHAR", "steering method; always_agree, coin and bag_of_words are reference points without a model"
    ),
    Column("n_steer", "INTEGER", "statements shown to steer; 0 for methods that show none"),
)
_CELL = (
    Column("steered_persona_id", "VARCHAR", "persona that the model was steered to"),
    Column("test_persona_id", "VARCHAR", "persona whose statements were asked about"),
)
_SCORE = (
    Column("score", "VARCHAR", "name of the score; docs/steerability.md defines each"),
    Column("value", "DOUBLE", "the score; null where it cannot be had"),
    Column("ci_low", "DOUBLE", "lower end of the 95 % bootstrap interval"),
    Column("ci_high", "DOUBLE", "upper end of the 95 % bootstrap interval"),
    Column("chance", "DOUBLE", "what the score would be if steering did nothing; null where there is no such level"),
)

STEERING_SETS = Table(
    name="steerability.steering_sets",
    comment="Which statements of each persona steer and which test, per repeat. Drawn by seed, balanced by label.",
    columns=(
        *_MODEL,
        Column("framework", "VARCHAR", "framework of the persona"),
        Column("persona_id", "VARCHAR", "persona whose statements are split"),
        Column("n_steer", "INTEGER", "size of the steering set; smaller sets are part of larger ones"),
        Column("repeat", "INTEGER", "number of the draw, from 0"),
        Column("statement_id", "VARCHAR", "the statement"),
        Column("agree", "BOOLEAN", "whether the persona would agree with it"),
        Column("part", "VARCHAR", "steer, test, or short: the persona has too few statements and takes no part"),
    ),
    partition=_PARTITION,
    key=("model", "iteration", "persona_id", "n_steer", "repeat", "statement_id"),
)

RESPONSES = Table(
    name="steerability.responses",
    comment="One answer: a model steered to one persona, asked about one statement of another (or the same) persona.",
    columns=(
        *_METHOD,
        Column("repeat", "INTEGER", "number of the draw of steering sets, from 0"),
        *_CELL,
        Column("statement_id", "VARCHAR", "the statement asked about"),
        Column("agree", "BOOLEAN", "whether the test persona would agree with it: the right answer"),
        Column("p_agree", "DOUBLE", "P(yes), averaged over the variants of the question that were answered"),
        Column("mass", "DOUBLE", "mean probability on the valid answers before scaling; null for reference points"),
        Column("correct", "BOOLEAN", "whether p_agree > .5 is the right answer; null when void"),
        Column("status", "VARCHAR", "ok, or what became of the request when no variant was answered"),
        Column("estimator", "VARCHAR", "logprobs, scored or sampled; reference for reference points"),
        Column("n_variants", "INTEGER", "variants of the question that were answered"),
        Column("p_variants", "DOUBLE[]", "P(yes) of each variant in the order of the prompt file; null where void"),
        Column("request_id", "VARCHAR", "first variant's request in ledger.requests; empty for reference points"),
        Column("request_ids", "VARCHAR[]", "all variants' requests, in the order of the prompt file"),
    ),
    partition=_PARTITION,
    key=(
        "model",
        "iteration",
        "method",
        "n_steer",
        "repeat",
        "steered_persona_id",
        "test_persona_id",
        "statement_id",
    ),
)

MATRIX = Table(
    name="steerability.matrix",
    comment="One cell per steered and test persona: how well the steered model answers for the test persona.",
    columns=(
        *_METHOD,
        *_CELL,
        Column("n", "INTEGER", "answers that count"),
        Column("n_void", "INTEGER", "answers left out because they were void, refused or given up"),
        Column("accuracy", "DOUBLE", "share of right answers; null when none counts"),
        Column(
            "margin", "DOUBLE", "mean log-odds of the right answer in nats, each cut to +-10; null when none counts"
        ),
    ),
    partition=_PARTITION,
    key=("model", "iteration", "method", "n_steer", "steered_persona_id", "test_persona_id"),
)

SCORES = Table(
    name="steerability.scores",
    comment="Scores of each persona with a 95 % interval (bootstrap over statements and the other personas).",
    columns=(
        *_METHOD,
        Column("persona_id", "VARCHAR", "the persona"),
        *_SCORE,
        Column("n", "INTEGER", "answers of the persona's own cell that count"),
    ),
    partition=_PARTITION,
    key=("model", "iteration", "method", "n_steer", "persona_id", "score"),
)

SUMMARY = Table(
    name="steerability.summary",
    comment="Scores of each method over all personas, with 95 % intervals (bootstrap over personas and statements).",
    columns=(
        *_METHOD,
        Column("framework", "VARCHAR", "framework of a dimension's score; empty for scores over all personas"),
        *_SCORE,
        Column("n", "INTEGER", "personas behind the score"),
    ),
    partition=_PARTITION,
    key=("model", "iteration", "method", "n_steer", "framework", "score"),
)

CLUSTERS = Table(
    name="steerability.clusters",
    comment="Personas grouped by their rows of the matrix (average linkage on correlation distance).",
    columns=(
        *_METHOD,
        Column("scope", "VARCHAR", "a framework, or all: personas of every framework together"),
        Column("framework", "VARCHAR", "framework of the persona; of an import: its partition/the public framework"),
        Column("persona_id", "VARCHAR", "the persona"),
        Column("position", "INTEGER", "place in the order of the dendrogram's leaves, from 0"),
        Column("cluster", "INTEGER", "number of its cluster, from 1 in the order of the leaves"),
        Column("n_clusters", "INTEGER", "clusters that the tree was cut into"),
        Column("ari", "DOUBLE", "adjusted Rand index of clusters against frameworks; chance is 0; null within one"),
        Column("ari_low", "DOUBLE", "lower end of its 95 % bootstrap interval"),
        Column("ari_high", "DOUBLE", "upper end of its 95 % bootstrap interval"),
    ),
    partition=_PARTITION,
    key=("model", "iteration", "method", "n_steer", "scope", "persona_id"),
)

TABLES = (STEERING_SETS, RESPONSES, MATRIX, SCORES, SUMMARY, CLUSTERS)

SCHEMA_ORDER = {table.name: tuple(column.name for column in table.columns) for table in TABLES}

_POLARS: dict[str, pl.DataType | type[pl.DataType]] = {
    "VARCHAR": pl.String,
    "INTEGER": pl.Int32,
    "DOUBLE": pl.Float64,
    "BOOLEAN": pl.Boolean,
    "DOUBLE[]": pl.List(pl.Float64),
    "VARCHAR[]": pl.List(pl.String),
}


def empty_frame(table: Table) -> pl.DataFrame:
    """No rows of a table of this family, with its columns and types."""
    return pl.DataFrame(schema={column.name: _POLARS[column.type] for column in table.columns})
