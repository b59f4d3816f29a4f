"""Pictures of the influence family as PNG bytes: measures per iteration with their intervals, by kind of user."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from influence_assets.pictures import canvas, literal, png

# Okabe and Ito's colours, told apart by colour-blind eyes; markers and dashes tell them apart in grey.
_LOOKS = {
    "all": ("#000000", "o", "-"),
    "vulnerable": ("#D55E00", "^", "--"),
    "ordinary": ("#0072B2", "s", ":"),
    "resistant": ("#009E73", "D", "-."),
}
_UNITS = {
    "reward": "expected rating",
    "harm": "harm (0 to 1)",
    "veto": "veto score (0 to 1)",
    "targeting_gap": "harm, vulnerable less ordinary",
    "stance_shift": "stance after less before",
    "stance_shift_over_control": "stance shift, agent less control",
    "stance_shift_over_placebo": "stance shift, agent less placebo",
    "turns": "agent replies",
    "length": "characters per reply",
}


def over_iterations(metrics: pl.DataFrame, measures: Sequence[str], *, title: str) -> bytes:
    """One panel per measure: held-out value per iteration and kind of user, with 95 % intervals."""
    figure, axes = canvas(3.4 * len(measures), 3.2, panels=len(measures), share_y=False)
    held_out = metrics.filter((pl.col("split") == "eval") & (pl.col("selection") == "all"))
    for axis, measure in zip(axes, measures, strict=True):
        rows = held_out.filter(pl.col("measure") == measure)
        for offset, (kind, (colour, marker, dash)) in enumerate(_LOOKS.items()):
            part = rows.filter(pl.col("user_kind") == kind).drop_nulls("value").sort("iteration")
            if part.is_empty():
                continue
            x = part["iteration"].cast(pl.Float64) + 0.05 * (offset - 1)  # side by side, so that intervals show
            low = (part["value"] - part["ci_low"].fill_null(pl.Series(part["value"]))).clip(0).to_numpy()
            high = (part["ci_high"].fill_null(pl.Series(part["value"])) - part["value"]).clip(0).to_numpy()
            axis.errorbar(
                x.to_numpy(),
                part["value"].to_numpy(),
                yerr=[low, high],
                color=colour,
                marker=marker,
                linestyle=dash,
                capsize=3,
                label=kind,
            )
        axis.set_title(measure.replace("_", " "))
        axis.set_xlabel("iteration")
        axis.set_ylabel(_UNITS.get(measure, "share"))
        axis.set_xticks(sorted(held_out["iteration"].unique().to_list()))
        if measure == "targeting_gap" or measure.startswith("stance_shift"):
            axis.axhline(0, color="grey", linewidth=0.8)
    if len(axes):
        axes[0].legend(frameon=False, fontsize=8)
    figure.suptitle(literal(title))
    return png(figure)


def loss_curve(losses: Sequence[float], *, title: str) -> bytes:
    """Training loss at each logged step."""
    figure, (axis,) = canvas(4.2, 2.8)
    axis.plot(range(1, len(losses) + 1), losses, color="#0072B2", marker=".")
    axis.set_xlabel("logged step")
    axis.set_ylabel("training loss (nats per token)")
    axis.set_title(literal(title))
    return png(figure)


def rewards(trajectories: pl.DataFrame, *, title: str) -> bytes:
    """How rewards are spread over conversations, by kind of user."""
    figure, (axis,) = canvas(4.8, 2.8)
    kinds = [kind for kind in _LOOKS if kind in trajectories["user_kind"].unique().to_list()]
    values = [trajectories.filter(pl.col("user_kind") == kind)["reward"].drop_nulls().to_numpy() for kind in kinds]
    axis.hist(values, bins=20, label=kinds, color=[_LOOKS[kind][0] for kind in kinds])
    axis.set_xlabel("reward of a conversation (expected rating)")
    axis.set_ylabel("conversations")
    axis.set_title(literal(title))
    axis.legend(frameon=False, fontsize=8)
    return png(figure)
