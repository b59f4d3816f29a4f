"""Dagster's records in a Postgres: a run, a kill in the middle, a rerun; and back to files, by the study alone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pytest
import yaml

from influence_assets.machines import RecordsSettings
from influence_assets.records import BEGIN, follow, reached
from resources.errors import InputError
from tests import forked
from tests.e2e.influence_projects import CHECKOUT, ORGANISM, build, influence, rows, write_yaml
from tests.projects import environment
from tests.servers.postgres import Postgres

MODELS = [f"m{number}" for number in range(3)]
URL = "INFLUENCE_TEST_RECORDS"
TEMPLATE = CHECKOUT / "influence_assets" / "dagster.yaml"
POSTGRES = RecordsSettings(kind="postgres", url_env=URL)


@pytest.fixture
def keys(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Mapping[str, str]:
    url = postgres.database().replace("postgresql://", "postgresql+psycopg2://")
    monkeypatch.setenv(URL, url)
    return {URL: url}


def with_records(project: Path, records: object) -> None:
    study = yaml.safe_load((project / "data" / "study.yaml").read_text())
    write_yaml(project / "data" / "study.yaml", study | {"records": records})


def statuses(project: Path) -> list[tuple[str, str]]:
    """Partition and status of every run that Dagster knows of, oldest first."""
    with dg.DagsterInstance.from_config(str(project / ".dagster")) as instance:
        found = reversed(instance.get_runs())
        return [(run.tags["dagster/partition"], run.status.value) for run in found]


def test_a_killed_run_is_in_the_records_and_the_rerun_goes_on(tmp_path: Path, keys: Mapping[str, str]) -> None:
    project = build(tmp_path, dict.fromkeys(MODELS, ORGANISM), {"iterations": 0})
    with_records(project, {"kind": "postgres", "url_env": URL})
    landed = project / "data" / "warehouse" / "pointers" / "influence.checkpoints"
    run = forked.started(
        ("run", "checkpoint_0"), cwd=project, env=environment(project) | keys, log=tmp_path / "run.log"
    )
    with run as process:
        end = time.monotonic() + 120
        while not list(landed.glob("*.json")):
            assert process.is_alive()
            assert time.monotonic() < end
            time.sleep(0.01)
        process.kill()
        process.join(30)
    before = statuses(project)
    assert before[0][0] == "m0"
    assert ("m2", "SUCCESS") not in before
    influence(project, "run", "checkpoint_0", keys=keys)
    assert statuses(project)[len(before) :] == [(model, "SUCCESS") for model in MODELS]
    assert [model for (model,) in rows(project, "SELECT model FROM checkpoints ORDER BY 1")] == MODELS
    assert not list((project / ".dagster").rglob("*.db")), "nothing is recorded in files"
    secret = keys[URL].encode()
    assert [path for path in project.rglob("*") if path.is_file() and secret in path.read_bytes()] == []

    with_records(project, "sqlite")
    influence(project, "run", "checkpoint_0", keys=keys)
    assert statuses(project) == [(model, "SUCCESS") for model in MODELS]
    assert (project / ".dagster" / "dagster.yaml").read_text() == TEMPLATE.read_text()


def test_what_a_person_wrote_in_dagsters_settings_stays(tmp_path: Path, keys: Mapping[str, str]) -> None:
    settings = tmp_path / "dagster.yaml"
    own = TEMPLATE.read_text() + "# mine\nschedules: {use_threads: true}"
    settings.write_text(own)
    follow(settings, POSTGRES)
    follow(settings, POSTGRES)
    text = settings.read_text()
    assert text.startswith(own)
    assert text.count(BEGIN) == 1
    assert keys[URL] not in text
    assert yaml.safe_load(text)["storage"] == {"postgres": {"postgres_url": {"env": URL}}}
    follow(settings, RecordsSettings())
    assert settings.read_text() == own + "\n"
    settings.write_text(own + "\nstorage: {sqlite: {base_dir: /x}}\n")
    with pytest.raises(InputError, match=r"storage: says itself where records are kept; remove it there"):
        follow(settings, POSTGRES)


def test_a_url_that_does_not_do_is_one_line(
    tmp_path: Path, keys: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "dagster.yaml"
    settings.touch()
    assert reached(POSTGRES).startswith("version ")
    monkeypatch.setenv(URL, keys[URL].replace("+psycopg2", ""))
    with pytest.raises(InputError, match=r"must hold a URL that begins with postgresql\+psycopg2://") as caught:
        follow(settings, POSTGRES)
    assert "canary" not in str(caught.value)
    monkeypatch.setenv(URL, "postgresql+psycopg2://me:canary-3@127.0.0.1:9/none")
    with pytest.raises(InputError, match="Postgres does not answer") as caught:
        reached(POSTGRES)
    assert "canary" not in str(caught.value)
    monkeypatch.delenv(URL)
    with pytest.raises(InputError, match=rf"records.url_env: the environment has no such variable \(got '{URL}'\)"):
        follow(settings, POSTGRES)
