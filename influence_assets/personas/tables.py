"""The public tables of the schema `personas`."""

from __future__ import annotations

from resources.tables import Column, Table

_FRAMEWORK = Column("framework", "VARCHAR", "Slug of the framework: its file in data/frameworks, or its import")
_PERSONA = Column("persona_id", "VARCHAR", "The persona; first 8 hex digits of md5('{framework name} {persona name}')")
_STATEMENT = Column(
    "statement_id", "VARCHAR", "The statement; first 8 hex digits of md5('{agree|disagree}_{text}_{persona_id}')"
)
_AGREE = Column("agree", "BOOLEAN", "The label: whether the persona would agree with the statement")

FRAMEWORKS = Table(
    name="personas.frameworks",
    comment="One row per framework of personas, as its file says.",
    columns=(
        _FRAMEWORK,
        Column("name", "VARCHAR", "The name that travels with every persona's name"),
        Column("about", "VARCHAR", "What the framework is"),
        Column(
            "dimensions", "MAP(VARCHAR, VARCHAR)", "Each dimension and what its high and low ends mean; may be empty"
        ),
        Column("aspects", "VARCHAR[]", "Aspects of life that statements are asked about"),
        Column("n_personas", "INTEGER", "Personas of the framework's file, used by the study or not"),
    ),
    partition=("framework",),
    key=("framework",),
)

PERSONAS = Table(
    name="personas.personas",
    comment="One row per persona: a named position in a framework.",
    columns=(
        _FRAMEWORK,
        _PERSONA,
        Column("position", "INTEGER", "Place in the framework's file, from 0"),
        Column("name", "VARCHAR", "The persona's name; means something only within its framework"),
        Column(
            "framework_name", "VARCHAR", "The framework that the name belongs to; an import holds personas of several"
        ),
        Column("description", "VARCHAR", "Who the persona is, in a sentence or two; null where none could be written"),
        Column("description_source", "VARCHAR", "file, or the registry name of the model that wrote it"),
        Column("status", "VARCHAR", "ok, or what went wrong when the description was asked for"),
        Column(
            "traits", "MAP(VARCHAR, VARCHAR)", "Dimension to high or low; empty where the framework has no dimensions"
        ),
        Column(
            "opposite_persona_ids", "VARCHAR[]", "Who disagrees with this persona's agree statements in contrast pairs"
        ),
        Column("request_id", "VARCHAR", "The request that wrote the description; null when the file has it"),
    ),
    partition=("framework",),
    key=("framework", "persona_id"),
)

CANDIDATE_STATEMENTS = Table(
    name="personas.candidate_statements",
    comment="Everything that the generator wrote: one row per statement, and one per reply that held none.",
    columns=(
        _FRAMEWORK,
        _PERSONA,
        Column("agree", "BOOLEAN", "The label that was asked for"),
        Column("aspect", "VARCHAR", "The aspect of life that was asked for"),
        Column("round", "INTEGER", "Round of generation, from 0; also the sample index of the request"),
        Column("position", "INTEGER", "Place in the reply's list, from 0"),
        Column("origin", "VARCHAR", "generated for this persona, contrast (the other half of a pair), or imported"),
        Column("status", "VARCHAR", "ok, or why the reply held no statement; collision: its id was already taken"),
        Column("statement_id", "VARCHAR", "Null where there is no statement; a text may be written more than once"),
        Column("text", "VARCHAR", "The statement; where the status is not ok, the raw reply"),
        Column("pair_id", "VARCHAR", "Shared by the two halves of a possible contrast pair"),
        Column("generator", "VARCHAR", "Registry name of the model that wrote it"),
        Column("request_id", "VARCHAR", "The request that wrote it"),
    ),
    partition=("framework",),
    key=("framework", "persona_id", "agree", "aspect", "round", "position", "origin", "request_id"),
)

FILTER_DECISIONS = Table(
    name="personas.filter_decisions",
    comment="One row per statement and filter that saw it. A statement that fails one filter is not shown to the next.",
    columns=(
        _FRAMEWORK,
        Column("statement_id", "VARCHAR", "The candidate"),
        _PERSONA,
        Column("filter", "VARCHAR", "form, agreement, diversity, cross_persona, balance; public_diversity in audits"),
        Column("passed", "BOOLEAN", "Whether the statement passed; in an audit a failed one is kept all the same"),
        Column("score", "DOUBLE", "What was compared with the threshold; null where nothing could be measured"),
        Column("threshold", "DOUBLE", "The filter's threshold"),
        Column("reason", "VARCHAR", "Why it failed; empty when it passed"),
    ),
    partition=("framework",),
    key=("framework", "statement_id", "filter"),
)

STATEMENTS = Table(
    name="personas.statements",
    comment="The statements that personas are measured with: as many agree as disagree for each persona.",
    columns=(
        _FRAMEWORK,
        _STATEMENT,
        _PERSONA,
        Column("position", "INTEGER", "Place among the persona's statements; for an import the place in the file"),
        Column("text", "VARCHAR", "A first-person sentence"),
        _AGREE,
        Column("label_confidence", "DOUBLE", "Judges' mean P(yes) minus .5, on the label's side; null when not judged"),
        Column("p_agree", "DOUBLE", "Judges' mean probability that the persona agrees; null when not judged"),
        Column("pair_id", "VARCHAR", "Shared with the same text of an opposite persona and label; null outside a pair"),
        Column("aspect", "VARCHAR", "The aspect of life that was asked for; null for an import"),
        Column("round", "INTEGER", "The round of generation that first wrote it; null for an import"),
        Column("origin", "VARCHAR", "generated, contrast or imported"),
        Column("generator", "VARCHAR", "Registry name of the model that wrote it; null for an import"),
        Column("request_id", "VARCHAR", "The request that wrote it; null for an import"),
    ),
    partition=("framework",),
    key=("framework", "statement_id"),
)

STATEMENT_AUDIT = Table(
    name="personas.statement_audit",
    comment="One row per framework and audit of its statements, with its 95 % interval and thresholds.",
    columns=(
        _FRAMEWORK,
        Column("audit", "VARCHAR", "label_leak, duplicates_exact, duplicates_near, label_balance, length_bias, ..."),
        Column("value", "DOUBLE", "The measured value; null when there is too little to measure"),
        Column("ci_low", "DOUBLE", "Lower end of the 95 % interval; null where the value is a plain count"),
        Column("ci_high", "DOUBLE", "Upper end of the 95 % interval"),
        Column("chance", "DOUBLE", "What the value is when there is nothing to find; null where that means nothing"),
        Column("threshold_warn", "DOUBLE", "Beyond it the status is warn"),
        Column("threshold_fail", "DOUBLE", "Beyond it the status is fail"),
        Column("status", "VARCHAR", "pass, warn or fail"),
        Column("detail", "VARCHAR", "What was found, in a sentence"),
        Column("n", "BIGINT", "Statements (completeness and balance: personas) that the value rests on"),
    ),
    partition=("framework",),
    key=("framework", "audit"),
)

TABLES = (FRAMEWORKS, PERSONAS, CANDIDATE_STATEMENTS, FILTER_DECISIONS, STATEMENTS, STATEMENT_AUDIT)
