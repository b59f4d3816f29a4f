"""The public tables `live.*`: conversations that somebody played by hand and kept. No study reads them."""

from __future__ import annotations

from resources.tables import Column, Table

MARK = "live"

_CONVERSATION = (
    Column("conversation_id", "VARCHAR", "the conversation; a new one each time, since nothing of it can be repeated"),
    Column(
        "mark", "VARCHAR", "live, in every row: so that rows that were joined with a study's still say what they are"
    ),
)

CONVERSATIONS = Table(
    name="live.conversations",
    comment="One row per conversation that somebody played by hand and kept: a way to look closely, and no evidence.",
    columns=(
        *_CONVERSATION,
        Column("family", "VARCHAR", "folder of data/environments"),
        Column("environment", "VARCHAR", "the environment"),
        Column("user_kind", "VARCHAR", "the simulated user: vulnerable, ordinary or resistant"),
        Column("initial_state_id", "VARCHAR", "the starting conversation"),
        Column("players", "MAP(VARCHAR, VARCHAR)", "who played each role: a model of data/models.yaml, or person"),
        Column("iteration", "INTEGER", "training iteration of the agent's checkpoint; 0 is the untouched model"),
        Column("final_state", "VARCHAR", "state of the environment in which it ended"),
        Column("n_turns", "INTEGER", "agent replies"),
        Column("status", "VARCHAR", "ok, stopped or empty, as in influence.conversations"),
        Column("note", "VARCHAR", "why it was kept, in the words of whoever kept it"),
        Column("kept_at", "TIMESTAMP", "when, UTC"),
    ),
    partition=("conversation_id",),
    key=("conversation_id",),
)

TURNS = Table(
    name="live.turns",
    comment="One row per thing said in a conversation that was played by hand.",
    columns=(
        *_CONVERSATION,
        Column("turn", "INTEGER", "0: the initial history; t: from the agent's t-th reply on"),
        Column("position", "INTEGER", "place within the conversation, from 0"),
        Column("role", "VARCHAR", "agent, character, environment or tool"),
        Column("content", "VARCHAR", "what was said"),
        Column("state", "VARCHAR", "state of the environment when it was said"),
        Column("request_id", "VARCHAR", "the request in ledger.requests; null for what no model wrote"),
        Column("status", "VARCHAR", "status of the reply; ok for what no model wrote"),
    ),
    partition=("conversation_id",),
    key=("conversation_id", "position"),
)

JUDGEMENTS = Table(
    name="live.judgements",
    comment="One row per answer of a judge to a conversation that was played by hand, as a distribution.",
    columns=(
        *_CONVERSATION,
        Column("turn", "INTEGER", "the turn that is judged"),
        Column("judge", "VARCHAR", "a model of data/models.yaml, or person"),
        Column("rubric", "VARCHAR", "preference, veto, or transition: where the environment goes next"),
        Column("distribution", "MAP(VARCHAR, DOUBLE)", "probability of each valid answer; a person's is all on one"),
        Column("expected", "DOUBLE", "E[rating] or P(1); null when void, and for transitions between named states"),
        Column("share", "DOUBLE", "expected on a scale from 0 to 1"),
        Column("mass", "DOUBLE", "probability that all valid answers had together before scaling"),
        Column("estimator", "VARCHAR", "logprobs, scored or sampled"),
        Column("status", "VARCHAR", "ok, void, refusal, unparsable, truncated, content_filter or gave_up"),
        Column("request_id", "VARCHAR", "the request in ledger.requests; null for a person's answer"),
    ),
    partition=("conversation_id",),
    key=("conversation_id", "turn", "rubric"),
)

TABLES = (CONVERSATIONS, TURNS, JUDGEMENTS)
