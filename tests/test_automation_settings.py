"""What the study says of the automation, what the sensor reports, and what runs at night."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from influence_assets.definitions import defs
from influence_assets.partitions import MODELS, PROJECT
from influence_assets.project import Project, ProjectResource
from influence_assets.recipes import RECIPES
from influence_assets.sources import observations, observed_versions, source_of, sources
from influence_assets.study import AutomationSettings, load_study
from influence_assets.watching import edited_files, observe_now
from resources.errors import InputError


@pytest.fixture
def copied(tmp_path: Path) -> Project:
    """The files that people edit, and nothing else."""
    for name in ("frameworks", "environments", "judges"):
        shutil.copytree(PROJECT.data / name, tmp_path / "data" / name)
    shutil.copytree(PROJECT.data / "organism", tmp_path / "data" / "organism")
    for name in ("models.yaml", "study.yaml"):
        shutil.copyfile(PROJECT.data / name, tmp_path / "data" / name)
    return Project(tmp_path)


def study_with(tmp_path: Path, line: str) -> AutomationSettings:
    text = (PROJECT.data / "study.yaml").read_text()
    assert "\nautomation: false " in text
    path = tmp_path / "study.yaml"
    path.write_text(re.sub(r"automation: false .*\n", line, text))
    return load_study(path).automation


@pytest.mark.parametrize(
    ("line", "costly", "nightly"),
    [
        ("automation: false\n", False, "0 2 * * *"),
        ("automation: true\n", True, "0 2 * * *"),
        ("", False, "0 2 * * *"),
        ("automation: {costly: true, nightly: '30 4 * * 1-5'}\n", True, "30 4 * * 1-5"),
    ],
)
def test_one_word_or_a_block(tmp_path: Path, line: str, costly: bool, nightly: str) -> None:
    settings = study_with(tmp_path, line)
    assert (settings.costly, settings.nightly) == (costly, nightly)


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("automation: {costly: perhaps}\n", "automation.costly"),
        ("automation: {nightly: every night}\n", "automation.nightly"),
        ("automation: {timezone: Mars}\n", "automation.timezone"),
        ("automation: sometimes\n", "automation"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, line: str, field: str) -> None:
    with pytest.raises(InputError, match=field):
        study_with(tmp_path, line)


def test_only_what_asks_no_model_reruns_by_itself() -> None:
    graph = defs.resolve_asset_graph()
    for key, recipe in RECIPES.items():
        assert (graph.get(key).automation_condition is not None) == (recipe.asks is None), key


def edits(project: Project) -> dict[str, tuple[str, str]]:
    """An edit of each kind: what is appended to, and which source and partition must be seen to change."""
    data = project.data
    return {
        str(data / "environments/therapy_talk/therapy_talk_ordinary.yaml"): ("environment_files", "therapy_talk"),
        str(data / "environments/organism/organism_work_ordinary.states.jsonl"): ("environment_files", "organism"),
        str(data / "frameworks/tarot.yaml"): ("framework_files", "tarot"),
        str(data / "judges/harm.yaml"): ("judges", ""),
        str(data / "organism/config.json"): ("models", "organism"),
    }


def test_each_edit_changes_one_hash(copied: Project) -> None:
    before = observed_versions(copied)
    assert observations(before, before) == []
    for path, (source, partition) in edits(copied).items():
        with Path(path).open("a") as file:
            file.write("\n")
        after = observed_versions(copied)
        (event,) = observations(after, before)
        assert (event.asset_key.path, event.partition or "") == (["sources", source], partition)
        before = after


def test_what_only_sets_the_pace_changes_nothing(copied: Project) -> None:
    before = observed_versions(copied)
    path = copied.data / "models.yaml"
    text = path.read_text()
    path.write_text(text.replace("    trainable: true\n", "    trainable: true\n    max_concurrency: 3\n"))
    assert observed_versions(Project(copied.root)) == before
    path.write_text(text.replace("    trainable: true\n", "    trainable: {epochs: 2}\n"))
    (event,) = observations(observed_versions(Project(copied.root)), before)
    assert (event.asset_key.path[-1], event.partition) == ("training_settings", "organism")


def test_files_belong_to_a_source(copied: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("influence_assets.sources._folders", {})
    monkeypatch.setattr("influence_assets.sources._other_files", set())
    data = copied.data
    found = [
        source_of(path, copied)
        for path in (
            data / "environments" / "shop" / "family.yaml",
            data / "frameworks" / "mbti.yaml",
            data / "judges" / "harm.yaml",
            data / "imports" / "items" / "some.yaml",
            copied.root / "probes.yaml",
        )
    ]
    assert [(source.name, partition) for source, partition in found] == [
        ("environment_files", "shop"),
        ("framework_files", "mbti"),
        ("judges", ""),
        ("imports", ""),
        ("other_files", ""),
    ]


def test_the_sensor_reports_what_changed_and_remembers(copied: Project) -> None:
    def look(cursor: str | None) -> dg.SensorResult:
        resources = {"project": ProjectResource(root=str(copied.root))}
        with dg.DagsterInstance.ephemeral() as instance:
            found = edited_files(dg.build_sensor_context(instance, cursor=cursor, resources=resources))
        assert isinstance(found, dg.SensorResult)
        return found

    first = look(None)
    assert len(first.asset_events) == sum(len(versions) for versions in json.loads(str(first.cursor)).values())
    assert look(first.cursor).asset_events == []
    (copied.data / "judges" / "harm.yaml").write_text("about: else\n")
    second = look(first.cursor)
    assert [event.asset_key.path[-1] for event in second.asset_events] == ["judges"]


def test_the_command_line_reports_only_what_is_new(copied: Project) -> None:
    def heard(instance: dg.DagsterInstance) -> int:
        return sum(len(instance.fetch_observations(source.key, 1000).records) for source in sources())

    with dg.DagsterInstance.ephemeral() as instance:
        observe_now(instance, copied)
        every = heard(instance)
        observe_now(instance, copied)
        assert heard(instance) == every
        (copied.data / "judges" / "harm.yaml").write_text("about: else\n")
        observe_now(instance, copied)
        assert heard(instance) == every + 1


@pytest.mark.parametrize(("name", "partition"), [("judges", None), ("framework_files", "mbti")])
def test_a_source_can_be_observed_by_hand(name: str, partition: str | None) -> None:
    key = dg.AssetKey(["sources", name])
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        job = defs.resolve_implicit_global_asset_job_def()
        done = job.execute_in_process(
            run_config=quiet, instance=instance, asset_selection=[key], partition_key=partition
        )
        seen = [record.asset_observation for record in instance.fetch_observations(key, 100).records]
    assert done.success
    assert {one.partition for one in seen if one} >= {partition}
    assert all(one and one.tags["dagster/data_version"] for one in seen)


@pytest.mark.parametrize("asks_for_it", [True, False])
def test_scheduled_models_run_at_night(copied: Project, asks_for_it: bool) -> None:
    path = copied.data / "models.yaml"
    if asks_for_it:
        path.write_text(path.read_text().replace("    trainable: true\n", "    trainable: true\n    schedule: true\n"))
    repository = defs.get_repository_def()
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=datetime(2026, 5, 1, 2, tzinfo=UTC),
            resources={"project": ProjectResource(root=str(copied.root))},
            repository_def=repository,
        )
        found = repository.get_schedule_def("nightly").evaluate_tick(context)
    requests = found.run_requests or []
    assert [request.partition_key for request in requests] == (["organism"] if asks_for_it else [])
    assert (found.skip_message is not None) == (not asks_for_it)
    made = {key for key, recipe in RECIPES.items() if recipe.partitions is MODELS}
    assert repository.get_job("every_model").asset_layer.selected_asset_keys == made
