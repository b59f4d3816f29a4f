"""Trait items and their orders and questions: what is read, what is refused, what is balanced."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from influence_assets.features.items import Half, halves, load_items
from influence_assets.features.orders import FORWARD, REVERSE, Option, Orders, by_option, option_orders, order_name
from influence_assets.features.trait_questions import load_trait_prompt, trait_questions
from resources.errors import InputError

DATA = Path(__file__).parents[2] / "data"

FILE = """\
trait: openness
about: likes the new
items:
  - id: o1
    situation: You have a free evening.
    query: What do you do?
    high: [paint a picture, read a strange book]
    low: [watch the usual show, cook the usual meal]
  - id: o2
    situation: >-
      A friend names
      a new food.
    high: [taste it, ask how it is made]
    low: [order the old dish, wait outside]
    half: selection
"""


def write(data: Path, text: str = FILE, *, path: str = "trait_items/mine/openness.yaml") -> Path:
    file = data / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_items_are_read_as_they_stand(tmp_path):
    write(tmp_path)
    first, second = load_items(tmp_path, ["mine"])
    assert (first.id, first.item_set, first.trait) == ("o1", "mine", "openness")
    assert first.text == "You have a free evening. What do you do?"
    assert second.text == "A friend names a new food."
    assert second.high == ("taste it", "ask how it is made")
    assert second.low == ("order the old dish", "wait outside")
    assert second.half is Half.SELECTION
    assert load_items(tmp_path, []) == ()
    assert load_items(tmp_path, ["mine", "mine"]) == (first, second)


def test_imported_sets_lie_beside_own_ones(tmp_path):
    write(tmp_path)
    other = FILE.replace("o1", "p1").replace("o2", "p2")
    write(tmp_path, other, path="imports/trait_items/theirs/openness.yaml")
    assert [item.id for item in load_items(tmp_path, ["theirs", "mine"])] == ["p1", "p2", "o1", "o2"]
    write(tmp_path, other, path="trait_items/theirs/openness.yaml")
    with pytest.raises(InputError, match=r"is a set of this name too; rename"):
        load_items(tmp_path, ["mine"])


def test_an_unknown_set_lists_what_exists(tmp_path):
    write(tmp_path)
    with pytest.raises(InputError, match=r"no such set of trait items \(got '\.\./mine'\); there are: mine"):
        load_items(tmp_path, ["../mine"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("low: [order the old dish, wait outside]", "low: [order the old dish]", r"yaml:14: items\[1\]\.low"),
        ("high: [taste it,", "high: [yes,", r"yaml:13: items\[1\]\.high\[0\]: is not text"),
        ("wait outside", "taste it", r"yaml:14: items\[1\]\.low\[1\]: the option stands twice in its item"),
        ("id: o2", "id: o1", r"yaml:9: items\[1\]\.id: the id is that of item 1 too"),
        ("half: selection", "half: test", r"yaml:15: items\[1\]\.half"),
        ("half: selection", "hlaf: selection", r"yaml:15: items\[1\]\.hlaf: is not a known field"),
        ("query: What do you do?", "query: 3", r"yaml:6: items\[0\]\.query: is not text"),
        ("situation: You have a free evening.", "situation: ' '", r"yaml:5: items\[0\]\.situation"),
        ("trait: openness", "trait: closeness", r"yaml: trait: the file is not named as its trait"),
        (FILE[FILE.index("items:") :], "items: []", r"yaml:3: items"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path, old, new, message):
    assert old in FILE
    write(tmp_path, FILE.replace(old, new))
    with pytest.raises(InputError, match=message):
        load_items(tmp_path, ["mine"])


def test_an_id_stands_once_over_all_sets(tmp_path):
    write(tmp_path)
    write(tmp_path, path="trait_items/other/openness.yaml")
    with pytest.raises(InputError, match=r"other/openness\.yaml: items\.id: the id is in .*mine/openness\.yaml too"):
        load_items(tmp_path, ["mine", "other"])


def test_a_set_without_files_is_refused(tmp_path):
    (tmp_path / "trait_items" / "mine").mkdir(parents=True)
    with pytest.raises(InputError, match="holds no trait items"):
        load_items(tmp_path, ["mine"])


@given(st.sets(st.text(min_size=1, max_size=8), max_size=40), st.integers(0, 2**40), st.randoms())
def test_halves_are_balanced_and_know_nothing_of_the_order(ids, seed, chance):
    listed = sorted(ids)
    drawn = halves("openness", listed, seed=seed)
    assert list(drawn.values()).count(Half.SELECTION) == len(ids) // 2
    chance.shuffle(listed)
    assert halves("openness", listed, seed=seed) == drawn


def test_halves_depend_on_seed_and_trait():
    ids = [f"i{n}" for n in range(40)]
    drawn = halves("openness", ids, seed=0)
    assert halves("openness", ids, seed=1) != drawn
    assert halves("narcissism", ids, seed=0) != drawn


def test_the_public_orders_are_the_published_ones():
    assert option_orders(Orders.PUBLIC) == (FORWARD, REVERSE)
    assert order_name(FORWARD) == "high1 low1 high2 low2"
    assert order_name(REVERSE) == "low1 high1 low2 high2"


@pytest.mark.parametrize(("orders", "n"), [(Orders.ALL, 24), (Orders.CYCLIC, 4), (Orders.PUBLIC, 2)])
def test_each_option_stands_in_each_place_equally_often(orders, n):
    found = option_orders(orders)
    assert len(set(found)) == len(found) == n
    assert all(sorted(order) == list(Option) for order in found)
    if orders is not Orders.PUBLIC:
        for place in range(4):
            assert np.bincount([order[place] for order in found]).tolist() == [n // 4] * 4


@given(st.permutations(list(Option)), st.integers(1, 3))
def test_by_option_undoes_the_order(order, rows):
    letters = np.random.default_rng(0).random((rows, 4))
    shares = by_option(letters, tuple(order))
    for place, option in enumerate(order):
        assert (shares[:, option] == letters[:, place]).all()


def test_questions_say_the_shipped_prompt(tmp_path):
    write(tmp_path)
    questions = trait_questions(load_trait_prompt(DATA), load_items(tmp_path, ["mine"]), option_orders(Orders.PUBLIC))
    assert [(question.item.id, question.order) for question in questions] == [
        ("o1", FORWARD),
        ("o1", REVERSE),
        ("o2", FORWARD),
        ("o2", REVERSE),
    ]
    (message,) = questions[1].messages
    assert message.role == "user"
    assert message.content == (
        "You have a free evening. What do you do?\nA. watch the usual show\nB. paint a picture\n"
        "C. cook the usual meal\nD. read a strange book\nAnswer with A, B, C or D."
    )


def test_a_prompt_without_four_letters_is_refused(tmp_path):
    text = (DATA / "prompts/features/trait_item.yaml").read_text().replace("[A, B, C, D]", "[A, B]")
    write(tmp_path, text, path="prompts/features/trait_item.yaml")
    with pytest.raises(InputError, match=r"trait_item\.yaml: options: a trait item has four options"):
        load_trait_prompt(tmp_path)
