"""`influence estimate`: the worst case before anything is asked, the exact questions once it has landed; what a study
could detect."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import yaml
from rich.console import Console
from statsmodels.stats.power import TTestPower

from influence_assets.estimate import estimate_assets, print_estimate
from influence_assets.estimate_influence import plan_influence
from influence_assets.estimate_power import outlook
from influence_assets.influence import tables
from influence_assets.influence.records import Conversation, Trajectory
from influence_assets.project import Project
from influence_assets.rows import to_frame
from influence_assets.stats.power import shift_in_standard_errors
from influence_assets.steerability import tables as steerability
from resources.estimate import Planned
from resources.messages import Role
from resources.pointers import Provenance
from resources.tables import Table
from tests.e2e.influence_projects import ENVIRONMENTS, build, write_yaml

TURNS = 3
KINDS = ("vulnerable", "ordinary")
FAR = {"provider": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1", "price": {"input": 1.0, "output": 4.0}}
ROLLOUTS = {"states": 1, "samples": 2, "eval_states": 1, "max_turns": TURNS}
EVALUATION = {"rubrics": ["harm", "manipulation"], "probe_sets": ["data/set.jsonl"], "probe_rubrics": ["sycophancy"]}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    settings = {"rollouts": ROLLOUTS, "evaluation": EVALUATION, "iterations": 1}
    models = {"judge": FAR, "agent": FAR, "learner": FAR | {"trainable": True}}
    root = build(tmp_path, models, settings, {"evaluation_judge": ["judge", "agent"]})
    (root / "data" / "set.jsonl").write_text('{"id": "1", "prompt": "a"}\n{"id": "2", "prompt": "b"}\n')
    return Project(root)


def by_role(plans: list[Planned]) -> Counter[Role]:
    return Counter(plan.request.role for plan in plans)


def test_conversations_are_planned_to_their_last_turn(project: Project) -> None:
    held, control, probes = len(ENVIRONMENTS) * 3, len(ENVIRONMENTS), 2
    plans = plan_influence(project, ["rollout_batches_0", "preference_scores_0", "rejudgements_0"], ["agent"])
    stances = 6 * len(ENVIRONMENTS)  # agent, control and placebo, before and after
    assert by_role(plans["rollout_batches_0"]) == {
        Role.AGENT: (held + control) * TURNS + probes,
        Role.CHARACTER: (held + control) * (TURNS - 1) + stances,
        Role.TRANSITION: (held + control) * TURNS,
        Role.PREFERENCE: held * TURNS,
        Role.VETO: held * TURNS,
    }
    assert plans["preference_scores_0"] == [], "the rollouts have asked the same"
    # Per held-out conversation and judge: two rubrics on each reply, the role on each of the user's turns.
    per_judge = len(ENVIRONMENTS) * (2 * TURNS + TURNS - 1) + probes
    assert by_role(plans["rejudgements_0"]) == {Role.EVALUATION_JUDGE: 2 * per_judge}


def test_scores_alone_are_the_judges_of_the_rollouts(project: Project) -> None:
    plans = plan_influence(project, ["preference_scores_0"], ["agent"])
    assert by_role(plans["preference_scores_0"]) == {
        Role.PREFERENCE: len(ENVIRONMENTS) * 3 * TURNS,
        Role.VETO: len(ENVIRONMENTS) * 3 * TURNS,
    }


def test_only_what_is_trained_has_later_iterations(project: Project) -> None:
    assets = ["rollout_batches_0", "rollout_batches_1"]
    assert set(plan_influence(project, assets, ["agent"])) == {"rollout_batches_0"}
    plans = plan_influence(project, assets, ["learner"])
    n_eval = by_role(plans["rollout_batches_1"])[Role.PREFERENCE]
    assert n_eval == len(ENVIRONMENTS) * TURNS, "the last iteration has held-out conversations alone"
    samples = {plan.request.sample for plan in plans["rollout_batches_1"]}
    assert min(samples) > 0, "nothing of the untouched model counts as an answer of the later one"


def test_longer_answers_cost_more_and_judges_pay_for_them(project: Project) -> None:
    found = estimate_assets(project, ["rollout_batches_0", "rejudgements_0"], ["agent"])
    rollouts = found["rollout_batches_0"]
    assert set(rollouts) == {"judge", "agent"}
    spoken = (len(ENVIRONMENTS) * 4) * TURNS
    assert rollouts["agent"].output_tokens >= 40 * spoken, "each reply may be as long as its environment lets it"
    assert all(one.cached == 0 and one.cost_usd > 0 for by_model in found.values() for one in by_model.values())
    assert rollouts["judge"].input_tokens > rollouts["agent"].input_tokens


def with_biographies(project: Project, n: int) -> Project:
    """The project with a features family that writes so many biographies."""
    path = project.data / "study.yaml"
    features = {"backgrounds": ["long_term"], "trait_items": ["organism"], "biographies": n}
    write_yaml(path, yaml.safe_load(path.read_text()) | {"features": features})
    return Project(project.root)


def test_biographies_are_planned_as_if_every_attempt_failed(project: Project) -> None:
    found = estimate_assets(with_biographies(project, 3), ["backgrounds", "activations"], ["agent", "learner"])
    ((model, one),) = found["backgrounds"].items()
    assert model == "judge", "who plays every role of this project"
    factors = 9
    # Written once and three times more, and each time checked for every factor in both orders.
    assert one.requests == 3 * 4 * (1 + 2 * factors)
    assert one.cost_usd > 0
    assert set(found) == {"backgrounds"}


def test_what_looks_into_a_model_is_named_and_not_counted(project: Project) -> None:
    shown = Console(record=True, width=200)
    print_estimate(with_biographies(project, 0), ["backgrounds", "sae", "activations", "steering_sweep_2"], [], shown)
    text = shown.export_text()
    assert "Not counted: activations, steering_sweep_2." in text
    assert "asks no model" not in text


LANDED = Provenance("run", "1", "inputs", datetime(2026, 1, 1, tzinfo=UTC))


def land(project: Project, table: Table, partition: Mapping[str, str], rows: Sequence[object]) -> None:
    project.warehouse.write(table, partition, to_frame(table, rows), LANDED)


def land_rewards(project: Project, iteration: int, rewards: Sequence[Mapping[int, float]]) -> None:
    """Held-out conversations of the learner: by environment, the reward of each initial state."""
    talks, rated = [], []
    for (environment, kind), by_state in zip(zip(ENVIRONMENTS, KINDS, strict=True), rewards, strict=True):
        for state, reward in by_state.items():
            identity = (
                f"{iteration}{environment}{state}",
                "learner",
                iteration,
                "organism",
                environment,
                kind,
                str(state),
            )
            talks.append(Conversation(*identity, "eval", "agent", 0, "end", 2, "ok", "", 1))
            rated.append(Trajectory(*identity, "eval", "agent", 0, reward, 0.0, 40.0, 2, 0))
    here = {"model": "learner", "iteration": str(iteration)}
    land(project, tables.CONVERSATIONS, here, talks)
    land(project, tables.TRAJECTORIES, here, rated)


def test_without_a_pilot_nothing_is_said_of_changes(project: Project) -> None:
    found = outlook(project, ["rollout_batches_0", "persona_responses"], ["agent", "learner"])
    assert found == ([], ["steerability of agent", "influence of learner", "steerability of learner"])
    assert outlook(project, ["personas"], ["learner"]) == ([], [])


def test_the_detectable_change_of_reward_is_the_t_test_on_paired_changes(project: Project) -> None:
    before, moves = {s: float(s) for s in range(12)}, np.random.default_rng(0).normal(size=(2, 12))
    land_rewards(project, 0, [before, before])
    (untouched,) = [row for row in outlook(project, ["influence_metrics"], ["learner"]).rows if row.users == "all"]
    after = [{s: value + float(move[s]) for s, value in before.items()} for move in moves]
    land_rewards(project, 1, after)
    rows = {row.users: row for row in outlook(project, ["influence_metrics"], ["learner"]).rows}
    assert set(rows) == {"all", *KINDS}
    # Two environments are too few to resample, and the study plans one held-out state in each.
    theirs = shift_in_standard_errors(1) * moves.std(ddof=1) / math.sqrt(2)
    assert rows["all"].smallest == pytest.approx(theirs)
    assert "24 changes" in rows["all"].pilot
    assert math.isnan(rows["vulnerable"].smallest), "one conversation has no test"
    apart = math.sqrt(2) * np.std([*before.values()] * 2, ddof=1) / math.sqrt(2) * shift_in_standard_errors(1)
    assert untouched.smallest == pytest.approx(apart)
    assert "no change yet" in untouched.pilot


def land_gains(project: Project, gains: Sequence[float]) -> None:
    scores, same = steerability.SCORES, {"iteration": 0, "method": "name", "n_steer": 0, "score": "gain", "n": 5}
    rows = [same | {"model": "agent", "persona_id": str(i), "value": gain} for i, gain in enumerate(gains)]
    frame = project.warehouse.frame(scores, rows)
    project.warehouse.write(scores, {"model": "agent", "iteration": "0"}, frame, LANDED)


def test_the_detectable_gain_is_over_personas(project: Project) -> None:
    gains = [0.1, 0.3, 0.2, 0.4]
    land_gains(project, gains)
    (row,) = outlook(project, ["persona_responses"], ["agent"]).rows
    planned = int(row.planned.split()[0])
    theirs = TTestPower().solve_power(nobs=planned, alpha=0.05, power=0.8)
    assert row.smallest == pytest.approx(theirs * np.std(gains, ddof=1))


def test_the_command_prints_both(project: Project) -> None:
    land_gains(project, [0.1, 0.3, 0.2, 0.4])
    shown = Console(record=True, width=200)
    print_estimate(project, ["persona_responses"], ["agent", "learner"], shown)
    text = shown.export_text()
    assert "What would be asked now" in text
    assert "The smallest change that this study would find" in text
    assert "not known for steerability of learner" in text
