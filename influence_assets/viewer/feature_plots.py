"""Pictures of what is found inside a model as PNG bytes: the feature map, layers, what an SAE keeps."""

from __future__ import annotations

import numpy as np
import polars as pl

from influence_assets.pictures import canvas, literal, png
from influence_assets.viewer.plot_parts import ends, name, nothing

CHANCE = 0.5
_MOST_ROWS = 30
_KEPT = (
    ("ce_base", "as it is", "o", "#0072B2"),
    ("ce_sae", "SAE in place of the layer", "^", "#D55E00"),
    ("ce_ablated", "layer taken out", "s", "#000000"),
)


def feature_map(rows: pl.DataFrame, *, title: str) -> bytes:
    """The best features of every category by held-out AUROC, each with its 95 % interval, its AUROC on the texts that
    chose it, and the tokens that it promotes.

    `rows`: rows of `features.sae_feature_map` of one checkpoint; thirty are drawn, the best of each category first.
    """
    best = rows.sort("rank", "factor", "category", nulls_last=True).head(_MOST_ROWS)
    top = best.sort("factor", "category", "rank", nulls_last=True).reverse()
    figure, (axes,) = canvas(10.0, 1.4 + 0.24 * max(1, top.height))
    y = np.arange(top.height)
    value, *spread = ends(top, "auroc_heldout")
    axes.errorbar(value, y, xerr=spread, fmt="o", color="black", capsize=3, label="held-out texts")
    chosen = top["auroc"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    axes.plot(chosen, y, "x", color="#D55E00", label="texts that chose it")
    axes.axvline(CHANCE, linestyle="--", color="grey", label="chance")
    named = top.select("feature_id", "factor", "category").rows()
    axes.set_yticks(y, [name(f"{feature} · {of}: {pole}", 46) for feature, of, pole in named], fontsize=8)
    axes.set_ylim(-0.7, max(1, top.height) - 0.3)
    for line, tokens in enumerate(top["promoted_tokens"].to_list()):
        promoted = name(", ".join(str(token).strip() for token in (tokens or [])[:3]), 40)
        axes.annotate(promoted, (1.02, line), xycoords=("axes fraction", "data"), va="center", fontsize=8)
    axes.set_xlabel(
        "AUROC of the feature's activation for the category, 95 % interval; at the right: tokens it promotes"
    )
    axes.set_title(name(title, 90), fontsize=10)
    figure.legend(frameon=False, fontsize=8, loc="outside upper right", ncols=3)
    return png(figure)


def layers(rows: pl.DataFrame, *, title: str) -> bytes:
    """How well each layer reads the traits, and how far steering there moves them; the chosen one is filled.

    `rows`: rows of `features.layers` of one checkpoint. Layers stand at even distances, whichever were tried.
    """
    if rows.is_empty():
        return nothing(title)
    tried = rows.sort("layer")
    figure, (reads, moves) = canvas(9.0, 3.2, panels=2, share_y=False)
    chosen = tried["chosen"].fill_null(value=False).to_list()
    x = np.arange(tried.height)
    for axes, column, colour in ((reads, "auroc", "#0072B2"), (moves, "shift", "#D55E00")):
        value = tried[column].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        axes.plot(x, value, color=colour, linewidth=1.2)
        face = [colour if one else "white" for one in chosen]
        axes.scatter(x, value, s=48, edgecolors=colour, facecolors=face, zorder=3)
        axes.set_xticks(x, [str(layer) for layer in tried["layer"]])
        axes.set_xlabel("layer (filled: chosen)")
        axes.margins(x=0.08, y=0.15)
    reads.axhline(CHANCE, linestyle="--", color="grey", linewidth=0.8)
    reads.set_title("reads: AUROC of held-apart texts", fontsize=9)
    reads.set_ylabel("mean AUROC over factors\n(dashed: chance)")
    moves.axhline(0.0, color="grey", linewidth=0.8)
    moves.set_title(
        literal(f"moves: steering by ±{max(tried['coefficient'].to_list())} mean residual norms"), fontsize=9
    )
    moves.set_ylabel("P(high) at +c less that at -c")
    figure.suptitle(name(title, 90), fontsize=10)
    return png(figure)


def kept_by_saes(rows: pl.DataFrame, *, title: str) -> bytes:
    """Cross-entropy of the model as it is, with each SAE in place of its layer, and without the layer.

    `rows`: rows of `sql/sae_quality.sql`. The nearer the triangle lies to the circle, the more the SAE keeps.
    """
    known = rows.filter(pl.any_horizontal(pl.col(column).is_not_null() for column, *_ in _KEPT)).head(_MOST_ROWS)
    if known.is_empty():
        return nothing(title)
    known = known.reverse()
    figure, (axes,) = canvas(8.6, 1.5 + 0.3 * known.height)
    y = np.arange(known.height)
    for column, label, marker, colour in _KEPT:
        value = known[column].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        axes.plot(value, y, linestyle="none", marker=marker, markersize=7, color=colour, label=label)
    lines = [f"{sae}, iteration {iteration}" for sae, iteration in known.select("sae", "iteration").iter_rows()]
    axes.set_yticks(y, [name(line, 40) for line in lines], fontsize=8)
    axes.set_ylim(-0.6, known.height - 0.4)
    axes.set_xlabel("cross-entropy of held-out chats (nats per token)")
    axes.set_title(name(title, 90), fontsize=10)
    axes.grid(axis="y", color="#e6e9ed")
    figure.legend(frameon=False, fontsize=8, loc="outside right upper")
    return png(figure)
