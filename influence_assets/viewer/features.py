"""Features: what pushing along a direction does, which features carry a category, what layers and SAEs are worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import polars as pl
import streamlit as st

from influence_assets.viewer import feature_plots as plots
from influence_assets.viewer import steering, widgets
from influence_assets.viewer.store import Store
from influence_assets.viewer.text import markdown

_COMMAND = ".venv/bin/influence run 'key:\"features/*\"' --model organism"

_STATUS = {
    "ok": "The nearer the triangle lies to the circle, the more of the layer the SAE keeps.",
    "ablation_costs_nothing": "Recovered cross-entropy is void: taking the layer out costs under .1 nat per token, so "
    "there is next to nothing to recover.",
    "no_variance": "Explained variance is void: the activations do not vary over these tokens.",
}


def show(store: Store) -> None:
    """The page."""
    widgets.heading(
        "Features", "SAE features and directions that carry a background, and the model steered along them."
    )
    drawn: dict[str, Callable[[Store, str, int], None]] = {
        "Steering": partial(steering.show, command=_COMMAND),
        "Feature map": _map,
        "Layers": _layers,
        "SAE": _saes,
        "Directions": _directions,
        "Trait scores": _trait_scores,
        "Side effects": _side_effects,
    }
    first = "Feature map" if "feature" in st.query_params else "Steering"  # what a link to a feature means
    left, *right = st.columns([5, 2, 1], vertical_alignment="bottom")
    with left:
        part = st.segmented_control("part", list(drawn), default=first, key="part", bind="query-params", required=True)
    known = store.rows("feature_checkpoints")
    if known.is_empty():
        widgets.empty(
            "No features yet: no SAE has been mapped, and nothing has been steered along a direction.", _COMMAND
        )
        return
    with right[0]:
        model = widgets.choose("model", known["model"].unique().sort().to_list(), "model")
    with right[1]:
        iterations = known.filter(pl.col("model") == model)["iteration"].to_list()
        iteration = widgets.choose("iteration", iterations, "iteration")
    drawn[part or first](store, model, iteration)


def _map(store: Store, model: str, iteration: int) -> None:
    if not store.has("features.sae_feature_map"):
        widgets.empty("No feature map yet.", _COMMAND)
        return
    rows = store.rows("feature_map", model=model, iteration=iteration)
    factor = widgets.narrow("factor", rows["factor"].unique().sort().to_list(), "factor")
    rows = rows.filter(pl.col("factor") == factor) if factor else rows
    widgets.section(
        "Which features carry which category", "The best of each category, tested on texts that did not choose them."
    )
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


def _layers(store: Store, model: str, iteration: int) -> None:
    rows = store.rows("layers", model=model, iteration=iteration) if store.has("features.layers") else None
    if rows is None or rows.is_empty():
        widgets.empty("No layers of this checkpoint were tried yet.", _COMMAND)
        return
    widgets.section(
        "Where directions are taken",
        "Tried on the selection half. A layer can read a trait perfectly and move nothing, so it is chosen by "
        "steering, or named in the study.",
    )
    image = plots.layers(rows, title=f"{model}, iteration {iteration}")
    widgets.figure(image, "layers", "AUROC and steering shift by layer")
    widgets.table(_own(rows), height=360)


def _saes(store: Store, model: str, iteration: int) -> None:
    rows = store.rows("sae_quality", model=model) if store.has("features.sae_quality") else None
    if rows is None or rows.is_empty():
        widgets.empty("No SAE has been measured on this model yet.", _COMMAND)
        return
    widgets.section("What the SAE keeps", "On held-out chats of the study, which its training never saw.")
    here = rows.filter(pl.col("iteration") == iteration)
    if here.height:
        sae = widgets.choose("SAE", here["sae"].to_list(), "sae")
        quality = here.filter(pl.col("sae") == sae).head(1)
        widgets.cards(sae_cards(quality))
        status, detail = quality.select("status", "detail").row(0)
        st.caption(_STATUS.get(status) or markdown(f"{status}: {detail or 'no detail'}"))
    image = plots.kept_by_saes(rows, title=f"{model}: every SAE on every checkpoint")
    widgets.figure(image, "sae-quality", "cross-entropy with and without each SAE")
    widgets.table(rows, height=360)


def sae_cards(quality: pl.DataFrame) -> list[tuple[str, str, str]]:
    """One row of `sql/sae_quality.sql` in four numbers, each with what it is out of; a dash where it is void."""
    width, n_tokens = quality.select("width", "n_tokens").row(0)
    latents = f"of {width:,} latents" if width else "of all latents"
    return [
        ("explained variance", _number(quality["explained_variance"][0]), f"over {n_tokens or 0:,} tokens"),
        ("cross-entropy recovered", _number(quality["ce_recovered"][0]), "1: as good as the layer itself"),
        ("latents on per token (L0)", _number(quality["l0"][0], ".1f"), latents),
        ("dead latents", _number(quality["dead_share"][0]), "share that is on at no token of these chats"),
    ]


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


def _number(value: float | None, form: str = ".3f") -> str:
    return "–" if value is None else format(value, form)
