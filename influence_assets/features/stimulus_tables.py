"""The public tables of stimuli, `features.backgrounds` and `features.contrast_texts`, and their typed rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from resources.tables import Column, Table

_MODEL = Column("model", "VARCHAR", "name of the model in data/models.yaml that the texts are for")


class Source(StrEnum):
    """Where a text comes from: a category's own file, a filled frame, or the generator model."""

    FILE = "file"
    FIXED = "fixed"
    GENERATED = "generated"


class Verdict(StrEnum):
    """What can be wrong with a biography beyond `resources.messages.Status`.

    `UNFAITHFUL`: the judge does not find every keyword in it. `UNJUDGED`: the judge gave no valid answer on a keyword.
    """

    UNFAITHFUL = "unfaithful"
    UNJUDGED = "unjudged"


@dataclass(frozen=True, slots=True)
class Background:
    """A row of `features.backgrounds`."""

    model: str
    background_id: str
    sample: int
    kind: str
    source: str
    keywords: Mapping[str, str]
    text: str
    n_words: int
    status: str
    p_keywords: Mapping[str, float | None]
    generator: str | None = None
    judge: str | None = None
    request_id: str | None = None
    judge_request_ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ContrastText:
    """A row of `features.contrast_texts`."""

    model: str
    text_id: str
    factor: str
    category: str
    half: str
    source: str
    pair: str | None
    text: str


BACKGROUNDS = Table(
    name="features.backgrounds",
    comment="Texts about a person who has one category of every factor; a row per attempt, to be used where ok.",
    columns=(
        _MODEL,
        Column("background_id", "VARCHAR", "hash of the source and the keywords"),
        Column("sample", "INTEGER", "number of the attempt, from 0; a background has at most one ok attempt, its last"),
        Column("kind", "VARCHAR", "of the factors: long_term, short_term or trait"),
        Column("source", "VARCHAR", "fixed: filled sentences; generated: a biography by the generator model"),
        Column("keywords", "MAP(VARCHAR, VARCHAR)", "category of each factor"),
        Column("text", "VARCHAR", "the background; what came of a failed attempt, as far as it came"),
        Column("n_words", "INTEGER", "words of the text, between spaces"),
        Column(
            "status",
            "VARCHAR",
            "ok; what became of the generator's reply; unfaithful: the judge misses a keyword; unjudged",
        ),
        Column("p_keywords", "MAP(VARCHAR, DOUBLE)", "P(yes) of the judge that the text shows each factor's category"),
        Column("generator", "VARCHAR", "model that wrote it; null when fixed"),
        Column("judge", "VARCHAR", "model that judged it; null when nothing was judged"),
        Column("request_id", "VARCHAR", "the generator's request in ledger.requests"),
        Column("judge_request_ids", "VARCHAR[]", "the judge's requests, keyword by keyword, both answer orders"),
    ),
    partition=("model",),
    key=("model", "background_id", "sample"),
)

CONTRAST_TEXTS = Table(
    name="features.contrast_texts",
    comment="Texts that carry one category of a factor, for choosing features (selection) or measuring them (heldout).",
    columns=(
        _MODEL,
        Column("text_id", "VARCHAR", "hash of the text; a biography stands in one row per factor"),
        Column("factor", "VARCHAR", "the factor, as its file names it"),
        Column("category", "VARCHAR", "the category that the text carries"),
        Column("half", "VARCHAR", "selection or heldout; a text has the same half in all its rows"),
        Column("source", "VARCHAR", "file: the category's own; fixed: a filled frame; generated: a biography"),
        Column(
            "pair",
            "VARCHAR",
            "what texts of other categories of the factor share with it: the frame, or the place in the file; or null",
        ),
        Column("text", "VARCHAR", "the text"),
    ),
    partition=("model",),
    key=("model", "factor", "category", "text_id"),
)

STIMULUS_TABLES = (BACKGROUNDS, CONTRAST_TEXTS)
