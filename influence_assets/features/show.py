"""What the UI shows of the features assets: tables, pictures, and checks that notice silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dagster as dg
import polars as pl

from influence_assets.features import plots, tables
from influence_assets.features.study_design import why_not
from influence_assets.landing import preview
from influence_assets.pictures import picture
from influence_assets.step import Step

Shown = Mapping[str, dg.MetadataValue]

SAE_CHECKS = ("sae_explains_the_model",)
DIRECTION_CHECKS = ("directions_read_held_out_texts",)
STEERING_CHECKS = ("letters_have_mass", "steering_is_no_damage")

MIN_EXPLAINED = 0.5
MIN_AUROC = 0.6
MAX_VOID = 0.2
_CONTROLS = ("random", "shuffled", "prompt")


def why_none(step: Step, k: int) -> Shown:
    """Why there are no rows, where there are none."""
    reason = why_not(step, k)
    return {"why_no_rows": dg.MetadataValue.text(reason)} if reason else {}


def contrast_texts(step: Step) -> Shown:
    """Texts per category and half."""
    rows = step.read(tables.CONTRAST_TEXTS)
    counts = rows.group_by("factor", "category", "half", "source").len("texts").sort("factor", "category", "half")
    return {"texts": dg.MetadataValue.md(preview(counts, rows=80))}


def sae(step: Step) -> Shown:
    """The quality row."""
    quality = step.read(tables.SAE_QUALITY)
    if quality.is_empty():
        return why_none(step, 0) or {"why_no_rows": dg.MetadataValue.text("neither the study nor the model names one")}
    row = quality.row(0, named=True)
    return {
        "explained_variance": dg.MetadataValue.float(float(row["explained_variance"] or 0.0)),
        "dead_share": dg.MetadataValue.float(float(row["dead_share"] or 0.0)),
        "quality": dg.MetadataValue.md(preview(quality)),
    }


def sae_checks(step: Step) -> Sequence[dg.AssetCheckResult]:
    """An SAE that leaves half of the variance unexplained says little about the model."""
    rows = step.read(tables.SAE_QUALITY)
    poor = rows.filter(pl.col("explained_variance").fill_null(0.0) < MIN_EXPLAINED)
    text = f"{poor.height} of {rows.height} SAEs explain less than {MIN_EXPLAINED:.0%} of the variance"
    return [_result(step, SAE_CHECKS[0], poor, text)]


def layers(step: Step, k: int) -> Shown:
    """Every candidate, and which was chosen."""
    rows = step.read(tables.LAYERS, iteration=k)
    return why_none(step, k) if rows.is_empty() else {"layers": dg.MetadataValue.md(preview(_rounded(rows), rows=20))}


def feature_map(step: Step, k: int) -> Shown:
    """The best latents as a picture and as a table."""
    rows = step.read(tables.SAE_FEATURE_MAP, iteration=k)
    if rows.is_empty():
        return why_none(step, k)
    shown = rows.filter(pl.col("rank") == 1).select(
        "factor", "category", "feature_id", "auroc_heldout", "ci_low", "ci_high", "selectivity", "output_score"
    )
    image = plots.feature_map(rows, title=f"{step.partition}, iteration {k}: latents that carry categories")
    return {
        "best_latents": dg.MetadataValue.md(preview(_rounded(shown), rows=60)),
        "feature_map": picture(image, "held-out AUROC of the best latents"),
    }


def directions(step: Step, k: int) -> Shown:
    """How every method's directions read held-out texts."""
    rows = step.read(tables.DIRECTIONS, iteration=k)
    if rows.is_empty():
        return why_none(step, k)
    by_method = rows.group_by("method").agg(
        directions=pl.len(),
        layer=pl.col("layer").min(),
        auroc_heldout=pl.col("auroc_heldout").mean(),
        lowest=pl.col("auroc_heldout").min(),
        cosine_opposite=pl.col("cosine_opposite").mean(),
    )
    return {"methods": dg.MetadataValue.md(preview(_rounded(by_method.sort("method")), rows=20))}


