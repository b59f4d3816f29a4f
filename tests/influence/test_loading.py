"""Environment files are read as they are meant."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from influence_assets.influence.environments import Split, UserKind
from influence_assets.influence.loading import filled, load_families, load_family
from influence_assets.influence.prompting import Prompting
from resources.errors import InputError
from tests.influence.environment_files import RUBRICS, state_line, write_family, write_states

DATA = Path(__file__).resolve().parents[2] / "data"


def test_mappings_merge_and_all_else_is_replaced(tmp_path: Path) -> None:
    family = load_family(write_family(tmp_path / "toy"), RUBRICS)
    assert family.name == "toy"
    assert list(family.environments) == ["calm", "lost"]
    lost, calm = family.environments["lost"], family.environments["calm"]
    assert (lost.user_kind, calm.user_kind) == (UserKind.VULNERABLE, UserKind.ORDINARY)
    assert (lost.max_turns, calm.max_turns) == (3, 2)
    assert lost.variables == {"shop": "Ticket Box", "mood": "You feel lost."}
    assert lost.stance is not None
    assert calm.stance is None
    assert (lost.family, lost.name, lost.initial) == ("toy", "lost", "open")
    assert [state.split for state in family.states["lost"][:4]] == [Split.TRAIN] * 3 + [Split.EVAL]


def test_every_text_is_filled_once_and_nothing_else_is(tmp_path: Path) -> None:
    root = write_family(tmp_path / "toy")
    said = "I said {place} and {shop} {never}."
    family = load_family(root, RUBRICS)
    state = family.states["lost"][0].model_copy(update={"variables": {"place": "{shop} {place}"}})
    state = state.model_copy(update={"history": (state.history[0].model_copy(update={"content": said}),)})
    whole = filled(family.environments["lost"], state)
    assert whole.agent.instructions == "You sell tickets for Ticket Box."
    assert whole.character.instructions == "You want to go to {shop} {place}. You feel lost."
    assert whole.veto.rules == ("It lies to a person at Ticket Box.", "It insults.")
    assert whole.stance is not None
    assert whole.stance.text == "How much do you want to go to {shop} {place}?"
    assert whole.states["sold"].entry is not None
    assert whole.states["sold"].entry.content == "You have a ticket to {shop} {place}."
    assert whole.tools == family.environments["lost"].tools
    plain = filled(family.environments["lost"], family.states["lost"][1])
    assert filled(plain, state) == plain
    assert state.history[0].content == said


def test_shipped_organism_loads() -> None:
    family = load_families(DATA, ["organism"])["organism"]
    assert len(family.environments) == 8
    for name, environment in family.environments.items():
        for state in family.states[name]:
            whole = filled(environment, state)
            prompt = Prompting(DATA / "prompts" / "influence").stance(whole.character, whole.stance, state.history)
            assert state.variables["act"] in prompt[-1].content
            assert "{" not in prompt[0].content


def test_thousands_of_states_load_in_a_second(tmp_path: Path) -> None:
    root = write_family(tmp_path / "toy", states=5000)
    began = time.process_time()
    family = load_family(root, RUBRICS)
    assert time.process_time() - began < 10  # a second on a quiet machine; here it must only not be absurd
    assert [len(states) for states in family.states.values()] == [5000, 5000]


def test_line_ends_byte_order_mark_blank_lines_and_editors_leftovers(tmp_path: Path) -> None:
    root = write_family(tmp_path / "toy")
    path = root / "lost.states.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n\r\n"))
    (root / ".#lost.yaml").write_text("half written")
    assert len(load_family(root, RUBRICS).states["lost"]) == 8


def test_separators_inside_of_a_text_are_no_line_ends(tmp_path: Path) -> None:
    root = write_family(tmp_path / "toy")
    text = "one\u2028two\x0bthree\u0085four"
    line = state_line(1, history=[{"role": "character", "content": text}])
    write_states(root, "lost", [json.dumps(line, ensure_ascii=False)])
    assert load_family(root, RUBRICS).states["lost"][0].history[0].content == text


@pytest.mark.parametrize("name", ["it's", 'a"b', "emoji 🎭", "con", "a;b", "*?[", "x'); --", "größe", "..", "-rf"])
def test_names_are_data(tmp_path: Path, name: str) -> None:
    root = write_family(tmp_path / "toy")
    (root / "lost.yaml").rename(root / f"{name}.yaml")
    (root / "lost.states.jsonl").rename(root / f"{name}.states.jsonl")
    if name.startswith("."):
        assert "lost" not in load_family(root, RUBRICS).environments
    else:
        assert load_family(root, RUBRICS).environments[name].name == name


def test_environment_names_are_unique_over_families(tmp_path: Path) -> None:
    for family in ("one", "two"):
        write_family(tmp_path / "environments" / family)
    (tmp_path / "judges").mkdir()
    for rubric in RUBRICS:
        (tmp_path / "judges" / f"{rubric}.yaml").touch()
    assert list(load_families(tmp_path, ["two", "two"])) == ["two"]
    with pytest.raises(InputError, match=r"two/calm\.yaml: the families one and two both have .*'calm'.*rename"):
        load_families(tmp_path, ["one", "two"])


@pytest.mark.parametrize("name", ["three", "../environments/one", "", ".", "one/../one", "one\0"])
def test_families_are_looked_up_by_name(tmp_path: Path, name: str) -> None:
    write_family(tmp_path / "environments" / "one")
    with pytest.raises(InputError, match=r"no such family of environments.*there are: one"):
        load_families(tmp_path, [name])


def test_harm_is_made_of_rubrics_that_exist(tmp_path: Path) -> None:
    root = write_family(tmp_path / "toy")
    with pytest.raises(
        InputError, match=r"family\.yaml:42: harm\.error_mention: is no rubric .*data/judges has: harm$"
    ):
        load_family(root, ["harm"])
    assert load_family(root).environments["lost"].harm == {"harm": "raises", "error_mention": "lowers"}
