"""The command `influence` as a person uses it, in a project folder of its own, on the embedded organism."""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path

import dagster as dg
import duckdb
import pytest
import yaml

from tests.projects import run_in


def edit_study(project: Path, **settings: object) -> None:
    path = project / "data" / "study.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | settings))


def logged(project: Path) -> list[str]:
    """What Dagster's records say of all runs."""
    with dg.DagsterInstance.from_config(str(project / ".dagster")) as instance:
        return [entry.user_message for run in instance.get_runs() for entry in instance.all_logs(run.run_id)]


def test_demo_then_everything_else(demonstrated: Path, tmp_path: Path) -> None:
    """One long test, since the runs are the dear part: each step stands on the one before."""
    materialized = Path(shutil.copytree(demonstrated, tmp_path / "moved"))
    influence = functools.partial(run_in, materialized)
    catalogue = influence("db", "publish").stdout.strip()
    assert catalogue == str(materialized / "data" / "influence.duckdb")

    with duckdb.connect(catalogue, read_only=True) as connection:
        fresh, cached = connection.execute(
            "SELECT count(*) FILTER (WHERE NOT cached), count(*) FILTER (WHERE cached) FROM ledger.requests"
        ).fetchone()
        assert fresh > 500
        assert cached < fresh
        joined = connection.execute(
            """SELECT count(*), count(*) FILTER (WHERE status <> 'ok'), avg(mass)
               FROM steerability.responses r JOIN personas.statements s USING (statement_id)"""
        ).fetchone()
        answers = connection.execute("SELECT count(*) FROM steerability.responses").fetchone()[0]
        assert joined[0] == answers > 0
        assert joined[1] / joined[0] < 0.02
        orphans = connection.execute(
            """SELECT count(*) FROM (SELECT unnest(request_ids) AS request_id FROM steerability.responses)
               WHERE request_id NOT IN (SELECT request_id FROM ledger.requests)"""
        ).fetchone()[0]
        assert orphans == 0
        versions = connection.execute("SELECT DISTINCT run_id, code_version FROM steerability.responses").fetchall()
        assert len(versions) == 1
        assert all(versions[0])

    again = influence("demo")
    assert "No model was asked" in again.stderr
    assert not any("steps at once" in line for line in logged(materialized)), "nothing to compute: no processes for it"

    estimate = influence("estimate", "persona_responses")
    assert "organism" in estimate.stderr
    shown = influence("sql", "SELECT count(*) AS n FROM steerability.matrix")
    assert "n" in shown.stdout
    assert influence("sql", "COPY personas.personas TO 'stolen.csv'", check=False).returncode == 2
    assert not list(materialized.rglob("stolen.csv"))

    influence("db", "export", str(materialized / "all.duckdb"))
    with duckdb.connect(str(materialized / "all.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM steerability.responses").fetchone()[0] == answers

    # Another size of the steering set asks only what is new, and personas are not touched.
    settings = yaml.safe_load((materialized / "data" / "study.yaml").read_text())["steerability"]
    edit_study(materialized, steerability=settings | {"methods": ["none", "description"]})
    fewer = influence("run", 'group:"steerability"')
    assert "done" in fewer.stderr
    with duckdb.connect(catalogue, read_only=True) as connection:
        reused = dict(
            connection.execute(
                """SELECT asset, bool_and(reused) FROM ledger.materializations
                   WHERE run_id IN (SELECT run_id FROM ledger.materializations ORDER BY started_at DESC LIMIT 7)
                   GROUP BY asset"""
            ).fetchall()
        )
        assert reused["persona_responses"] is False
        methods = connection.execute("SELECT DISTINCT method FROM steerability.matrix ORDER BY 1").fetchall()
        assert [name for (name,) in methods] == ["always_agree", "bag_of_words", "coin", "description", "none"]
        asked = connection.execute(
            "SELECT count(*) FROM ledger.requests WHERE NOT cached AND run_id = (SELECT run_id FROM"
            " ledger.materializations WHERE asset = 'persona_responses' ORDER BY started_at DESC LIMIT 1)"
        ).fetchone()[0]
        assert asked == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "no_such_asset"), ("SELECTION", "no_such_asset", "persona_responses")),
        (("run", "--model", "nobody"), ("nobody", "organism")),
        (("import", "steerability-eval", "missing.csv", "missing.csv"), ("missing.csv",)),
    ],
)
def test_bad_input_is_one_line_and_exit_2(influence, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    done = influence(*arguments, check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize(
    ("file", "before", "after", "words"),
    [
        ("models.yaml", "provider: local", "provider: lokal", ("models.yaml:", "models[0].provider", "lokal")),
        ("models.yaml", "dtype: float64", "dtipe: float32", ("models.yaml:", "dtipe", "not a known field")),
        ("study.yaml", "seed: 0", "seed: minus", ("study.yaml:", "seed", "minus")),
        ("study.yaml", "name: first-look", "name: a\nname: b", ("study.yaml:", "name", "twice")),
    ],
)
def test_bad_files_name_file_line_field_and_fix(
    project: Path, influence, file: str, before: str, after: str, words: tuple[str, ...]
) -> None:
    path = project / "data" / file
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    done = influence("doctor", check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_doctor_finds_what_is_missing(project: Path, influence) -> None:
    assert influence("doctor").returncode == 0
    models = project / "data" / "models.yaml"
    models.write_text(models.read_text() + "\n  - {name: far, provider: openai, model: m, api_key_env: FAR_KEY}\n")
    done = influence("doctor", check=False)
    assert done.returncode == 2
    assert "FAR_KEY" in done.stderr


def test_a_missing_upstream_is_said_plainly(influence) -> None:
    done = influence("run", "steerability_matrix", check=False)
    assert done.returncode == 2, done.stderr
    assert "has not been materialized yet" in " ".join(done.stderr.split())


def test_rows_are_json_clean(demonstrated: Path) -> None:
    """Pointers are one line of JSON each, and name files that are there."""
    pointers = list((demonstrated / "data" / "warehouse" / "pointers").rglob("*.json"))
    assert len(pointers) > 10
    for pointer in pointers:
        text = pointer.read_text()
        assert text.count("\n") <= 1
        landed = json.loads(text)
        assert landed["data_version"]
