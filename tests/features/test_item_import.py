"""Imports of public test sets: what comes in is what a study loads, and a bad record is named."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from influence_assets.features.item_import import import_hallucination, import_safety, import_trait
from influence_assets.features.items import load_items
from influence_assets.features.side_effect_items import load_side_effects
from resources.errors import InputError

TRAIT = {
    "personality": "Narcissism",
    "situation": "A colleague is praised.",
    "query": "What do you say?",
    "response_high1": "I did most of it.",
    "response_high2": "Mine was better.",
    "response_low1": "Well deserved.",
    "response_low2": "I am glad for you.",
    "idx": 7000,
    "split": "long",
    "statement": "not read",
}
SAFETY = {
    "id": 0,
    "category": "Physical Health",
    "question": "Hot pan?",
    "options": ["Hold it.", "Leave it."],
    "answer": 1,
}
FACT = {
    "knowledge": "Bees make honey.",
    "question": "Bees make?",
    "right_answer": "Honey",
    "hallucinated_answer": "Silk",
}


@pytest.fixture
def source(tmp_path):
    def write(value, *, lines=False):
        path = tmp_path / "source.json"
        text = "\n".join(map(json.dumps, value)) if lines else json.dumps(value, indent=1)
        path.write_text(text if not isinstance(value, str) else value)
        return path

    return write


@pytest.fixture
def data(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.mark.parametrize("lines", [False, True])
def test_a_trait_test_becomes_a_set(source, data, lines):
    other = TRAIT | {
        "personality": "Openness to Experience",
        "idx": "12",
        "question": "not read, as there is a situation",
    }
    joined = {name: value for name, value in TRAIT.items() if name not in ("situation", "query", "idx")}
    joined |= {"question": "Somebody else is praised. And you?"}
    found = import_trait(source([TRAIT, other, joined], lines=lines), data, name="public")
    assert found.n_items == {"narcissism": 2, "openness_to_experience": 1}
    assert found.folder == data / "imports" / "trait_items" / "public"
    first, second, third = load_items(data, ["public"])
    assert [one.id for one in (first, second, third)] == [
        "public_narcissism_7000",
        "public_narcissism_2",
        "public_openness_to_experience_12",
    ]
    assert first.text == "A colleague is praised. What do you say?"
    assert first.high == ("I did most of it.", "Mine was better.")
    assert first.low == ("Well deserved.", "I am glad for you.")
    assert second.text == "Somebody else is praised. And you?"
    assert not list(data.glob(".import-*"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"response_low2": None}, r"source\.json record 2: response_low2: is not text"),
        ({"response_low1": "Mine was better."}, r"record 2: response_low1: is response_high2 too"),
        ({"personality": "???"}, r"record 2: personality: is no name"),
        ({"idx": 7000}, r"record 2: idx: stands twice for its trait"),
        ({"idx": 1.5}, r"record 2: idx"),
        ({"situation": None}, r"record 2: situation: is missing; add it, or question"),
        ({"situation": "\ud800"}, r"record 2: situation"),
    ],
)
def test_a_bad_trait_record_is_named(source, data, change, message):
    with pytest.raises(InputError, match=message):
        import_trait(source([TRAIT, TRAIT | {"idx": 1} | change]), data, name="public")
    assert not (data / "imports").exists()


def test_a_missing_field_is_named(source, data):
    with pytest.raises(InputError, match=r"source\.json:1: response_high1: is missing .*; add it"):
        import_trait(source([{"personality": "Openness", "situation": "x"}], lines=True), data, name="public")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", r"record 1: is no record"),
        ("[]", "holds no records"),
        ('"x"', "is no list of records"),
        ("[{", "is not JSON"),
        ('{"a": 1, "a": 2}', r"json:1: is not JSON: the field 'a' stands twice"),
        ("", "is not JSON"),
    ],
)
def test_what_is_no_file_of_records_is_refused(source, data, text, message):
    with pytest.raises(InputError, match=message):
        import_trait(source(text), data, name="public")


def test_names_are_checked_and_nothing_is_overwritten(source, data):
    file = source([TRAIT])
    with pytest.raises(InputError, match="is no name for an import"):
        import_trait(file, data, name="../x")
    with pytest.raises(InputError, match="cannot be read"):
        import_trait(file.with_name("none.json"), data, name="public")
    import_trait(file, data, name="public")
    with pytest.raises(InputError, match="there is a set of trait items of this name"):
        import_trait(file, data, name="public")


def test_safety_items_come_from_lists_by_category_or_from_one_list(source, data):
    three = SAFETY | {"options": ["a", "b", "c"], "answer": 2, "category": None}
    import_safety(source({"Physical Health": [SAFETY], "Mental Health": [three]}), data, name="dev")
    first, second = load_side_effects(data, ["dev"]).safety
    assert (first.id, first.category, first.answer) == ("dev_physical_health_0", "Physical Health", 1)
    assert (second.category, second.options) == ("Mental Health", ("a", "b", "c"))
    import_safety(source([SAFETY, SAFETY | {"id": 1}]), data, name="list")
    assert len(load_side_effects(data, ["list", "dev"]).safety) == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": None}, r"record 1: answer: is missing; give a file with answers"),
        ({"answer": 2}, r"record 1: answer: is the place of no option"),
        ({"answer": True}, r"record 1: answer"),
        ({"options": ["one"]}, r"record 1: options"),
        ({"options": ["one", "one"]}, r"record 1: options: an option stands twice"),
        ({"category": None}, r"record 1: category: is missing"),
        ({"category": "all"}, r"record 1: category: all stands for all categories"),
    ],
)
def test_a_bad_safety_record_is_named(source, data, change, message):
    with pytest.raises(InputError, match=message):
        import_safety(source([SAFETY | change]), data, name="public")


def test_questions_with_made_up_answers(source, data):
    found = import_hallucination(source([FACT, FACT | {"knowledge": ""}], lines=True), data, name="halu")
    assert found.n_items == {"hallucination": 2}
    first, second = load_side_effects(data, ["halu"]).hallucination
    assert (first.id, first.knowledge, first.right_answer) == ("halu_0", "Bees make honey.", "Honey")
    assert second.knowledge == ""
    with pytest.raises(InputError, match=r"record 1: hallucinated_answer: is the right answer too"):
        import_hallucination(source([FACT | {"hallucinated_answer": "Honey"}]), data, name="other")
    assert import_hallucination(source([FACT], lines=True), data, name="single").n_items == {"hallucination": 1}


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(min_size=1).map(str.strip).filter(bool), min_size=5, max_size=5, unique=True))
def test_any_text_survives_an_import(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("import")
    record = TRAIT | dict(zip(["situation", *[name for name in TRAIT if "response" in name]], texts, strict=True))
    (folder / "source.json").write_text(json.dumps([record | {"query": ""}]))
    import_trait(folder / "source.json", folder, name="public")
    (item,) = load_items(folder, ["public"])
    assert [item.situation, *item.high, *item.low] == texts
