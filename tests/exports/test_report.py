"""The report: it says what the tables say, needs nothing else, runs nothing, and is the same for the same tables."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from influence_assets.exports.asset_checks import CheckOutcome, Verdict
from influence_assets.exports.report import gathered, rendered, write_report
from influence_assets.exports.report_limits import Facts, When, holding_conditions, limits_of
from influence_assets.exports.report_parts import estimate, number
from influence_assets.features import tables as features
from influence_assets.influence.tables import METRICS
from influence_assets.joint import tables as joint
from influence_assets.project import Project
from influence_assets.steerability.tables import SUMMARY
from resources.errors import InputError
from resources.tables import Table
from tests.exports.exported_world import Hostile, World, land, make_world

CHECKS = [
    CheckOutcome("rejudgements_1", "mini", "character_fidelity", Verdict.WARNED, "left its role in 12 % of turns"),
    CheckOutcome("persona_responses", "mini", "void_share", Verdict.FAILED, "3 % are void"),
    CheckOutcome("steering_sets", "mini", "steer_test_leakage_exact", Verdict.PASSED, "no text"),
]


class Page(HTMLParser):
    """The page as a browser takes it apart: its elements with attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def page(world: World) -> Page:
    return Page(rendered(gathered(world.project, CHECKS)))


def test_every_overall_score_stands_in_it_with_interval_and_chance(world: World, page: Page) -> None:
    rows = world.project.warehouse.read(SUMMARY).filter(
        pl.col("framework") == "", pl.col("score").is_in(["sensitivity", "specificity", "gain", "leakage"])
    )
    assert rows.height > 6
    for row in rows.iter_rows(named=True):
        signed = row["score"] in ("gain", "leakage")
        assert estimate(row["value"], row["ci_low"], row["ci_high"], signed=signed) in page.text
        assert number(row["chance"]) in page.text


def test_every_held_out_measure_stands_in_it_with_its_paired_difference(world: World, page: Page) -> None:
    rows = world.project.warehouse.read(METRICS).filter(
        pl.col("split") == "eval", pl.col("selection") == "all", pl.col("value").is_not_null()
    )
    assert {"reward", "harm", "targeting_gap", "stance_shift"} <= set(rows["measure"])
    for row in rows.iter_rows(named=True):
        assert estimate(row["value"], row["ci_low"], row["ci_high"]) in page.text
        if row["iteration"]:
            assert estimate(row["delta"], row["delta_ci_low"], row["delta_ci_high"], signed=True) in page.text


def test_cost_is_the_ledgers_sum_and_checks_are_those_not_passed(world: World, page: Page) -> None:
    assert number(float(world.requests["cost"].sum())) in page.text
    assert f"{world.requests['input_tokens'].sum():,}" in page.text
    assert "2 of 3" in page.text
    assert page.text.index("3 % are void") < page.text.index("left its role in 12 % of turns")
    assert "steer_test_leakage" not in page.text
    assert "abc123+" in page.text
    assert "kto" in page.text


def test_void_rows_are_counted_and_examples_are_pairs(world: World, page: Page) -> None:
    void = sum(row.status == "void" for row in world.judgements if row.purpose == "training")
    assert re.search(rf"judgements \(training\)\s*mini\s*void\s*{void}\b", page.text)
    assert page.text.count("An example:") == 2
    assert "the largest rise of harm" in page.text
    assert "agent 1: take your pills." in page.text


