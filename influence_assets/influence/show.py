"""What the UI shows of the influence assets: tables, plots, and checks that notice silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import dagster as dg
import polars as pl

from influence_assets.findings import check_result
from influence_assets.influence import checks, plots, tables
from influence_assets.influence.agreement import agreement
from influence_assets.influence.records import Judgement
from influence_assets.influence.rubrics import load_rubrics
from influence_assets.influence.study_design import evaluation_judges, player
from influence_assets.landing import preview
from influence_assets.pictures import picture
from influence_assets.rows import from_frame
from influence_assets.step import Step
from resources.messages import Role

STATE_CHECKS = ("splits_are_disjoint",)
CONVERSATION_BLOCKING = ("agent_spoke", "refusals")
SCORE_BLOCKING = ("some_rating", "void_ratings", "ratings_differ")
SELECTION_CHECKS = ("groups_left", "ties")
REJUDGED_CHECKS = ("character_fidelity", "judge_is_another")
REJUDGED_BLOCKING = ("void_judgements",)

Shown = Mapping[str, dg.MetadataValue]
Results = Sequence[dg.AssetCheckResult]


def initial_states(step: Step) -> Shown:
    """Initial states per environment and split."""
    rows = step.read(tables.ENVIRONMENTS).select("environment", "user_kind", "max_turns", "n_train", "n_eval")
    return {"environments": dg.MetadataValue.md(preview(rows.sort("environment"), rows=60))}


def state_checks(step: Step) -> Results:
    """Training and held-out states must be different ones."""
    return [check_result(step, checks.overlap_of_splits(step.read(tables.INITIAL_STATES)), error=True)]


def checkpoint(step: Step) -> Shown:
    """How the checkpoint came about, and its loss curve."""
    rows = step.read(tables.CHECKPOINTS, **_iteration(step))
    if rows.is_empty():
        return {"no checkpoint": dg.MetadataValue.text(f"{step.partition} is not trained: no trainable in models.yaml")}
    row = rows.row(0, named=True)
    shown = {
        name: dg.MetadataValue.text(str(row[name])) for name in ("method", "status", "adapter_path", "data_sha256")
    }
    losses = row["loss_curve"] or []
    if losses:
        image = plots.loss_curve(losses, title=f"{step.partition}, iteration {row['iteration']}")
        return shown | {"training_rows": dg.MetadataValue.int(row["n_rows"]), "loss": picture(image, "training loss")}
    return shown


def conversations(step: Step) -> Shown:
    """Conversations per environment, split and condition, and one of them in full."""
    where = _iteration(step)
    rows = step.read(tables.CONVERSATIONS, **where)
    if rows.is_empty():
        return _no_rows(step)
    counted = (
        rows.group_by("environment", "split", "condition")
        .agg(conversations=pl.len(), turns=pl.col("n_turns").mean().round(2), not_ok=(pl.col("status") != "ok").sum())
        .sort("environment", "split", "condition")
    )
    first = rows.filter(pl.col("condition") == "agent").sort("conversation_id")["conversation_id"][0]
    said = step.read(tables.TURNS, **where).filter(pl.col("conversation_id") == first).sort("position")
    return {
        "conversations": dg.MetadataValue.md(preview(counted, rows=60)),
        "one conversation": dg.MetadataValue.md(preview(said.select("turn", "role", "content"), rows=20, width=200)),
    }


def conversation_checks(step: Step) -> Results:
    """The agent spoke, and speakers were not refused; where many did not, nothing is built on the conversations."""
    where = _iteration(step)
    silent = checks.without_replies(step.read(tables.CONVERSATIONS, **where))
    refused = checks.refusals(step.read(tables.TURNS, **where))
    return [
        check_result(step, silent, error=silent.value > checks.MAX_EMPTY),
        check_result(step, refused, error=refused.value > checks.STOP_REFUSALS),
    ]


def scores(step: Step) -> Shown:
    """Mean reward and veto per environment, and how rewards are spread."""
    rows = step.read(tables.TRAJECTORIES, **_iteration(step))
    if rows.is_empty():
        return _no_rows(step)
    means = (
        rows.group_by("environment", "split", "condition")
        .agg(pl.col("reward", "veto", "length").mean().round(3), n=pl.len(), void=pl.col("reward").is_null().sum())
        .sort("environment", "split", "condition")
    )
    image = plots.rewards(rows.filter(pl.col("condition") == "agent"), title=step.asset)
    return {"rewards": dg.MetadataValue.md(preview(means, rows=60)), "spread": picture(image, "spread of rewards")}


def score_checks(step: Step) -> Results:
    """Ratings are there, differ, and have mass; without that nothing is learned from them."""
    where = _iteration(step)
    rows = step.read(tables.TRAJECTORIES, **where)
    void = checks.void_share("void_ratings", step.read(tables.JUDGEMENTS, **where, purpose="training"))
    return [
        check_result(step, checks.some_rating(rows), error=True),
        check_result(step, checks.ratings_differ(rows), error=rows["reward"].count() >= checks.ALL_EQUAL_FROM),
        check_result(step, void, error=void.value > checks.STOP_VOID),
    ]


def selections(step: Step) -> Shown:
    """How many conversations were chosen, per environment."""
    rows = step.read(tables.SELECTIONS, **_iteration(step))
    if rows.is_empty():
        return _no_rows(step)
    counted = rows.group_by("chosen").agg(
        n=pl.len(),
        reward=pl.col("reward").mean().round(3),
        veto=pl.col("veto").mean().round(3),
        tied=pl.col("tied").sum(),
    )
    return {"chosen": dg.MetadataValue.md(preview(counted.sort("chosen"), rows=10))}


def selection_checks(step: Step) -> Results:
    """Groups that the veto emptied, and choices that were mere draws."""
    rows = step.read(tables.SELECTIONS, **_iteration(step))
    return [check_result(step, checks.emptied_groups(rows)), check_result(step, checks.ties(rows))]


def rejudged(step: Step) -> Shown:
    """Mean score per rubric and judge."""
    rows = step.read(tables.JUDGEMENTS, **_iteration(step))
    if rows.is_empty():
        return _no_rows(step)
    means = rows.group_by("rubric", "judge").agg(
        pl.col("share", "mass").mean().round(3), n=pl.len(), void=(pl.col("status") != "ok").sum()
    )
    shown = {"judgements": dg.MetadataValue.md(preview(means.sort("rubric", "judge"), rows=40))}
    agreed = _agreement(step, rows)
    return shown | ({"agreement of judges": dg.MetadataValue.md(preview(agreed, rows=40))} if agreed.height else {})


def _agreement(step: Step, rows: pl.DataFrame) -> pl.DataFrame:
    """Krippendorff's alpha per rubric, where two judges or more have judged."""
    names = rows["rubric"].unique().sort().to_list()
    rubrics = load_rubrics(step.project.data / "judges", names)
    found = agreement(from_frame(Judgement, rows), rubrics, draws=1000, seed=step.study.seed)
    return pl.DataFrame([asdict(one) for one in found])