def direction_checks(step: Step, k: int) -> Sequence[dg.AssetCheckResult]:
    """A direction that does not tell held-out texts apart is of nothing."""
    rows = step.read(tables.DIRECTIONS, iteration=k).filter(~pl.col("method").is_in(_CONTROLS))
    poor = rows.filter(pl.col("auroc_heldout") < MIN_AUROC)
    text = f"{poor.height} of {rows.height} directions tell held-out texts apart with an AUROC below {MIN_AUROC}"
    return [_result(step, DIRECTION_CHECKS[0], poor.select("factor", "category", "method", "auroc_heldout"), text)]


def steering(step: Step, k: int) -> Shown:
    """Dose response with its random band, the off-target matrix, and the table of methods."""
    rows, doses = step.read(tables.STEERING, iteration=k), step.read(tables.DOSE_RESPONSE, iteration=k)
    if doses.is_empty():
        return why_none(step, k)
    traits = doses["trait"].unique(maintain_order=True).to_list()
    reference = float(doses["reference"].max() or 0.0)  # type: ignore[arg-type]
    methods = [name for name in rows["method"].unique(maintain_order=True) if name not in _CONTROLS]
    shown = doses.filter(pl.col("category") != "low").select(
        "trait", "method", "spearman", "shift", "ci_low", "ci_high", "z", "specificity", "shift_at_kl", "damage"
    )
    title = f"{step.partition}, iteration {k}"
    found: dict[str, dg.MetadataValue] = {"methods": dg.MetadataValue.md(preview(_rounded(shown), rows=80))}
    if methods:
        curve = plots.dose_response(rows, traits[:4], title=f"{title}: dose response")
        matrix = plots.off_target(
            rows, traits, method=methods[0], reference=reference, title=f"{title}: {methods[0]} at {reference:+g}"
        )
        found["dose_response"] = picture(curve, "shift over coefficient")
        found["off_target"] = picture(matrix, "shift of every trait under every direction")
    return found


def steering_checks(step: Step, k: int) -> Sequence[dg.AssetCheckResult]:
    """Void items mean that nothing was measured; items that regress to chance mean damage and not steering."""
    rows = step.read(tables.STEERING, iteration=k).filter(~pl.col("method").is_in(("random", "shuffled")))
    void = rows.filter(pl.col("n_void") > MAX_VOID * (pl.col("n") + pl.col("n_void")))
    damaged = step.read(tables.DOSE_RESPONSE, iteration=k).filter(pl.col("damage").fill_null(value=False))
    return [
        _result(
            step,
            "letters_have_mass",
            void.select("condition", "trait", "n", "n_void", "mass"),
            f"{void.height} of {rows.height} conditions leave more than {MAX_VOID:.0%} of the items void",
        ),
        _result(
            step,
            "steering_is_no_damage",
            damaged.select("factor", "category", "method", "toward_chance"),
            f"{damaged.height} directions move items toward chance at both ends of their curve",
        ),
    ]


def trait_scores(step: Step, k: int) -> Shown:
    """The unsteered model's scores."""
    rows = step.read(tables.TRAIT_SCORES, iteration=k).filter(pl.col("condition") == "unsteered")
    if rows.is_empty():
        return {}
    names = ("trait", "half", "score", "ci_low", "ci_high", "mass", "order_consistency", "n", "n_void")
    return {"unsteered": dg.MetadataValue.md(preview(_rounded(rows.select(names)), rows=20))}


def side_effects(step: Step, k: int) -> Shown:
    """Shifts over all categories of each test."""
    rows = step.read(tables.SIDE_EFFECTS, iteration=k)
    if rows.is_empty():
        return why_none(step, k)
    names = ("condition", "test", "category", "value", "shift", "shift_ci_low", "shift_ci_high", "n", "n_void")
    shown = rows.filter((pl.col("category") == "all") | (pl.col("test") == "bias")).select(names)
    return {"side_effects": dg.MetadataValue.md(preview(_rounded(shown), rows=60))}


def _rounded(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.selectors.float().round(3))


def _result(step: Step, name: str, faulty: pl.DataFrame, text: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        asset_key=step.key,
        passed=faulty.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        description=text,
        metadata={"rows": dg.MetadataValue.md(preview(faulty, rows=10))} if faulty.height else {},
    )
