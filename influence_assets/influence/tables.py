"""The public tables `influence.*`. Turn 0 of a conversation is its initial state's history; turn t begins with the
agent's t-th reply."""

from __future__ import annotations

from resources.tables import Column, Table

CHECKPOINT = ("model", "iteration")

_MODEL = (
    Column("model", "VARCHAR", "name of the model in data/models.yaml"),
    Column("iteration", "INTEGER", "training iteration of the checkpoint; 0 is the untouched model"),
)
_FAMILY = Column("family", "VARCHAR", "folder of data/environments")
_ENVIRONMENT = Column("environment", "VARCHAR", "the environment; its file's stem, unique over families")
_KIND = Column(
    "user_kind",
    "VARCHAR",
    "the simulated user: vulnerable, ordinary or resistant; none for probe sets",
)
_STATE = Column("initial_state_id", "VARCHAR", "the starting conversation, unique within its environment")
_SPLIT = Column(
    "split",
    "VARCHAR",
    "train: may be learned from; eval: held out; probe: answers to static prompts",
)
_CONVERSATION = Column("conversation_id", "VARCHAR", "the conversation; hash of study, model, iteration, state, sample")
_CONDITION = Column(
    "condition", "VARCHAR", "agent: the checkpoint; control: the untouched model told to give facts and no advice"
)
_SAMPLE = Column("sample", "INTEGER", "number of the conversation among those of its initial state, from 0")
_PLACE = (_FAMILY, _ENVIRONMENT, _KIND, _STATE)
_DISTRIBUTION = Column(
    "distribution", "MAP(VARCHAR, DOUBLE)", "probability of each valid answer, summing to 1; empty when void"
)
_MASS = Column("mass", "DOUBLE", "probability that all valid answers had together before scaling")
_STATUS = Column("status", "VARCHAR", "ok, void, refusal, unparsable, truncated, content_filter or gave_up")
_REQUEST = Column("request_id", "VARCHAR", "the request in ledger.requests")

ENVIRONMENTS = Table(
    name="influence.environments",
    comment="One row per environment: a scenario with its states, roles and rubrics, as its files say.",
    columns=(
        _FAMILY,
        _ENVIRONMENT,
        _KIND,
        Column("about", "VARCHAR", "what it is"),
        Column("max_turns", "INTEGER", "agent replies at most"),
        Column("states", "VARCHAR[]", "names of its states"),
        Column("n_train", "INTEGER", "initial states for training"),
        Column("n_eval", "INTEGER", "held-out initial states"),
        Column("harm", "MAP(VARCHAR, VARCHAR)", "rubrics that make its aggregate harm: raises or lowers"),
        Column("content", "VARCHAR", "the whole environment as canonical JSON"),
    ),
    partition=("family",),
    key=("family", "environment"),
)

INITIAL_STATES = Table(
    name="influence.initial_states",
    comment="One row per starting conversation of an environment.",
    columns=(
        *_PLACE,
        Column("position", "INTEGER", "place in its file, from 0"),
        _SPLIT,
        Column("variables", "MAP(VARCHAR, VARCHAR)", "what it fills into the environment's texts"),
        Column("history", "VARCHAR", "what was said before the first reply, as JSON: [{role, content}]"),
    ),
    partition=("family",),
    key=("family", "environment", "initial_state_id"),
)

CONVERSATIONS = Table(
    name="influence.conversations",
    comment="One row per conversation: one rollout of a checkpoint from one initial state.",
    columns=(
        _CONVERSATION,
        *_MODEL,
        *_PLACE,
        _SPLIT,
        _CONDITION,
        _SAMPLE,
        Column("final_state", "VARCHAR", "state of the environment in which it ended"),
        Column("n_turns", "INTEGER", "agent replies, not counting those to a tool's answer"),
        Column("status", "VARCHAR", "ok; stopped: a speaker's reply was not usable; empty: no agent reply at all"),
        Column("detail", "VARCHAR", "what stopped it, and how many transitions were void"),
        Column("seed", "BIGINT", "seed from which every draw of the conversation derives"),
    ),
    partition=CHECKPOINT,
    key=("model", "iteration", "conversation_id"),
)

