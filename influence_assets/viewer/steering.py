"""The part of the features page on steering: what pushing along a direction does, at what cost, and what else moves."""

from __future__ import annotations

import polars as pl
import streamlit as st

from influence_assets.figures import interval
from influence_assets.viewer import steering_plots as plots
from influence_assets.viewer import widgets
from influence_assets.viewer.store import Store
from influence_assets.viewer.text import one_line

OWN = "each trait itself, toward high"


def show(store: Store, model: str, iteration: int, command: str) -> None:
    """Curves over their controls, shifts at equal cost, off-target shifts, and the numbers behind them."""
    rows = store.rows("steering", model=model, iteration=iteration) if store.has("features.steering") else None
    if rows is None or rows.is_empty():
        widgets.empty("Nothing has been steered along a direction of this checkpoint yet.", command)
        return
    columns = st.columns([2, 4, 2])
    with columns[0]:
        toward = widgets.choose("directions of", _towards(rows), "toward")
    with columns[2]:
        how = widgets.choose("how it is steered", _hows(rows), "how")
    rows = rows.filter((pl.col("mode") == plots.PROMPT) | (_how() == how))
    methods = rows.filter(~pl.col("method").is_in(plots.CONTROLS))["method"].unique().sort().to_list()
    with columns[1]:
        wanted = st.multiselect("methods", methods, methods, key="methods", bind="query-params", format_func=one_line)
    title = f"{model}, iteration {iteration}: {how}"
    _curves(rows, toward, wanted, title)
    _at_equal_cost(store, model, iteration, rows, wanted)
    widgets.section(
        "Off-target shifts",
        "Every trait under every direction, at one coefficient: what else moves with what was meant.",
    )
    image = plots.off_target(rows.filter(pl.col("method").is_in(wanted)), title=title)
    widgets.figure(image, "off-target", "shift of every trait under every direction")
    with st.expander("All rows"):
        widgets.table(rows, height=400)


def _curves(rows: pl.DataFrame, toward: str, wanted: list[str], title: str) -> None:
    widgets.section(
        "Dose response",
        "Each point: the unsteered score plus the paired shift of the held-out items. Boxes: what directions do that "
        "have nothing to do with the trait, at the coefficient where they were tried. A real effect leaves them.",
    )
    chosen = of_direction(rows, toward)
    chosen = chosen.filter(pl.col("method").is_in([*wanted, *plots.CONTROLS]))
    image = plots.dose_response(chosen, title=f"{title}; {toward}")
    widgets.figure(image, "dose-response", f"P(high) by coefficient: {toward}")


def _at_equal_cost(store: Store, model: str, iteration: int, rows: pl.DataFrame, wanted: list[str]) -> None:
    doses = store.rows("dose_response", model=model, iteration=iteration)
    doses = doses.filter(pl.col("method").is_in(wanted))
    if doses.is_empty():
        return
    reference = max(doses["reference"].to_list())
    widgets.section(
        "At equal cost",
        f"Shift of each pole at the reference coefficient ({reference:g}, chosen by what it costs on neutral text, "
        "never by the items), and the largest shift within the bound on KL(steered || unsteered).",
    )
    image = plots.at_equal_cost(doses, rows, title=f"{model}, iteration {iteration}")
    widgets.figure(
        image, "shift-at-equal-cost", "shift of every method at the reference coefficient and within the KL bound"
    )
    widgets.table(in_numbers(doses), height=360)


def in_numbers(doses: pl.DataFrame) -> pl.DataFrame:
    """Rows of `features.dose_response` as people read them, best first."""
    shift = [
        interval(value, low, high, signed=True)
        for value, low, high in doses.select("shift", "ci_low", "ci_high").iter_rows()
    ]
    return doses.select(
        "trait",
        "category",
        "method",
        pl.Series("shift", shift, dtype=pl.String),
        *("kl", "z", "z_shuffled", "specificity", "spearman", "shift_at_kl", "damage", "n"),
    )


def of_direction(rows: pl.DataFrame, toward: str) -> pl.DataFrame:
    """The rows of one choice of `_towards`, with the controls that belong to it."""
    random = pl.col("method") == plots.RANDOM
    if toward == OWN:
        own = (pl.col("factor") == pl.col("trait")) & (pl.col("category") != plots.LOW)
        shuffled = (pl.col("method") == plots.SHUFFLED) & (pl.col("factor") == pl.col("trait"))
    else:
        own = _label() == toward
        factors = rows.filter(own)["factor"].unique()
        shuffled = (pl.col("method") == plots.SHUFFLED) & pl.col("factor").is_in(factors.implode())
    chosen = rows.filter(own & ~pl.col("method").is_in(plots.CONTROLS))
    traits = chosen["trait"].unique()
    return pl.concat([chosen, rows.filter((random | shuffled) & pl.col("trait").is_in(traits.implode()))])


def _towards(rows: pl.DataFrame) -> list[str]:
    """Each trait by its own direction where there are such, and every category that a direction leads to."""
    found = rows.filter(~pl.col("method").is_in(plots.CONTROLS))
    own = found.filter((pl.col("factor") == pl.col("trait")) & (pl.col("category") != plots.LOW))
    return [*([OWN] if own.height else []), *found.select(_label())["label"].unique().sort().to_list()] or ["controls"]


def _hows(rows: pl.DataFrame) -> list[str]:
    """How anything was added to the stream; a prompt adds nothing."""
    added = rows.filter(pl.col("mode") != plots.PROMPT)
    return added.select(_how())["how"].unique().sort().to_list() or [plots.PROMPT]


def _label() -> pl.Expr:
    return pl.format("{}: {}", pl.col("factor").fill_null("?"), pl.col("category").fill_null("?")).alias("label")


def _how() -> pl.Expr:
    return pl.format("{}, {}", pl.col("mode"), pl.col("positions")).alias("how")
