"""The public tables of activations, layers and steering, and their typed rows."""

from __future__ import annotations

from dataclasses import dataclass

from resources.tables import Column, Table

CHECKPOINT = ("model", "iteration")

_MODEL = (
    Column("model", "VARCHAR", "name of the model in data/models.yaml"),
    Column("iteration", "INTEGER", "training iteration of the checkpoint; 0 is the untouched model"),
)
_DIRECTION = (
    Column("direction_id", "VARCHAR", "the direction in features.directions; null for prompts and the unsteered model"),
    Column("factor", "VARCHAR", "factor of data/backgrounds that the direction is of"),
    Column("category", "VARCHAR", "category that adding the vector moves toward"),
    Column("method", "VARCHAR", "how it was found; prompt: the category's description as system message"),
    Column("index", "INTEGER", "number in a series of directions (random, shuffled), from 0"),
)

ACTIVATIONS = Table(
    name="features.activations",
    comment="Which activations were kept: one file per text set and layer, the residual stream after that block.",
    columns=(
        *_MODEL,
        Column("text_set", "VARCHAR", "contrast, tokens (of contrast texts), answers (items with a letter), responses"),
        Column("layer", "INTEGER", "decoder block, from 0"),
        Column("pooling", "VARCHAR", "last token of a text, mean over its tokens, or tokens: a row each"),
        Column("n", "INTEGER", "rows of the file"),
        Column("width", "INTEGER", "width of the residual stream"),
        Column("scale", "DOUBLE", "mean norm of the stream over all tokens of the texts"),
        Column("path", "VARCHAR", "safetensors file, relative to the project"),
        Column("content", "VARCHAR", "what the rows are, as JSON: text ids, or (trait, pole, half) of each"),
    ),
    partition=CHECKPOINT,
    key=("model", "iteration", "text_set", "layer"),
)

LAYERS = Table(
    name="features.layers",
    comment="How well each candidate layer tells traits apart and moves them, on the selection half; which was chosen.",
    columns=(
        *_MODEL,
        Column("layer", "INTEGER", "decoder block, from 0"),
        Column("auroc", "DOUBLE", "mean over factors: projections of one half of the selection texts on the other's"),
        Column(
            "shift", "DOUBLE", "mean over factors: P(high) at +c less that at -c, selection items; null if not asked"
        ),
        Column("coefficient", "DOUBLE", "c, in mean residual norms"),
        Column("chosen", "BOOLEAN", "whether directions are taken here"),
    ),
    partition=CHECKPOINT,
    key=("model", "iteration", "layer"),
)

STEERING = Table(
    name="features.steering",
    comment="One row per direction, coefficient and trait: the trait's score under it and its shift, held-out items.",
    columns=(
        *_MODEL,
        *_DIRECTION,
        Column("condition", "VARCHAR", "the condition in features.trait_answers and features.trait_scores"),
        Column("coefficient", "DOUBLE", "strength in mean residual norms at the direction's layer; 0 for prompts"),
        Column("positions", "VARCHAR", "where the stream is changed: all, prompt, last, generated, all_but_last"),
        Column("mode", "VARCHAR", "add, clamp, ablate or cap; prompt where nothing is done to the stream"),
        Column("trait", "VARCHAR", "the trait that was tested"),
        Column("score", "DOUBLE", "mean P(high) over items; null when none counts"),
        Column("shift", "DOUBLE", "mean over items of P(high) less that of the unsteered model"),
        Column("ci_low", "DOUBLE", "lower end of the shift's 95 % paired bootstrap interval over items"),
        Column("ci_high", "DOUBLE", "upper end of it"),
        Column("mass", "DOUBLE", "mean probability on A to D"),
        Column("kl", "DOUBLE", "KL(steered || unsteered) per token of neutral text, in nats"),
        Column("nll", "DOUBLE", "nats per token, under the unsteered model, of what was written to neutral texts"),
        Column("repetition", "DOUBLE", "share of three-word sequences of what was written that stood there before"),
        Column("n", "INTEGER", "items that count under this condition and unsteered"),
        Column("n_void", "INTEGER", "items that do not"),
    ),
    partition=CHECKPOINT,
    key=("model", "iteration", "condition", "trait"),
)