def test_it_is_one_file_that_may_load_nothing_and_runs_nothing(page: Page) -> None:
    tags = [tag for tag, _ in page.elements]
    assert not {"script", "link", "iframe", "object", "embed", "form", "base"} & set(tags)
    policy = next(
        found["content"] for _, found in page.elements if found.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert {"default-src 'none'", "img-src data:", "style-src 'unsafe-inline'"} <= set(policy.split("; "))
    pictures = [found["src"] or "" for tag, found in page.elements if tag == "img"]
    assert len(pictures) >= 3
    for source in pictures:
        assert base64.b64decode(source.removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")
    for tag, found in page.elements:
        assert not [name for name in found if name.startswith("on")], tag
        assert (found.get("href") or "#").startswith("#")


def test_the_same_tables_give_the_same_bytes(world: World, tmp_path: Path) -> None:
    one, other = (write_report(world.project, CHECKS, tmp_path / name).read_bytes() for name in ("a.html", "b.html"))
    assert one == other
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "b.html"]


def test_hostile_words_are_words(tmp_path: Path) -> None:
    attack = "</bdi></td><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}{% raw %}\x1b[2J\u202e"
    world = make_world(tmp_path / "world", Hostile(*(attack,) * 5))
    checks = [CheckOutcome(attack, attack, attack, Verdict.FAILED, attack)]
    html = rendered(gathered(world.project, checks))
    page = Page(html)
    assert "script" not in [tag for tag, _ in page.elements]
    assert all((found["src"] or "").startswith("data:") for tag, found in page.elements if tag == "img")
    shown = attack.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
    assert page.text.count(shown) > 20
    assert not set("\x1b\u202e") & set(html)
    assert "\n49" not in page.text


def test_an_empty_project_gets_a_report_of_its_design(tmp_path: Path) -> None:
    full = make_world(tmp_path / "full").project
    empty = Project(tmp_path / "empty")
    (empty.data).mkdir(parents=True)
    for name in ("study.yaml", "models.yaml"):
        (empty.data / name).write_bytes((full.data / name).read_bytes())
    page = Page(rendered(gathered(empty, [])))
    assert "Design" in page.text
    assert "hold no checks" in page.text
    assert "identification" not in page.text
    assert not [tag for tag, _ in page.elements if tag == "img"]


def test_it_says_where_it_cannot_be_written(world: World, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        write_report(world.project, [], tmp_path / "missing" / "report.html")
    with pytest.raises(InputError, match="is a folder"):
        write_report(world.project, [], tmp_path)


def filled(table: Table, given: dict[str, object]) -> dict[str, object]:
    """A row with something in every column."""
    usual = {"VARCHAR": "", "INTEGER": 1, "DOUBLE": 0.5, "BOOLEAN": False}
    return {column.name: usual[column.type] for column in table.columns} | given


def test_sections_on_features_stand_in_it_once_their_tables_have_rows(page: Page, tmp_path: Path) -> None:
    bare, sections = page, {"traits", "steering", "profile"}
    assert not sections & {found.get("id") for _, found in bare.elements}
    world = make_world(tmp_path / "world")
    warehouse = world.project.warehouse
    around = {"model": "mini", "iteration": 0, "n": 40, "ci_low": 0.25, "ci_high": 0.875}
    tried = around | {"factor": "honesty", "category": "high", "method": "probe", "trait": "honesty"}
    score = around | {"condition": "unsteered", "half": "heldout", "trait": "honesty", "score": 0.625}
    other = score | {"condition": "honesty high random 3 +0.1", "score": 0.111}
    curve = [
        tried | {"condition": f"c{strength}", "coefficient": float(strength), "shift": strength / 16}
        for strength in (-4, 4)
    ]
    profile = [
        around | {"iteration": k, "measure": "gain", "subject": "name", "user_kind": "all", "value": 0.375 + k / 8}
        for k in (0, 1)
    ]
    for table, rows in (
        (features.TRAIT_SCORES, [score, other]),
        (features.STEERING, curve),
        (features.DOSE_RESPONSE, [tried | {"shift": 0.75}]),
        (joint.CHECKPOINT_PROFILE, profile),
    ):
        land(warehouse, table, warehouse.frame(table, [filled(table, row) for row in rows]))
    warehouse.publish()
    page = Page(rendered(gathered(world.project, [])))
    assert sections <= {found.get("id") for _, found in page.elements}
    assert "0.62 [0.25, 0.88]" in page.text
    assert "0.75 [0.25, 0.88]" in page.text
    assert "0.38 [0.25, 0.88]" in page.text
    assert "gain name" in page.text
    assert "0.11 [" not in page.text, "conditions of the sweep are no traits of the model"
    n_pictures = [sum(tag == "img" for tag, _ in one.elements) for one in (bare, page)]
    assert n_pictures[1] == n_pictures[0] + 2


def facts(**changes: object) -> Facts:
    nothing = {
        "models": (), "n_environments": 0, "n_personas": 0, "trained": False, "checks_passed": True,
        "edited_checkout": False,
    }  # fmt: skip
    return Facts.model_validate(nothing | changes)


@pytest.mark.parametrize(
    ("changes", "also"),
    [
        ({}, set()),
        ({"models": ("organism",)}, {When.ORGANISM}),
        (
            {"models": ("organism",), "n_environments": 6},
            {When.ORGANISM, When.JUDGES_ITSELF, When.JUDGE_MEASURES, When.CONVERSATIONS},
        ),
        (
            {"models": ("other",), "n_environments": 5},
            {When.JUDGE_MEASURES, When.FEW_ENVIRONMENTS, When.CONVERSATIONS},
        ),
        ({"n_personas": 19}, {When.FEW_PERSONAS}),
        ({"n_personas": 20, "trained": True}, {When.TRAINED}),
        ({"checks_passed": False, "edited_checkout": True}, {When.CHECKS_NOT_PASSED, When.EDITED_CHECKOUT}),
    ],
)
def test_limits_stand_in_it_where_they_hold(world: World, changes: dict[str, object], also: set[When]) -> None:
    study = world.project.study
    assert holding_conditions(study, facts(**changes)) == {When.ALWAYS} | also
    assert len(limits_of(study, facts(**changes))) >= 2 + len(also)
