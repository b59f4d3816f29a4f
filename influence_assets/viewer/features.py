"""Features: which SAE features carry a category, what pushing along a direction does, and what else it moves."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import streamlit as st

from influence_assets.viewer import feature_plots as plots
from influence_assets.viewer import widgets
from influence_assets.viewer.store import Store
from influence_assets.viewer.text import one_line

_COMMAND = ".venv/bin/influence run 'key:\"features/*\"' --model organism"


def show(store: Store) -> None:
    """The page."""
    widgets.heading(
        "Features", "SAE features and directions that carry a background, and the model steered along them."
    )
    parts = ("Feature map", "Steering", "Directions", "Trait scores", "Side effects")
    part = st.segmented_control("part", parts, default=parts[0], key="part", bind="query-params", required=True)
    checkpoint = _checkpoint(store)
    if checkpoint is None:
        widgets.empty(
            "No features yet: no SAE has been mapped, and nothing has been steered along a direction.", _COMMAND
        )
        return
    model, iteration = checkpoint
    drawn = {
        "Feature map": _map,
        "Steering": _steering,
        "Directions": _directions,
        "Trait scores": _trait_scores,
        "Side effects": _side_effects,
    }
    drawn[part or parts[0]](store, model, iteration)


def _checkpoint(store: Store) -> tuple[str, int] | None:
    """The checkpoint to look at, among those that any of the family's tables knows."""
    known = store.rows("feature_checkpoints")
    if known.is_empty():
        return None
    left, right = st.columns(2)
    with left:
        model = widgets.choose("model", known["model"].unique().sort().to_list(), "model")
    with right:
        iterations = known.filter(pl.col("model") == model)["iteration"].to_list()
        iteration = widgets.choose("iteration", iterations, "iteration")
    return model, iteration


def _map(store: Store, model: str, iteration: int) -> None:
    if not store.has("features.sae_feature_map"):
        widgets.empty("No feature map yet.", _COMMAND)
        return
    rows = store.rows("feature_map", model=model, iteration=iteration)
    factor = widgets.narrow("factor", rows["factor"].unique().sort().to_list(), "factor")
    rows = rows.filter(pl.col("factor") == factor) if factor else rows
    widgets.section("Which features carry which category", "The thirty best on texts that did not choose them.")
    image = plots.feature_map(rows, title=f"{model}, iteration {iteration}")
    widgets.figure(image, "feature-map", "held-out AUROC of the best features with 95 % intervals")
    widgets.table(_own(rows), height=360)
    _one_feature(store, _own(rows))


def _one_feature(store: Store, rows: pl.DataFrame) -> None:
    """Everything that is known of one feature, its top texts included where the table has them."""
    ids = [str(feature) for feature in rows["feature_id"].unique(maintain_order=True).to_list()]
    if not ids:
        return
    feature = widgets.choose("feature", ids, "feature")
    for row in rows.filter(pl.col("feature_id").cast(pl.String) == feature).iter_rows(named=True):
        row["top_texts"] = _texts(store, row.get("top_texts"))
        known = [(name, _cell(one)) for name, value in row.items() if value is not None for one in _each(value)]
        widgets.table(pl.DataFrame(known, schema={"what": pl.String, "value": pl.String}, orient="row"))


def _steering(store: Store, model: str, iteration: int) -> None:
    if not store.has("features.steering", "features.directions"):
        widgets.empty("Nothing has been steered along a direction yet.", _COMMAND)
        return
    rows = _labelled(store.rows("steering", model=model, iteration=iteration))
    columns = st.columns(3)
    with columns[0]:
        trait = widgets.choose("trait", rows["trait"].unique().sort().to_list(), "trait")
    with columns[1]:
        mode = widgets.choose("how it is steered", rows["how"].unique().sort().to_list(), "how")
    rows = rows.filter(pl.col("how") == mode)
    of_trait = rows.filter(pl.col("trait") == trait)
    labels = of_trait.filter(pl.col("method").fill_null("") != plots.RANDOM)["label"].unique().sort().to_list()
    with columns[2]:
        wanted = st.multiselect(
            "directions", labels, labels[:6], key="directions", bind="query-params", format_func=one_line
        )
    random = pl.col("method").fill_null("") == plots.RANDOM
    drawn = of_trait.filter(random | pl.col("label").is_in(wanted))
    widgets.section(
        "Dose response", "Grey: what random directions of the same length do. A real effect leaves the band."
    )
    title = f"{model}, iteration {iteration}, {mode}"
    widgets.figure(
        plots.dose_response(drawn, trait=trait, title=title), "dose-response", f"shift of {trait} by coefficient"
    )
    widgets.section(
        "Off-target shifts",
        "Every trait under every direction, at the largest coefficient: what else moves with what was meant.",
    )
    widgets.figure(plots.off_target(rows, title=title), "off-target", "shift of every trait under every direction")
    with st.expander("Rows"):
        widgets.table(_own(of_trait).drop("how", "label"), height=400)


def _labelled(rows: pl.DataFrame) -> pl.DataFrame:
    """With the direction in words, and how it was added to the residual stream."""
    words = [pl.col(name).cast(pl.String).fill_null("?") for name in ("factor", "category", "method", "layer")]
    return rows.with_columns(
        label=pl.format("{} {}, {}, layer {}", *words),
        how=pl.format("{}, {}", pl.col("mode").cast(pl.String), pl.col("positions").cast(pl.String)),
    )


def _directions(store: Store, model: str, iteration: int) -> None:
    if not store.has("features.directions"):
        widgets.empty("No directions yet.", _COMMAND)
        return
    widgets.section("Directions", "Unit vectors in the residual stream; `norm` is the length before scaling.")
    widgets.table(_own(store.rows("directions", model=model, iteration=iteration)), height=520)


def _trait_scores(store: Store, model: str, iteration: int) -> None:
    if not store.has("features.trait_scores"):
        widgets.empty("No trait scores yet.", _COMMAND)
        return
    widgets.section(
        "Trait scores", "Share of trait-high answers by probability, over balanced option orders; chance .5."
    )
    widgets.table(_own(store.rows("trait_scores", model=model, iteration=iteration)), height=520)


def _side_effects(store: Store, model: str, iteration: int) -> None:
    if not store.has("features.side_effects"):
        widgets.empty("No side effects measured yet.", _COMMAND)
        return
    widgets.section("Side effects", "What steering does to safety and hallucination items, with 95 % intervals.")
    widgets.table(_own(store.rows("side_effects", model=model, iteration=iteration)), height=520)


def _texts(store: Store, ids: object) -> list[str] | None:
    """Texts by their ids, in this order; an id stands for itself where no table has its text."""
    if not isinstance(ids, list):
        return None
    if not store.has("features.contrast_texts"):
        return ids
    texts = dict(store.rows("texts", ids=",".join(ids)).select("text_id", "text").iter_rows())
    return [str(texts.get(one) or one) for one in ids]


def _own(rows: pl.DataFrame) -> pl.DataFrame:
    """Without what the page's head says already, and without provenance."""
    return rows.drop("model", "iteration", "run_id", "code_version", strict=False)


def _each(value: object) -> Sequence[object]:
    """A list's entries, each for a line of its own; anything else as it is."""
    return value if isinstance(value, list) else [value]


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
