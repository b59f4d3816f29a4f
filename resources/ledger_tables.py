"""The tables of the ledger: what was made of what, and what models were asked for it.

Both are partitioned by asset, partition key and run, so a later run adds to them and never replaces an earlier one's
rows.
"""

from __future__ import annotations

from resources.tables import Column, Table

_WHERE = (
    Column("asset", "VARCHAR", "the asset that was materialized"),
    Column("partition", "VARCHAR", "its partition key: a model or a framework"),
    Column("run_id", "VARCHAR", "the Dagster run"),
)

MATERIALIZATIONS = Table(
    name="ledger.materializations",
    comment="One row per materialization and table: what was landed, from which inputs, by which code and packages.",
    columns=(
        *_WHERE,
        Column("table_name", "VARCHAR", "the table that the rows landed in"),
        Column("data_version", "VARCHAR", "sha256 of the landed file; equal rows have equal versions"),
        Column("rows", "BIGINT", "rows in the landed partition"),
        Column("upstream", "MAP(VARCHAR, VARCHAR)", "data version of each partition that was read, by table and key"),
        Column("inputs", "VARCHAR", "hash of everything that the rows depend on"),
        Column("git_commit", "VARCHAR", "commit of the project's checkout, with + when it had edits"),
        Column("packages", "MAP(VARCHAR, VARCHAR)", "versions of the packages that numbers depend on"),
        Column("seed", "BIGINT", "the study's seed"),
        Column("started_at", "TIMESTAMP", "when the materialization began, UTC"),
        Column("finished_at", "TIMESTAMP", "when its rows had landed, UTC"),
        Column("reused", "BOOLEAN", "whether the rows of an earlier run were kept because no input had changed"),
    ),
    partition=("asset", "partition", "run_id"),
    key=("asset", "partition", "run_id", "table_name"),
)

REQUESTS = Table(
    name="ledger.requests",
    comment="One row per question to a model: tokens, cost, time, and whether the answer came from the cache.",
    columns=(
        Column("request_id", "VARCHAR", "the answer's content address, which rows of other tables carry"),
        Column("run_id", "VARCHAR", "the Dagster run that asked"),
        Column("asset", "VARCHAR", "the asset that asked"),
        Column("partition", "VARCHAR", "its partition key: a model or a framework"),
        Column("provider", "VARCHAR", "who answered: local, openai or anthropic"),
        Column("model", "VARCHAR", "the entry of data/models.yaml"),
        Column("role", "VARCHAR", "the role that the model played"),
        Column(
            "kind",
            "VARCHAR",
            "generate (text), choose (a distribution), draw (one sample of an estimate), estimate (their share)",
        ),
        Column("input_tokens", "BIGINT", "tokens of the prompt, cached ones included"),
        Column("cached_tokens", "BIGINT", "tokens of the prompt that the provider had in its own cache"),
        Column("output_tokens", "BIGINT", "tokens of the answer"),
        Column("cost", "DOUBLE", "US dollars at the prices of data/models.yaml; 0 for answers from our cache"),
        Column("latency_s", "DOUBLE", "seconds from the first try to the answer"),
        Column("cached", "BOOLEAN", "whether the answer came from our cache and nothing was asked"),
        Column("status", "VARCHAR", "ok, or why there is no answer"),
        Column("retries", "INTEGER", "tries beyond the first"),
        Column("at", "TIMESTAMP", "when the answer came, UTC"),
        Column("prompt_sha256", "VARCHAR", "sha256 of the messages: the same prompt, the same hash, whatever the draw"),
        Column("weights_sha256", "VARCHAR", "sha256 of the weights that answered; empty for the model of an API"),
        Column("adapter_sha256", "VARCHAR", "sha256 of the LoRA adapter's files; empty without one"),
        Column("steering_sha256", "VARCHAR", "hash of what was done to the residual stream; empty for nothing"),
        Column("seed", "BIGINT", "seed that was asked for; null where the draw had none"),
        Column("sample", "INTEGER", "number of the draw among those of the same question, from 0"),
    ),
    partition=("asset", "partition", "run_id"),
    # The same question asked twice in a run is two rows: one answer was bought, the other came from the cache.
    key=(),
)

LEDGER_TABLES = (MATERIALIZATIONS, REQUESTS)