DOSE_RESPONSE = Table(
    name="features.dose_response",
    comment="One row per direction and the trait that it is of: the curve of its own pole (P(high); P(low) for low) in "
    "numbers, with its controls.",
    columns=(
        *_MODEL,
        *_DIRECTION,
        Column("trait", "VARCHAR", "the trait that the direction is of"),
        Column("n_coefficients", "INTEGER", "points of the curve, 0 among them"),
        Column("spearman", "DOUBLE", "rank correlation of coefficient and score"),
        Column("slope", "DOUBLE", "least-squares slope of logit(score) per unit of coefficient"),
        Column("wrong_way", "DOUBLE", "share of items that move against the sign at the largest coefficients"),
        Column(
            "reference", "DOUBLE", "coefficient of the comparisons below: the largest with mean KL within the bound"
        ),
        Column("shift", "DOUBLE", "shift at the reference coefficient"),
        Column("ci_low", "DOUBLE", "lower end of its 95 % interval"),
        Column("ci_high", "DOUBLE", "upper end of its 95 % interval"),
        Column("kl", "DOUBLE", "KL(steered || unsteered) per token of neutral text there, in nats"),
        Column("z", "DOUBLE", "the shift against those of random directions there, in standard deviations"),
        Column("z_shuffled", "DOUBLE", "the same against directions of shuffled labels"),
        Column("n_null", "INTEGER", "shifts of random directions behind z"),
        Column("specificity", "DOUBLE", "|shift| over the mean |shift| of the other traits, at the reference"),
        Column("shift_at_kl", "DOUBLE", "largest shift toward the own pole at a KL within the bound, interpolated"),
        Column("coefficient_at_kl", "DOUBLE", "where that is reached"),
        Column("kl_bound", "DOUBLE", "the bound, in nats"),
        Column(
            "toward_chance", "DOUBLE", "correlation over items of shift and distance to chance, largest coefficient"
        ),
        Column("damage", "BOOLEAN", "whether items regress to chance at both ends of the curve, which is no steering"),
        Column("n", "INTEGER", "items that count at the reference"),
    ),
    partition=CHECKPOINT,
    key=("model", "iteration", "direction_id", "factor", "category", "method"),
)

TABLES = (ACTIVATIONS, LAYERS, STEERING, DOSE_RESPONSE)


@dataclass(frozen=True, slots=True)
class ActivationRow:
    """A row of `features.activations`."""

    model: str
    iteration: int
    text_set: str
    layer: int
    pooling: str
    n: int
    width: int
    scale: float
    path: str
    content: str


@dataclass(frozen=True, slots=True)
class LayerRow:
    """A row of `features.layers`."""

    model: str
    iteration: int
    layer: int
    auroc: float | None
    shift: float | None
    coefficient: float
    chosen: bool


@dataclass(frozen=True, slots=True)
class SteeringRow:
    """A row of `features.steering`."""

    model: str
    iteration: int
    direction_id: str | None
    factor: str
    category: str
    method: str
    index: int
    condition: str
    coefficient: float
    positions: str
    mode: str
    trait: str
    score: float | None
    shift: float | None
    ci_low: float | None
    ci_high: float | None
    mass: float | None
    kl: float | None
    nll: float | None
    repetition: float | None
    n: int
    n_void: int


@dataclass(frozen=True, slots=True)
class DoseRow:
    """A row of `features.dose_response`."""

    model: str
    iteration: int
    direction_id: str | None
    factor: str
    category: str
    method: str
    index: int
    trait: str
    n_coefficients: int
    spearman: float | None
    slope: float | None
    wrong_way: float | None
    reference: float
    shift: float | None
    ci_low: float | None
    ci_high: float | None
    kl: float | None
    z: float | None
    z_shuffled: float | None
    n_null: int
    specificity: float | None
    shift_at_kl: float | None
    coefficient_at_kl: float | None
    kl_bound: float
    toward_chance: float | None
    damage: bool | None
    n: int
