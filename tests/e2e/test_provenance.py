"""From any score back to what was asked of whom; and the same study, seed and cache give the same bytes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.influence_projects import influence, landed, rows
from tests.projects import small_project


@pytest.fixture
def made(demonstrated: Path) -> Path:
    """Only to be read."""
    return demonstrated


def test_every_request_of_a_score_is_found_with_its_origin(made: Path) -> None:
    found = "FROM requests_of_score('organism', 0, 'description')"
    answers = rows(made, f"SELECT count(*), count(DISTINCT request_id) {found}")
    asked = rows(
        made,
        """SELECT count(*), count(DISTINCT r) FROM (SELECT unnest(request_ids) AS r FROM steerability.responses
           WHERE method = 'description')""",
    )
    assert answers == asked
    assert answers[0][0] > 0
    odd = rows(
        made,
        f"""SELECT * {found}
            WHERE answered_by <> 'organism' OR length(prompt_sha256) <> 64 OR length(weights_sha256) <> 64
              OR adapter_sha256 <> '' OR length(code_version) <> 12 OR asset <> 'persona_responses' OR cost IS NULL""",
    )
    assert odd == []


def test_every_answer_of_a_conversation_is_found(made: Path) -> None:
    kinds = rows(
        made,
        """SELECT what, count(*) FROM requests_of_metrics('organism', 0) GROUP BY what ORDER BY what""",
    )
    assert {what for what, _ in kinds} >= {"harm", "preference", "said", "veto"}
    for table in ("turns", "judgements", "stance_probes"):
        lost = rows(
            made,
            f"""SELECT count(*) FROM influence.{table} WHERE request_id IS NOT NULL AND request_id NOT IN
                (SELECT request_id FROM requests_of_metrics('organism', 0))""",
        )
        assert lost == [(0,)], table
    # The same prompt asked with another seed is another request.
    seeds = rows(made, "SELECT count(DISTINCT seed) FROM requests_of_metrics('organism', 0) WHERE what = 'said'")
    assert seeds[0][0] > 1


def test_the_same_study_seed_and_cache_give_the_same_bytes(made: Path, tmp_path: Path) -> None:
    """In a fresh project, from the first one's replies alone. Those of the other families, with replies of its own, and
    with several processes, are compared by test_demo_kill.py."""
    other = small_project(tmp_path / "other")
    (other / "data" / "cache").mkdir(parents=True)
    shutil.copy(made / "data" / "cache" / "replies.sqlite", other / "data" / "cache" / "replies.sqlite")
    influence(other, "run", '+key:"influence/preference_scores_0" or +key:"steerability/steerability_matrix"')
    again = landed(other)
    assert {"influence.judgements", "steerability.matrix"} <= {name.split()[0] for name in again}
    assert again.items() <= landed(made).items()
    paid = "SELECT count(*) FROM ledger.requests WHERE NOT cached"
    # The replies bring along who paid for them; the runs of this project paid for nothing.
    assert rows(other, paid)[0][0] > 0
    assert rows(other, f"{paid} AND run_id IN (SELECT run_id FROM ledger.materializations)") == [(0,)]


def test_what_a_killed_run_asked_is_recorded_by_the_next(made: Path, tmp_path: Path) -> None:
    """A kill between landing rows and recording requests: the rows are reused, and the requests are not lost."""
    made = Path(shutil.copytree(made, tmp_path / "copy", ignore=shutil.ignore_patterns(".dagster")))
    count = "SELECT count(*) FROM ledger.requests WHERE asset = 'persona_responses'"
    before = rows(made, count)
    assert before[0][0] > 0
    for pointer in (made / "data" / "warehouse" / "pointers" / "ledger.requests").glob("*.json"):
        if json.loads(pointer.read_text())["partition"]["asset"] == "persona_responses":
            pointer.unlink()
    influence(made, "run", "persona_responses")
    assert rows(made, count) == before