TURNS = Table(
    name="influence.turns",
    comment="One row per thing said in a conversation, by agent, character, environment or tool.",
    columns=(
        _CONVERSATION,
        *_MODEL,
        Column("turn", "INTEGER", "0: the initial history; t: from the agent's t-th reply on"),
        Column("position", "INTEGER", "place within the conversation, from 0"),
        Column("role", "VARCHAR", "agent, character, environment or tool"),
        Column("content", "VARCHAR", "what was said; text of a model is data and never trusted"),
        Column("state", "VARCHAR", "state of the environment when it was said"),
        Column("request_id", "VARCHAR", "the request in ledger.requests; null for what no model wrote"),
        Column("status", "VARCHAR", "status of the reply; ok for what no model wrote"),
    ),
    partition=CHECKPOINT,
    key=("model", "iteration", "conversation_id", "position"),
)

JUDGEMENTS = Table(
    name="influence.judgements",
    comment="One row per judgement: what a judge said of one turn by one rubric, as a distribution over its answers.",
    columns=(
        _CONVERSATION,
        *_MODEL,
        Column("turn", "INTEGER", "the turn that is judged; 0 for a whole conversation"),
        Column("judge", "VARCHAR", "model that judged"),
        Column("rubric", "VARCHAR", "preference, veto, or a file of data/judges"),
        Column("purpose", "VARCHAR", "training: decides what is learned; evaluation: measures"),
        _DISTRIBUTION,
        Column("expected", "DOUBLE", "E[rating]; P(1) of a binary rubric; P(any rule broken); null when void"),
        Column("share", "DOUBLE", "expected on a scale from 0 (lowest answer) to 1 (highest)"),
        _MASS,
        Column("estimator", "VARCHAR", "logprobs, scored or sampled"),
        _STATUS,
        _REQUEST,
    ),
    partition=(*CHECKPOINT, "purpose"),
    key=("model", "iteration", "purpose", "conversation_id", "turn", "judge", "rubric"),
)

STANCE_PROBES = Table(
    name="influence.stance_probes",
    comment="Where the simulated user stands before and after a conversation, asked outside of it.",
    columns=(
        _CONVERSATION,
        *_MODEL,
        *_PLACE,
        _SAMPLE,
        Column("condition", "VARCHAR", "agent, control, or placebo: asked again with no conversation between"),
        Column("moment", "VARCHAR", "pre or post"),
        _DISTRIBUTION,
        Column("expected", "DOUBLE", "E[answer] on the environment's stance scale; null when void"),
        _MASS,
        _STATUS,
        _REQUEST,
    ),
    partition=CHECKPOINT,
    key=("model", "iteration", "conversation_id", "condition", "moment"),
)

TRAJECTORIES = Table(
    name="influence.trajectories",
    comment="One row per conversation with what the training judges made of it.",
    columns=(
        _CONVERSATION,
        *_MODEL,
        *_PLACE,
        _SPLIT,
        _CONDITION,
        _SAMPLE,
        Column("reward", "DOUBLE", "expected rating, mean over turns or the last, less the length penalty"),
        Column("veto", "DOUBLE", "mean veto score over turns, 0 to 1; null when void"),
        Column("length", "DOUBLE", "mean characters of an agent reply"),
        Column("n_rated", "INTEGER", "turns with a valid rating"),
        Column("n_void", "INTEGER", "turns without one"),
    ),
    partition=CHECKPOINT,
    key=("model", "iteration", "conversation_id"),
)

SELECTIONS = Table(
    name="influence.selections",
    comment="Which training conversations of an iteration were learned from, and why the others were not.",
    columns=(
        _CONVERSATION,
        *_MODEL,
        Column("group", "VARCHAR", "initial state, environment or family within which conversations compete"),
        Column("reward", "DOUBLE", "reward of the conversation; null when void"),
        Column("veto", "DOUBLE", "veto score; null when void"),
        Column("chosen", "VARCHAR", "best, worst, vetoed, rest, or unrated"),
        Column("rank", "INTEGER", "place by reward in its group after the veto, from 1; null when not ranked"),
        Column("tied", "BOOLEAN", "whether a seeded draw decided its place"),
    ),
    partition=CHECKPOINT,
    key=("model", "iteration", "conversation_id"),
)

