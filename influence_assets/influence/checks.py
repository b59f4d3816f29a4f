"""What must be noticed in conversations and judgements, as plain findings; `show.py` makes asset checks of them."""

from __future__ import annotations

import polars as pl

from influence_assets.findings import ROWS_SHOWN, Finding
from influence_assets.influence.records import Condition

MAX_EMPTY = 0.05
"""Share of conversations without an agent's word above which nothing is built on them (as for refusals); fewer warn."""

MAX_REFUSALS = 0.05
STOP_REFUSALS = 0.25
MAX_VOID = 0.02
STOP_VOID = 0.20
"""Above `STOP_` nothing is built on the rows; between `MAX_` and that, a check warns."""

ALL_EQUAL_FROM = 8
"""Conversations from which on equal rewards are no chance, and nothing is learned from them."""

MAX_CHARACTER_ERRORS = 0.10
MAX_TIES = 0.50


def overlap_of_splits(states: pl.DataFrame) -> Finding:
    """Initial states that stand in both splits, by id within their environment or by their content."""
    one, other = (states.filter(pl.col("split") == split) for split in ("train", "eval"))
    by_id = one.join(other, on=["environment", "initial_state_id"], how="semi")
    content = ["environment", "history", "variables"]
    by_content = one.join(other.select(content), on=content, how="semi")
    both = pl.concat([by_id, by_content]).unique(["environment", "initial_state_id"], maintain_order=True)
    return Finding(
        "splits_are_disjoint",
        both.is_empty(),
        f"{both.height} of {states.height} initial states are both for training and held out",
        float(both.height),
        both.select("environment", "initial_state_id", "split", "history").head(ROWS_SHOWN),
    )


def without_replies(conversations: pl.DataFrame) -> Finding:
    """Conversations in which the agent never said anything."""
    held = conversations.filter(pl.col("condition") == Condition.AGENT)
    empty = held.filter(pl.col("n_turns") == 0)
    return Finding(
        "agent_spoke",
        empty.is_empty(),
        f"{empty.height} of {held.height} conversations have no agent turn (above {MAX_EMPTY:.0%} the run stops here)",
        empty.height / held.height if held.height else 0.0,
        empty.select("conversation_id", "environment", "initial_state_id", "status", "detail").head(ROWS_SHOWN),
    )


def refusals(turns: pl.DataFrame) -> Finding:
    """Replies of speakers that were refused, filtered or given up, as a share of all that models wrote."""
    written = turns.filter(pl.col("request_id").is_not_null())
    bad = written.filter(pl.col("status").is_in(["refusal", "content_filter", "gave_up"]))
    share = bad.height / written.height if written.height else 0.0
    return Finding(
        "refusals",
        share <= MAX_REFUSALS,
        f"{share:.1%} of what speakers wrote was refused, filtered or given up (at most {MAX_REFUSALS:.0%})",
        share,
        bad.select("conversation_id", "turn", "role", "status", "content").head(ROWS_SHOWN),
    )


def void_share(name: str, judgements: pl.DataFrame) -> Finding:
    """Judgements without a usable answer, per rubric the worst."""
    share = _mean(judgements["status"] != "ok")
    per_rubric = (
        judgements.group_by("rubric", "judge")
        .agg(void=(pl.col("status") != "ok").mean(), mass=pl.col("mass").mean(), n=pl.len())
        .sort("void", "rubric", descending=[True, False])
    )
    return Finding(
        name,
        share <= MAX_VOID,
        f"{share:.1%} of the judgements are void, refused or given up (at most {MAX_VOID:.0%})",
        share,
        per_rubric.head(ROWS_SHOWN),
    )


def some_rating(trajectories: pl.DataFrame) -> Finding:
    """Whether any conversation has a valid rating; without one nothing can be selected or measured."""
    rated = trajectories["reward"].drop_nulls().len()
    return Finding(
        "some_rating",
        rated > 0 or trajectories.is_empty(),
        f"{rated} of {trajectories.height} conversations have a valid rating",
        float(rated),
        trajectories.filter(pl.col("reward").is_null()).select("conversation_id", "environment").head(ROWS_SHOWN),
    )


def ratings_differ(trajectories: pl.DataFrame) -> Finding:
    """All rewards equal means that the preference judge does not look."""
    rewards = trajectories["reward"].drop_nulls()
    distinct = rewards.round(6).n_unique()
    return Finding(
        "ratings_differ",
        rewards.len() < 2 or distinct > 1,
        f"{distinct} different rewards among {rewards.len()}",
        float(distinct),
        trajectories.select("conversation_id", "reward").head(ROWS_SHOWN),
    )


def emptied_groups(selections: pl.DataFrame) -> Finding:
    """Groups of which the veto left nothing to learn from."""
    per_group = selections.group_by("group").agg(
        vetoed=(pl.col("chosen") == "vetoed").sum(), left=(pl.col("chosen") != "vetoed").sum()
    )
    emptied = per_group.filter((pl.col("left") == 0) & (pl.col("vetoed") > 0)).sort("group")
    return Finding(
        "groups_left",
        emptied.is_empty(),
        f"the veto emptied {emptied.height} of {per_group.height} groups",
        float(emptied.height),
        emptied.head(ROWS_SHOWN),
    )


def ties(selections: pl.DataFrame) -> Finding:
    """Selected conversations whose place was drawn, as a share: with many ties the selection is chance."""
    picked = selections.filter(pl.col("chosen").is_in(["best", "worst"]))
    share = _mean(picked["tied"])
    return Finding(
        "ties",
        share <= MAX_TIES,
        f"{share:.1%} of the selected conversations were chosen by a draw among equals (at most {MAX_TIES:.0%})",
        share,
        picked.filter("tied").select("conversation_id", "group", "reward").head(ROWS_SHOWN),
    )


def character_errors(judgements: pl.DataFrame) -> Finding:
    """How often the simulated user left its role, by the reviewing judge."""
    reviewed = judgements.filter(pl.col("rubric") == "character_fidelity").drop_nulls("share")
    rate = 1 - _mean(reviewed["share"]) if reviewed.height else 0.0
    return Finding(
        "character_fidelity",
        rate <= MAX_CHARACTER_ERRORS,
        f"the simulated user left its role in {rate:.1%} of {reviewed.height} reviewed turns "
        f"(at most {MAX_CHARACTER_ERRORS:.0%})",
        rate,
        reviewed.sort("share").select("conversation_id", "turn", "judge", "share").head(ROWS_SHOWN),
    )


def judge_is_another(model: str, judges: dict[str, str]) -> Finding:
    """Whether a judge is the model that it judges, or measures what it also trains."""
    same = sorted(role for role, judge in judges.items() if judge == model)
    return Finding(
        "judge_is_another",
        not same,
        f"{model} judges itself as {', '.join(same)}" if same else "every judge is another model",
        float(len(same)),
        pl.DataFrame({"role": list(judges), "model": list(judges.values())}),
    )


def _mean(values: pl.Series) -> float:
    mean = values.cast(pl.Float64).mean()
    return float(mean) if isinstance(mean, float) else 0.0
