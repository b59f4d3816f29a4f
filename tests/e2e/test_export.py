"""`influence export` as a person uses it, after the demo on the embedded organism."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

import duckdb
import pytest

from tests.projects import run_in


def test_a_study_leaves_as_a_page_as_logs_and_as_tables(demonstrated: Path, tmp_path: Path) -> None:
    influence = functools.partial(run_in, demonstrated)

    report = tmp_path / "report.html"
    assert influence("export", "report", str(report)).stdout.strip() == str(report)
    page = report.read_text(encoding="utf-8")
    with duckdb.connect(str(demonstrated / "data" / "influence.duckdb"), read_only=True) as connection:
        asked, held = (
            connection.execute(query).fetchone()[0]
            for query in (
                "SELECT count(*) FROM ledger.requests",
                "SELECT count(*) FROM influence.conversations WHERE model = 'organism'",
            )
        )
    assert f"<b>{asked:,}</b>" in page
    assert "organism judges itself" in page, "the check that Dagster recorded as not passed"
    assert "first-look" in page

    influence("export", "csv", str(tmp_path / "tables"), "influence.turns")
    assert [path.name for path in (tmp_path / "tables").iterdir()] == ["influence.turns.csv"]

    unknown = influence("export", "inspect", str(tmp_path / "logs"), "--model", "nobody", check=False)
    assert unknown.returncode == 2
    assert "nobody" in unknown.stderr
    if importlib.util.find_spec("inspect_ai") is None:
        pytest.skip("inspect-ai is not installed: pip install 'influence-assets[inspect]'")
    from inspect_ai.log import read_eval_log

    logs = [read_eval_log(path) for path in influence("export", "inspect", str(tmp_path / "logs")).stdout.split()]
    assert {log.eval.model for log in logs} == {"organism@0"}
    conversations, *steered = sorted(logs, key=lambda log: log.eval.task)
    assert conversations.eval.task.startswith("influence")
    assert len(conversations.samples or ()) == held > 0
    assert [log.eval.task.split("-")[1] for log in steered] == ["description", "examples", "none"]
