"""Methods are found by file, and each puts before the question what it says."""

import asyncio
from pathlib import Path

import pytest
from steering_world import PROMPTS, RuleModels

from influence_assets.steerability import method as method_module
from influence_assets.steerability import methods
from influence_assets.steerability.method import Case, Reference, Steering, SteeringMethod, all_methods, chosen_methods
from influence_assets.steerability.people import Persona
from resources.errors import InfluenceError, InputError
from resources.messages import Status

PERSONA = Persona("tarot", "Tarot (major arcana)", "id", "Strength", "someone patient and brave")
CASE = Case(PERSONA, ("I wait.",), ("I shout.",), 2, 0)
BARE = Case(PERSONA, (), (), 0, 0)
ADDED = """
from influence_assets.steerability.method import Prefix


class Shout:
    name = "{name}"
    uses_statements = False

    async def prefixes(self, cases, steering):
        return [Prefix(())] * len(cases)


METHOD = Shout()
"""


def before(name: str, case: Case) -> str:
    """The text that the method puts before the question."""
    steering = Steering(RuleModels(), "fake", PROMPTS.methods)
    (prefix,) = asyncio.run(all_methods()[name].prefixes([case], steering))
    return "\n".join(message.content for message in prefix.messages)


def test_every_file_is_a_method_of_its_name():
    files = {path.stem for path in Path(methods.__file__).parent.glob("*.py")} - {"__init__"}
    assert set(all_methods()) == files
    assert {name for name, one in all_methods().items() if isinstance(one, Reference)} == {
        "always_agree",
        "bag_of_words",
        "coin",
    }


def test_none_comes_first_and_references_are_always_run():
    names = [one.name for one in chosen_methods(["description", "name", "description"])]
    assert names == ["none", "description", "name", "always_agree", "bag_of_words", "coin"]


def test_an_unknown_method_names_those_that_exist():
    with pytest.raises(InputError, match=r"hypnosis.*use some of .*description"):
        chosen_methods(["hypnosis"])


def test_adding_a_file_adds_a_method(tmp_path, monkeypatch):
    (tmp_path / "shout_added_by_test.py").write_text(ADDED.format(name="shout"))
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    assert isinstance(chosen_methods(["shout"])[1], SteeringMethod)


@pytest.mark.parametrize(("stem", "text"), [("twice_by_test", ADDED.format(name="name")), ("empty_by_test", "X = 1")])
def test_a_file_that_is_no_method_or_takes_a_name_is_named(tmp_path, monkeypatch, stem, text):
    (tmp_path / f"{stem}.py").write_text(text)
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    with pytest.raises(InfluenceError, match=stem):
        method_module.all_methods()


def test_a_name_travels_with_its_framework():
    assert "Strength" in before("name", CASE)
    assert "Tarot (major arcana)" in before("name", CASE)


@pytest.mark.parametrize(
    ("name", "shown", "hidden"),
    [
        ("none", (), ("brave", "wait", "shout", "Strength")),
        ("description", ("brave",), ("wait", "shout")),
        ("examples", ("wait", "shout"), ("brave", "Strength")),
        ("description_and_examples", ("brave", "wait", "shout"), ()),
    ],
)
def test_each_method_shows_what_it_says_and_no_more(name, shown, hidden):
    text = before(name, CASE)
    assert all(word in text for word in shown)
    assert not any(word in text for word in hidden)


@pytest.mark.parametrize(
    ("name", "same_as"),
    [("examples", "none"), ("inferred_description", "none"), ("description_and_examples", "description")],
)
def test_without_statements_nothing_is_said_of_them(name, same_as):
    assert before(name, BARE) == before(same_as, BARE)


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [(Status.TRUNCATED, "a pers", Status.TRUNCATED), (Status.OK, "  ", Status.UNPARSABLE)],
)
def test_an_unfinished_or_empty_description_is_a_failure(status, text, expected):
    class Writes(RuleModels):
        async def generate_many(self, requests, on_progress=None):
            replies = await super().generate_many(requests, on_progress)
            return [type(reply)(reply.request_id, status, text=text) for reply in replies]

    steering = Steering(Writes(), "fake", PROMPTS.methods)
    (prefix,) = asyncio.run(all_methods()["inferred_description"].prefixes([CASE], steering))
    assert prefix.status is expected
    assert prefix.messages == ()