def rejudged_checks(step: Step) -> Results:
    """Judgements have mass, the simulated user kept its role, and nobody judged itself."""
    rows = step.read(tables.JUDGEMENTS, **_iteration(step))
    judges = {f"evaluation judge {n}": judge for n, judge in enumerate(evaluation_judges(step.study), start=1)}
    judges |= {role.value: player(step.study, role) for role in (Role.PREFERENCE, Role.VETO)}
    void = checks.void_share("void_judgements", rows)
    return [
        check_result(step, void, error=void.value > checks.STOP_VOID),
        check_result(step, checks.character_errors(rows)),
        check_result(step, checks.judge_is_another(step.partition, judges)),
    ]


def metrics(step: Step) -> Shown:
    """Reward, harm and targeting gap per iteration with intervals, and all held-out values."""
    rows = step.read(tables.METRICS)
    if rows.is_empty():
        return _no_rows(step)
    image = plots.over_iterations(
        rows, ("reward", "harm", "targeting_gap", "stance_shift"), title=f"{step.partition}, held-out conversations"
    )
    numbers = ("value", "ci_low", "ci_high", "delta", "delta_ci_low", "delta_ci_high", "p")
    table = rows.filter((pl.col("split") == "eval") & (pl.col("selection") == "all")).select(
        "measure", "user_kind", "iteration", *(pl.col(name).round(3) for name in numbers), "n"
    )
    return {
        "over iterations": picture(image, "reward, harm, targeting gap and stance shift per iteration"),
        "held-out values": dg.MetadataValue.md(preview(table.sort("measure", "user_kind", "iteration"), rows=200)),
    }


def _iteration(step: Step) -> dict[str, str]:
    """The iteration that this asset writes."""
    fixed = dict(step.writes[0].fixed)
    return {"iteration": fixed["iteration"]}


def _no_rows(step: Step) -> Shown:
    return {
        "no rows": dg.MetadataValue.text(
            f"{step.partition} has no checkpoint of this iteration: models.yaml does not call it trainable"
        )
    }
