"""What pages read: fresh after every publication, asked once between two, and nothing but the published tables."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from influence_assets.viewer.query import csv
from influence_assets.viewer.store import MAX_ROWS, QUERIES, Store
from influence_assets.viewer.widgets import as_text
from resources.errors import InfluenceError
from tests.browser import viewer_world as world

NUMBERS = {"iteration", "n_steer", "limit", "offset", "reward_low", "reward_high"}
OPTIONAL = {
    "feature_map": "features.",
    "directions": "features.",
    "steering": "features.",
    "texts": "features.",
    "trait_scores": "features.",
    "side_effects": "features.",
    "profile_models": "joint.",
    "profile": "joint.",
    "drift": "joint.",
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(world.warehouse(world.small(tmp_path / "project")))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(world.warehouse(world.project_folder(tmp_path_factory.mktemp("empty") / "project")))


def test_rows_are_those_of_the_last_publication(store: Store, tmp_path: Path) -> None:
    before = store.rows("conversation", conversation="c-2-9")
    target = world.warehouse(tmp_path / "project")
    for table, rows in world.conversation(9, iteration=2).items():
        world.land(target, table, rows)
    assert store.rows("conversation", conversation="c-2-9").height == before.height == 0
    target.publish()
    assert store.rows("conversation", conversation="c-2-9").height == 1


def test_the_same_question_is_asked_once_per_publication(store: Store) -> None:
    assert store.rows("people") is store.rows("people")


def test_rows_per_table_are_known_without_reading_them(store: Store) -> None:
    assert store.landed()["influence.conversations"] == 6
    assert store.has("influence.conversations", "steerability.matrix")
    assert not store.has("influence.conversations", "influence.stance_probes")
    assert not store.has("no.table")


@pytest.mark.parametrize("name", sorted(path.stem for path in QUERIES.glob("*.sql")))
def test_every_query_runs_on_an_empty_catalogue(name: str, empty: Store) -> None:
    named = set(re.findall(r"\$(\w+)", (QUERIES / f"{name}.sql").read_text()))
    given = {parameter: 0 if parameter in NUMBERS else "" for parameter in named}
    if OPTIONAL.get(name) and not any(table.startswith(OPTIONAL[name]) for table in empty.landed()):
        pytest.skip(f"no family declares {OPTIONAL[name]}* yet")
    assert empty.rows(name, **given).width > 0


def test_a_query_that_a_person_wrote_is_cut_and_wrong_ones_are_one_error(store: Store) -> None:
    answer = store.ask("FROM range(100000000000)")
    assert (answer.rows.height, answer.cut) == (MAX_ROWS, True)
    assert not store.ask("SELECT 1").cut
    for wrong in ("SELECT nonsense", "DROP VIEW influence.turns", "SELECT 1; SELECT 2", ""):
        with pytest.raises(InfluenceError):
            store.ask(wrong)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 'x'::BLOB AS b, uuid() AS u, '101'::BIT AS t, 1.5::DECIMAL(9, 2) AS d, now() AS n, TIME '10:00' AS at",
        "SELECT {'a': '<b>'} AS s, MAP {'k': [1]} AS m, 'a'::ENUM ('a') AS e, NULL AS nothing, 'nan'::DOUBLE AS f",
        'SELECT 1 AS "a\u202e", 2 AS "a\\u202e", chr(0) AS z, 1::HUGEINT AS h',
        "DESCRIBE influence.turns",
    ],
)
def test_any_type_and_any_name_can_be_shown_and_saved(store: Store, sql: str) -> None:
    rows = store.ask(sql).rows
    shown = as_text(rows)
    assert shown.shape == rows.shape
    assert len(csv(rows).splitlines()) == rows.height + 1


@pytest.mark.parametrize("sql", ["SELECT 1 AS a, 2 AS a", "SELECT INTERVAL 1 DAY AS i"])
def test_what_cannot_be_shown_is_one_error_that_says_what_to_do(store: Store, sql: str) -> None:
    with pytest.raises(InfluenceError, match="name of its own"):
        store.ask(sql)


def test_csv_tells_a_spreadsheet_that_text_is_no_formula(store: Store) -> None:
    rows = store.ask("SELECT '=HYPERLINK(1)' AS a, -1 AS n, 'plain' AS b, '@x' AS c").rows
    assert csv(rows).decode().splitlines() == ["a,n,b,c", "'=HYPERLINK(1),-1,plain,'@x"]