TRAINING_EXAMPLES = Table(
    name="influence.training_examples",
    comment="What the next checkpoint learns from: conversations as the agent saw them, and mixed-in static data.",
    columns=(
        *_MODEL,
        Column("example_id", "VARCHAR", "the example"),
        Column("conversation_id", "VARCHAR", "the conversation it is; null for static data"),
        Column("source", "VARCHAR", "rollout or static"),
        Column("desirable", "BOOLEAN", "good example, or bad one (KTO, DPO)"),
        Column("pair", "VARCHAR", "joins the two sides of a DPO pair; else empty"),
        Column("messages", "VARCHAR", "the chat as JSON: [{role, content}]"),
        Column("learned", "INTEGER[]", "places in messages whose tokens are learned"),
    ),
    partition=CHECKPOINT,
    key=("model", "iteration", "example_id"),
)

CHECKPOINTS = Table(
    name="influence.checkpoints",
    comment="One row per checkpoint: how it was trained, from what, and where its adapter lies.",
    columns=(
        *_MODEL,
        Column("parent", "INTEGER", "iteration that it continues; null for 0"),
        Column("method", "VARCHAR", "none (iteration 0), expert_iteration, kto or dpo"),
        Column("adapter_path", "VARCHAR", "LoRA adapter, relative to the project; or the name of a remote model"),
        Column("adapter_sha256", "VARCHAR", "hash of the adapter's files"),
        Column("data_sha256", "VARCHAR", "hash of the training examples"),
        Column("n_rows", "INTEGER", "training examples"),
        Column("n_desirable", "INTEGER", "good ones among them"),
        Column("n_undesirable", "INTEGER", "bad ones among them"),
        Column("seed", "BIGINT", "seed of the training"),
        Column("settings", "VARCHAR", "training settings as JSON"),
        Column("loss_curve", "DOUBLE[]", "training loss at each logged step"),
        Column("status", "VARCHAR", "ok; untrained: there was nothing to learn from, so it is its parent again"),
        Column("detail", "VARCHAR", "more on the status"),
    ),
    partition=CHECKPOINT,
    key=("model", "iteration"),
)

METRICS = Table(
    name="influence.metrics",
    comment="Every measure per iteration with its interval, and its difference from iteration 0 on the same states.",
    columns=(
        *_MODEL,
        _SPLIT,
        Column("user_kind", "VARCHAR", "vulnerable, ordinary, resistant, or all"),
        Column("measure", "VARCHAR", "docs/influence.md defines each: reward, veto, harm, targeting_gap, ..."),
        Column("selection", "VARCHAR", "all conversations, or the best or worst of each initial state"),
        Column("value", "DOUBLE", "the measure; null where it cannot be had"),
        Column("ci_low", "DOUBLE", "lower end of the 95 % bootstrap interval"),
        Column("ci_high", "DOUBLE", "upper end of the 95 % bootstrap interval"),
        Column("n", "INTEGER", "conversations (pairs, for a gap) behind it"),
        Column("delta", "DOUBLE", "mean difference from iteration 0 over the same states and seeds"),
        Column("delta_ci_low", "DOUBLE", "lower end of its 95 % interval"),
        Column("delta_ci_high", "DOUBLE", "upper end of its 95 % interval"),
        Column("p", "DOUBLE", "two-sided permutation p of the paired difference"),
        Column("p_adjusted", "DOUBLE", "p adjusted over all tests of the model (Benjamini-Hochberg)"),
    ),
    partition=("model",),
    key=("model", "iteration", "split", "user_kind", "measure", "selection"),
)

TABLES = (
    ENVIRONMENTS,
    INITIAL_STATES,
    CONVERSATIONS,
    TURNS,
    JUDGEMENTS,
    STANCE_PROBES,
    TRAJECTORIES,
    SELECTIONS,
    TRAINING_EXAMPLES,
    CHECKPOINTS,
    METRICS,
)
