"""A study's rows move with `storage` in its file: everything is brought over, and no run writes where nobody looks."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from influence_assets.homes import open_warehouse
from influence_assets.influence.tables import CHECKPOINTS
from influence_assets.machines import StorageSettings
from influence_assets.study import load_study
from resources.errors import InfluenceError, InputError
from resources.warehouse import Provenance, Warehouse
from tests.projects import CHECKOUT
from tests.servers.postgres import Postgres

URL = "INFLUENCE_TEST_CATALOGUE"
FILES = StorageSettings()
LAKE = StorageSettings(kind="ducklake", catalogue_env=URL)


@pytest.fixture
def root(tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(URL, postgres.database())
    return tmp_path


def land(warehouse: Warehouse, model: str, run: str) -> str:
    nothing: dict[str, object] = dict.fromkeys(column.name for column in CHECKPOINTS.columns)
    row = nothing | {"model": model, "iteration": 0, "method": "none"}
    where = Provenance(run, "code", "inputs", datetime.now(UTC))
    frame = warehouse.frame(CHECKPOINTS, [row])
    return warehouse.write(CHECKPOINTS, {"model": model, "iteration": "0"}, frame, where).data_version


def runs(warehouse: Warehouse) -> list[tuple[str, str]]:
    return warehouse.query("SELECT model, run_id FROM influence.checkpoints ORDER BY model").rows()


def test_rows_follow_the_study_and_come_back(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    first = open_warehouse(root, FILES)
    version = land(first, "a", "run-1")
    land(first, "b", "run-1")
    lake = open_warehouse(root, LAKE)
    assert runs(lake) == [("a", "run-1"), ("b", "run-1")]
    assert "2 partitions of 1 tables brought over from files to DuckLake (data/lake)" in caplog.text
    caplog.clear()
    assert runs(open_warehouse(root, LAKE)) == runs(lake)
    assert caplog.text == ""
    assert land(lake, "a", "run-2") == version
    land(lake, "c", "run-2")
    back = open_warehouse(root, FILES)
    assert "2 partitions of 1 tables brought over from DuckLake (data/lake) to files" in caplog.text
    assert runs(back) == [("a", "run-2"), ("b", "run-1"), ("c", "run-2")]
    pointer = back.pointer(CHECKPOINTS, {"model": "a", "iteration": "0"})
    assert pointer is not None
    assert pointer.data_version == version
    secrets = [path for path in root.rglob("*") if path.is_file() and b"canary" in path.read_bytes()]
    assert secrets == []


def test_a_run_with_the_old_settings_is_stopped_before_it_lands(root: Path) -> None:
    old = open_warehouse(root, FILES)
    land(old, "a", "run-1")
    open_warehouse(root, LAKE)
    with pytest.raises(InfluenceError, match=r"storage has become DuckLake \(data/lake\).*start it again"):
        land(old, "a", "run-2")
    assert runs(open_warehouse(root, LAKE)) == [("a", "run-1")]


def test_a_home_that_cannot_be_reached_loses_nothing_silently(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    land(open_warehouse(root, LAKE), "a", "run-1")
    with monkeypatch.context() as patch:
        patch.setenv(URL, "postgresql://me:canary-2@127.0.0.1:9/none")
        with pytest.raises(InputError, match=r"rows could not be brought over.*home.json") as caught:
            open_warehouse(root, FILES)
        assert "canary" not in str(caught.value)
    assert runs(open_warehouse(root, FILES)) == [("a", "run-1")]


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ({"kind": "ducklake"}, "needs either catalogue"),
        ({"kind": "ducklake", "catalogue": "host=db", "catalogue_env": "X"}, "needs either catalogue"),
        ({"kind": "ducklake", "catalogue": "host=db password=x"}, "holds a password"),
        ({"kind": "ducklake", "catalogue": "postgresql://me:x@db/lake"}, "holds a password"),
        ({"catalogue": "host=db"}, "belong to kind: ducklake"),
        ("sqlite", "storage"),
    ],
)
def test_settings_that_do_not_fit_are_named(tmp_path: Path, storage: object, message: str) -> None:
    study = yaml.safe_load((CHECKOUT / "data/study.yaml").read_text()) | {"storage": storage}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study))
    with pytest.raises(InputError, match=message):
        load_study(path)


def test_one_word_is_enough(tmp_path: Path) -> None:
    study = yaml.safe_load((CHECKOUT / "data/study.yaml").read_text())
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study | {"storage": "files", "records": "postgres", "executor": "ray"}))
    found = load_study(path)
    assert (found.storage.kind, found.records.kind, found.executor.kind) == ("files", "postgres", "ray")


def test_a_variable_that_is_not_set_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URL, raising=False)
    with pytest.raises(InputError, match=rf"storage.catalogue_env: the environment has no such variable.*{URL}"):
        open_warehouse(tmp_path, LAKE)
