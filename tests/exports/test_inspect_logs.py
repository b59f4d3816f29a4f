"""Exported logs, read back by inspect-ai itself: the same conversations, the same numbers, nothing made up."""

from __future__ import annotations

import importlib.util
import math
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from influence_assets.exports.inspect_logs import Answers, Wanted, export_inspect, file_name
from influence_assets.exports.stored import Scene, StoredConversation
from influence_assets.influence.environments import Tool
from influence_assets.influence.records import Turn
from resources.errors import InputError
from tests.exports.exported_world import BEGAN, ITERATIONS, VOID_STATE, Hostile, World, make_world

# Imported where it is used: it takes seconds, and every process of pytest imports every module of tests.
if importlib.util.find_spec("inspect_ai") is None:
    pytest.skip("inspect-ai is not installed: pip install 'influence-assets[inspect]'", allow_module_level=True)
if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalSample

ROLES = {"agent": "assistant", "character": "user", "environment": "user", "tool": "tool"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


EVERYTHING = Wanted()


def exported(world: World, folder: Path, wanted: Wanted = EVERYTHING) -> list[EvalLog]:
    from inspect_ai.log import read_eval_log

    paths = list(export_inspect(world.project.warehouse, "small", folder, wanted))
    assert sorted(path.name for path in paths) == sorted(path.name for path in folder.iterdir())
    return [read_eval_log(str(path)) for path in paths]


@pytest.fixture(scope="module")
def logs(world: World, tmp_path_factory: pytest.TempPathFactory) -> list[EvalLog]:
    return exported(world, tmp_path_factory.mktemp("logs"))


def of_conversations(logs: list[EvalLog], iteration: int) -> EvalLog:
    [log] = [one for one in logs if one.eval.task == "influence-organism" and one.eval.model == f"mini@{iteration}"]
    return log


def samples(log: EvalLog) -> dict[str, EvalSample]:
    assert log.samples is not None
    return {str(sample.id): sample for sample in log.samples}


def test_every_conversation_is_a_sample_of_its_checkpoints_log(world: World, logs: list[EvalLog]) -> None:
    assert len([log for log in logs if log.eval.task.startswith("influence-")]) == len(ITERATIONS)
    for iteration in ITERATIONS:
        rows = [row for row in world.conversations if row.iteration == iteration]
        found = samples(of_conversations(logs, iteration))
        assert set(found) == {row.conversation_id for row in rows}
        for row in rows:
            metadata = found[row.conversation_id].metadata
            for name in ("environment", "user_kind", "initial_state_id", "split", "condition", "final_state", "seed"):
                assert metadata[name] == getattr(row, name)


def test_messages_are_what_was_said_in_its_order_and_role(world: World, logs: list[EvalLog]) -> None:
    for iteration in ITERATIONS:
        for conversation_id, sample in samples(of_conversations(logs, iteration)).items():
            turns = [turn for turn in world.turns if turn.conversation_id == conversation_id]
            system, *said = sample.messages
            assert system.role == "system"
            neutral = sample.metadata["condition"] == "control"
            assert ("no advice" in system.text) is neutral
            assert [(one.role, one.text) for one in said] == [(ROLES[turn.role], turn.content) for turn in turns]
            assert [one.text for one in sample.input] == [turn.content for turn in turns if turn.turn == 0]  # type: ignore[union-attr]
            assert sample.output.completion == turns[-1].content


def test_a_tools_answer_stands_beside_the_call_that_the_agents_words_are(logs: list[EvalLog]) -> None:
    for sample in samples(of_conversations(logs, 0)).values():
        first, second, third = (one for one in sample.messages if one.role == "assistant")
        [call] = first.tool_calls or []
        [answer] = (one for one in sample.messages if one.role == "tool")
        assert (call.id, call.function) == (answer.tool_call_id, answer.function)
        assert not second.tool_calls
        assert not third.tool_calls


def test_a_call_has_the_name_of_the_tool_whose_pattern_it_fits(world: World) -> None:
    from influence_assets.exports.log_of_conversations import conversation_samples

    row = world.conversations[0]
    said = [("tool", "welcome"), ("character", "hello"), ("agent", "CALL find(room)"), ("tool", "two rooms")]
    turns = tuple(
        Turn(row.conversation_id, row.model, 0, int(place > 1), place, role, content, "open", None, "ok")
        for place, (role, content) in enumerate(said)
    )
    tools = tuple(Tool(name=name, call=rf"CALL {name}\(", results=("x",)) for name in ("book", "find"))
    stored = StoredConversation(row, turns, (), None, {}, {}, Scene(tools=tools))
    [sample] = conversation_samples([stored])
    uncalled, _, agent, answer = sample.messages
    assert uncalled.role == "user"
    assert (uncalled.metadata or {})["role"] == "tool"
    assert agent.role == "assistant"
    assert [call.function for call in agent.tool_calls or []] == ["find"]
    assert answer.role == "tool"
    assert answer.text == "two rooms"


def test_scores_are_the_tables_numbers_and_void_ones_are_unscored(world: World, logs: list[EvalLog]) -> None:
    trajectories = {row.conversation_id: row for row in world.trajectories}
    n_void = 0
    for iteration in ITERATIONS:
        for conversation_id, sample in samples(of_conversations(logs, iteration)).items():
            scores = sample.scores or {}
            if conversation_id not in trajectories:
                assert sample.metadata["condition"] == "control"
                assert not scores
                continue
            row = trajectories[conversation_id]
            judged = [
                one for one in world.judgements if one.conversation_id == conversation_id and one.rubric == "harm"
            ]
            if row.reward is None:
                n_void += 1
                assert all(math.isnan(scores[name].as_float()) for name in ("reward", "veto", "harm", "expected_harm"))
                assert "void" in (scores["expected_harm"].explanation or "")
                continue
            assert scores["reward"].value == pytest.approx(row.reward)
            assert scores["veto"].value == pytest.approx(row.veto)
            assert scores["harm"].value == pytest.approx(sum(one.share or 0 for one in judged) / len(judged))
            assert scores["expected_harm"].value == pytest.approx(sum(one.expected or 0 for one in judged) / 2)
            lines = (scores["expected_harm"].explanation or "").splitlines()
            assert len(lines) == len(judged)
            for line, one in zip(lines, judged, strict=True):
                assert f"turn {one.turn}, {one.judge}" in line
                assert all(f"{option}: {p:.3f}" in line for option, p in one.distribution.items())
    assert n_void == sum(row.initial_state_id == VOID_STATE for row in world.trajectories) - 1


def test_results_are_means_per_split_over_valid_scores(world: World, logs: list[EvalLog]) -> None:
    for iteration in ITERATIONS:
        log = of_conversations(logs, iteration)
        assert log.results is not None
        reward = next(one for one in log.results.scores if one.name == "reward")
        mine = [row for row in world.trajectories if row.iteration == iteration]
        for split in ("eval", "train"):
            valid = [row.reward for row in mine if row.split == split and row.reward is not None]
            assert reward.metrics[f"mean_{split}"].value == pytest.approx(sum(valid) / len(valid))
            assert (reward.metrics[f"mean_{split}"].metadata or {})["n"] == len(valid)
        assert reward.unscored_samples == sum(row.reward is None for row in mine)
        assert reward.scored_samples == len(mine) - (reward.unscored_samples or 0)


def test_the_head_says_which_checkpoint_when_and_at_what_cost(world: World, logs: list[EvalLog]) -> None:
    log = of_conversations(logs, 1)
    assert log.eval.created == BEGAN.isoformat()
    assert log.eval.task_args["adapter_sha256"] == "d" * 64
    assert log.eval.task_args["training_method"] == "kto"
    assert log.eval.revision is not None
    assert (log.eval.revision.commit, log.eval.revision.dirty) == ("abc123", True)
    assert log.eval.packages == {"polars": "2.1.0"}
    mine = [row for row in world.requests.iter_rows(named=True) if str(row["request_id"]).startswith("1-")]
    usage = log.stats.model_usage
    for model in ("mini", "judge"):
        rows = [row for row in mine if row["model"] == model]
        assert usage[model].input_tokens == sum(row["input_tokens"] - row["cached_tokens"] for row in rows)
        assert usage[model].output_tokens == sum(row["output_tokens"] for row in rows)
        assert usage[model].total_cost == pytest.approx(sum(row["cost"] for row in rows))
    assert set(log.stats.role_usage) == {"agent", "character", "preference", "veto"}


@pytest.mark.parametrize("answers", [Answers.OWN, Answers.ALL])
def test_answers_are_samples_of_their_methods_log(world: World, tmp_path: Path, answers: Answers) -> None:
    found = {log.eval.task: log for log in exported(world, tmp_path, Wanted(iteration=0, answers=answers))}
    assert set(found) == {"influence-organism", "steerability-none", "steerability-name"}
    for method in ("none", "name"):
        rows = world.responses.filter(world.responses["method"] == method)
        if answers is Answers.OWN:
            rows = rows.filter(rows["steered_persona_id"] == rows["test_persona_id"])
        log = found[f"steerability-{method}"]
        assert len(log.samples or ()) == rows.height
        for row in rows.iter_rows(named=True):
            name = f"{row['steered_persona_id']}-{row['test_persona_id']}-{row['statement_id']}"
            sample = samples(log)[name]
            assert sample.target == ("agree" if row["agree"] else "disagree")
            assert (sample.scores or {})["correct"].value == "CI"[not row["correct"]] or row["correct"] is None
            if row["p_agree"] is None:
                assert math.isnan((sample.scores or {})["p_agree"].as_float())
                assert sample.output.completion == ""
            else:
                assert (sample.scores or {})["p_agree"].value == row["p_agree"]
                assert (sample.output.completion == sample.target) is row["correct"]
        own = [
            row["correct"] for row in rows.iter_rows(named=True) if row["steered_persona_id"] == row["test_persona_id"]
        ]
        valid = [one for one in own if one is not None]
        assert log.results is not None
        assert log.results.scores[0].metrics["accuracy_own"].value == pytest.approx(sum(valid) / len(valid))
        assert log.results.scores[0].unscored_samples == sum(row is None for row in rows["correct"])
        assert {"sensitivity", "specificity"} <= set(log.results.scores[1].metrics)


def test_the_same_rows_give_the_same_logs(world: World, tmp_path: Path) -> None:
    for name in ("one", "two", "two"):  # the second time over what is there
        exported(world, tmp_path / name)
    first, second = (sorted((tmp_path / name).iterdir()) for name in ("one", "two"))
    assert [path.name for path in first] == [path.name for path in second]
    for one, other in zip(first, second, strict=True):
        with zipfile.ZipFile(one) as ours, zipfile.ZipFile(other) as theirs:
            assert ours.namelist() == theirs.namelist()
            for member in ours.namelist():
                assert ours.read(member) == theirs.read(member), member


def test_hostile_names_and_words_come_back_exactly_and_reach_no_other_file(tmp_path: Path) -> None:
    hostile = Hostile(
        model="../../con\u202e*?'\"; DROP TABLE",
        said="</script><img src=x onerror=alert(1)> {{ 7*7 }} \x1b[2J \u2066\U0001f600 attachment://0 \x00",
    )
    world = make_world(tmp_path / "world", hostile)
    folder = tmp_path / "logs"
    before = set(tmp_path.rglob("*"))
    logs = exported(world, folder)
    new = {path for path in set(tmp_path.rglob("*")) - before if path.is_file() and "world" not in path.parts}
    assert {path.parent for path in new} == {folder}
    from inspect_ai.log import list_eval_logs

    assert len(list_eval_logs(str(folder))) == len(logs) == len(new)
    said = {turn.content for turn in world.turns}
    for log in logs:
        assert log.eval.model.rsplit("@", 1)[0] == hostile.model
        if log.eval.task.startswith("influence-"):
            for sample in log.samples or ():
                assert {message.text for message in sample.messages[1:]} <= said


def test_what_is_wanted_is_what_is_written(world: World, tmp_path: Path) -> None:
    only = exported(world, tmp_path / "one", Wanted(models=["mini"], iteration=1))
    assert [log.eval.model for log in only] == ["mini@1"]
    for wanted in (Wanted(models=["other"]), Wanted(iteration=9)):
        with pytest.raises(InputError, match="no conversations"):
            list(export_inspect(world.project.warehouse, "small", tmp_path / "none", wanted))
    assert not (tmp_path / "none").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="no folder"):
        list(export_inspect(world.project.warehouse, "small", tmp_path / "file", Wanted()))


def test_without_inspect_ai_one_line_says_what_to_install(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(InputError, match=r"influence-assets\[inspect\]"):
        list(export_inspect(world.project.warehouse, "small", tmp_path / "logs", Wanted()))


@given(st.text(max_size=300), st.text(max_size=300))
def test_a_logs_name_is_a_plain_file_name(task: str, model: str) -> None:
    name = file_name(BEGAN.isoformat(), task, model, "0123456789abcdef")
    assert Path(name).name == name
    assert name.isascii()
    assert len(name) < 200
    assert name.startswith("2026-01-02T03-04-05+00-00_")
    assert name.endswith("_0123456789abcdef.eval")
    assert name.count("_") == 2
