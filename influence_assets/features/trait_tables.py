"""The public tables of trait tests and side effects, and their rows as typed values."""

from __future__ import annotations

from dataclasses import dataclass

from resources.tables import Column, Table

CHECKPOINT = ("model", "iteration")

_MODEL = (
    Column("model", "VARCHAR", "name of the model in data/models.yaml"),
    Column("iteration", "INTEGER", "training iteration of the checkpoint; 0 is the untouched model"),
    Column("condition", "VARCHAR", "what the model was under: unsteered, a prompt, a direction, a control"),
)
_TRAIT = Column("trait", "VARCHAR", "the trait that is tested; a file of a set in data/trait_items")
_INTERVAL = (
    Column("ci_low", "DOUBLE", "lower end of the 95 % bootstrap interval over items"),
    Column("ci_high", "DOUBLE", "upper end of the 95 % bootstrap interval over items"),
)

TRAIT_ANSWERS = Table(
    name="features.trait_answers",
    comment="One row per trait item and order of its options: the model's own probabilities of the four options.",
    columns=(
        *_MODEL,
        Column("coefficient", "DOUBLE", "strength of the steering vector; null where none is added"),
        _TRAIT,
        Column("item_id", "VARCHAR", "the item, unique over all sets of a study"),
        Column("half", "VARCHAR", "selection: may be chosen on; heldout: may be reported"),
        Column("order", "VARCHAR", "the options at A, B, C and D, as in: high1 low1 high2 low2"),
        Column("p_high1", "DOUBLE", "probability of the first high option among the four; null without an answer"),
        Column("p_high2", "DOUBLE", "probability of the second high option"),
        Column("p_low1", "DOUBLE", "probability of the first low option"),
        Column("p_low2", "DOUBLE", "probability of the second low option"),
        Column("mass", "DOUBLE", "probability on A to D together before scaling; null when unknown"),
        Column("status", "VARCHAR", "ok, void, refusal, unparsable, truncated, content_filter or gave_up"),
        Column("request_id", "VARCHAR", "the request in ledger.requests; null for passes of a local steered model"),
    ),
    partition=CHECKPOINT,
    key=("model", "iteration", "condition", "coefficient", "trait", "item_id", "order"),
)

TRAIT_SCORES = Table(
    name="features.trait_scores",
    comment="Trait scores: P(a high option), mean over orders of the options and over items, by half of the items.",
    columns=(
        *_MODEL,
        _TRAIT,
        Column("half", "VARCHAR", "selection, or heldout: what is reported"),
        Column("score", "DOUBLE", "mean P(high) over items, from 0 to 1; .5 is chance; null when no item counts"),
        *_INTERVAL,
        Column("mass", "DOUBLE", "mean probability on A to D over all items, void ones too"),
        Column("order_consistency", "DOUBLE", "P(same option under two different random orders); .25 is guessing"),
        Column("n", "INTEGER", "items that count"),
        Column("n_void", "INTEGER", "items that do not: too little mass, or no answer in any order"),
        Column(
            "hard_score", "DOUBLE", "share of items that the published two-order score calls high; null if not asked"
        ),
        Column("n_hard", "INTEGER", "items behind hard_score"),
    ),
    partition=CHECKPOINT,
    key=("model", "iteration", "condition", "trait", "half"),
)

SIDE_EFFECTS = Table(
    name="features.side_effects",
    comment="What steering does beside the trait: safety and hallucination items, and bias between attributes.",
    columns=(
        *_MODEL,
        Column("test", "VARCHAR", "safety, hallucination or bias"),
        Column("category", "VARCHAR", "category of the items, or all; of bias: the pair of attributes"),
        Column(
            "value", "DOUBLE", "mean P(right answer); of bias: mean log-odds of the pair's first attribute, in nats"
        ),
        *_INTERVAL,
        Column("n", "INTEGER", "items that count"),
        Column("n_void", "INTEGER", "items that do not: too little mass, or a question without an answer"),
        Column("shift", "DOUBLE", "value minus that of the unsteered model over the same items; null for itself"),
        Column("shift_ci_low", "DOUBLE", "lower end of its 95 % paired bootstrap interval"),
        Column("shift_ci_high", "DOUBLE", "upper end of its 95 % paired bootstrap interval"),
        Column("n_shift", "INTEGER", "items that count under both"),
    ),
    partition=CHECKPOINT,
    key=("model", "iteration", "condition", "test", "category"),
)

TABLES = (TRAIT_ANSWERS, TRAIT_SCORES, SIDE_EFFECTS)


@dataclass(frozen=True, slots=True)
class TraitAnswer:
    """A row of `features.trait_answers`."""

    model: str
    iteration: int
    condition: str
    coefficient: float | None
    trait: str
    item_id: str
    half: str
    order: str
    p_high1: float | None
    p_high2: float | None
    p_low1: float | None
    p_low2: float | None
    mass: float | None
    status: str
    request_id: str | None


@dataclass(frozen=True, slots=True)
class TraitScoreRow:
    """A row of `features.trait_scores`."""

    model: str
    iteration: int
    condition: str
    trait: str
    half: str
    score: float | None
    ci_low: float | None
    ci_high: float | None
    mass: float | None
    order_consistency: float | None
    n: int
    n_void: int
    hard_score: float | None
    n_hard: int


@dataclass(frozen=True, slots=True)
class SideEffect:
    """A row of `features.side_effects`."""

    model: str
    iteration: int
    condition: str
    test: str
    category: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    n_void: int
    shift: float | None
    shift_ci_low: float | None
    shift_ci_high: float | None
    n_shift: int
