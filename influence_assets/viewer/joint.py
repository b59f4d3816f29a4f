"""Joint: every measure of every checkpoint together, and how far each has moved from the untouched model."""

from __future__ import annotations

import numpy as np
import polars as pl
import streamlit as st

from influence_assets.pictures import canvas, literal, png
from influence_assets.viewer import widgets
from influence_assets.viewer.store import Store
from influence_assets.viewer.text import one_line

_PER_ROW = 4
_MOST = 12


def show(store: Store) -> None:
    """The page."""
    widgets.heading("Joint", "As a model is trained on what users like: what else moves with it?")
    if not store.has("joint.checkpoint_profile"):
        widgets.empty("No profile of checkpoints yet.", ".venv/bin/influence run 'key:\"joint/*\"' --model organism")
        return
    model = widgets.choose("model", store.rows("profile_models")["model"].to_list(), "model")
    profile = store.rows("profile", model=model)
    names = profile["measure"].unique().sort().to_list()
    shown = st.multiselect("measures", names, names[:_MOST], key="measures", bind="query-params", format_func=one_line)
    widgets.section(
        "Every checkpoint", "Each measure on its own scale, with 95 % intervals; iteration 0 is the untouched model."
    )
    for start in range(0, len(shown), _PER_ROW):
        part = shown[start : start + _PER_ROW]
        image = over_iterations(profile, part, title=f"{model}")
        widgets.figure(image, f"joint-{start // _PER_ROW + 1}", f"{', '.join(part)} over iterations")
    widgets.section("Drift from the untouched model", "Paired where the measure allows.")
    if store.has("joint.drift"):
        widgets.table(store.rows("drift", model=model), height=360)
    else:
        widgets.empty("No drift yet.", ".venv/bin/influence run 'key:\"joint/*\"' --model organism")
    with st.expander("All values"):
        widgets.table(profile, height=400)


def over_iterations(profile: pl.DataFrame, measures: list[str], *, title: str) -> bytes:
    """One panel per measure: value with its 95 % interval at every iteration. `profile`: rows of `sql/profile.sql`."""
    figure, panels = canvas(3.4 * max(1, len(measures)), 3.0, panels=max(1, len(measures)), share_y=False)
    for measure, axes in zip(measures, panels, strict=True):
        rows = profile.filter(pl.col("measure") == measure).drop_nulls("value").sort("iteration")
        value = rows["value"].cast(pl.Float64).to_numpy()
        ends = [
            rows.select(pl.coalesce(end, "value"))[:, 0].cast(pl.Float64).to_numpy() for end in ("ci_low", "ci_high")
        ]
        axes.errorbar(
            rows["iteration"].to_numpy(),
            value,
            yerr=np.abs([value - ends[0], ends[1] - value]),
            color="#0072B2",
            marker="o",
            capsize=3,
        )
        axes.set_title(literal(one_line(measure, 34)), fontsize=9)
        axes.set_xlabel("iteration")
        axes.set_xticks(profile["iteration"].unique().sort().to_list())
    figure.suptitle(literal(one_line(title, 80)), fontsize=10)
    return png(figure)
