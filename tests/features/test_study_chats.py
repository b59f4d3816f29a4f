"""The study's own chats: which are held out, and what of them is scored."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from influence_assets.features.chats import HELD_OUT, STATEMENTS, ChatPrompts, StudyChat, chat_rows, study_chats
from influence_assets.features.items import Half, TraitItem
from influence_assets.features.trait_questions import load_trait_prompt
from influence_assets.influence.records import Turn
from influence_assets.personas.records import Persona
from resources.errors import InputError
from resources.local.opened import OpenModel
from resources.messages import Message
from resources.prompts import load_prompt
from tests.features.stimulus_files import DATA
from tests.features.tiny_open import tiny_open

PROMPTS = ChatPrompts(
    load_trait_prompt(DATA),
    load_prompt(DATA / "prompts" / "steerability" / "question.yaml"),
    load_prompt(DATA / "prompts" / "steerability" / "methods.yaml"),
)
SOMEBODY = Persona("f", "p1", 0, "Ada", "F", "is warm and tall", "given", "ok", {})
NOBODY = Persona("f", "p2", 1, "Ben", "F", None, "given", "gave_up", {})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenModel]:
    with tiny_open(tmp_path_factory.mktemp("models")) as found:
        yield found


def turn(position: int, role: str, content: str, *, of: str = "c", status: str = "ok") -> Turn:
    return Turn(of, "m", 0, position, position, role, content, "s", "r", status)


def item(name: str, half: Half) -> TraitItem:
    return TraitItem(name, "set", "warmth", f"you meet {name}", "", ("a", "b"), ("c", "d"), half)


def chats(**given: object) -> list[StudyChat]:
    empty: dict[str, object] = dict.fromkeys(("turns", "personas", "statements", "items", "texts"), ())
    return study_chats(PROMPTS, **(empty | given))  # type: ignore[arg-type]


def test_a_share_is_held_out_by_content_alone() -> None:
    many = [StudyChat((Message(role="user", content=f"question {n}"),), "warm") for n in range(3000)]
    share = float(np.mean([chat.held_out for chat in many]))
    assert abs(share - HELD_OUT) < 4 * (HELD_OUT * (1 - HELD_OUT) / len(many)) ** 0.5


@settings(deadline=None)
@given(messages=st.lists(st.text(max_size=5), max_size=3), reply=st.text(max_size=5))
def test_equal_chats_are_in_one_half(messages: list[str], reply: str) -> None:
    one, other = (StudyChat(tuple(Message(role="user", content=text) for text in messages), reply) for _ in range(2))
    assert one.held_out == other.held_out


def test_a_conversation_ends_with_the_last_thing_the_model_said() -> None:
    rows = [
        turn(0, "character", "hello"),
        turn(1, "agent", "warm"),
        turn(2, "character", "more"),
        turn(3, "agent", "lost", status="gave_up"),
        turn(0, "character", "nobody answers", of="d"),
        turn(0, "agent", "first words", of="e"),
    ]
    (found,) = chats(turns=rows)
    assert [(message.role, message.content) for message in found.messages] == [("user", "hello")]
    assert found.reply == "warm"


def test_only_items_to_choose_by_are_among_the_chats() -> None:
    items = [item("one", Half.SELECTION), item("two", Half.HELDOUT)]
    plain, as_persona = chats(items=items, personas=[SOMEBODY, NOBODY])
    assert "you meet one" in plain.messages[-1].content
    assert as_persona.messages[-1] == plain.messages[-1]
    assert "warm and tall" in as_persona.messages[0].content
    assert (plain.reply, as_persona.reply) == ("", "")
    assert len(chats(items=items)) == 1, "without anybody to be, the item alone"


def test_statements_are_cut_to_the_same_ones_in_any_order() -> None:
    statements = [f"i like {number}" for number in range(STATEMENTS + 50)]
    found = chats(statements=statements)
    assert len(found) == STATEMENTS
    assert found == chats(statements=statements[::-1])
    assert chats(texts=["a", "b"]) == [StudyChat((), "a"), StudyChat((), "b")]


def test_only_replies_are_scored(model: OpenModel) -> None:
    said = StudyChat((Message(role="user", content="you answer"),), "warm red blue")
    asked = StudyChat((Message(role="user", content="you answer"),), "")
    text = StudyChat((), "kind red one")
    rows = chat_rows(model, [said, asked, text], context=64, skip_first=1)
    prompt = model.chat.tokens(said.messages)
    assert rows.rows[0][: len(prompt)] == tuple(prompt)
    assert model.chat.decode(rows.rows[0][rows.prompts[0] :]).split() == ["warm", "red", "blue"]
    assert rows.prompts[1:] == (len(rows.rows[1]), len(rows.rows[2])), "a question or a text alone predicts nothing"


def test_where_nothing_was_replied_everything_is_scored(model: OpenModel) -> None:
    rows = chat_rows(model, [StudyChat((), "kind red one"), StudyChat((), "warm blue")], context=64, skip_first=1)
    assert rows.prompts == (0, 0)


def test_chats_that_are_too_short_are_an_error(model: OpenModel) -> None:
    with pytest.raises(InputError, match="chats"):
        chat_rows(model, [StudyChat((), "kind")], context=64, skip_first=5)
