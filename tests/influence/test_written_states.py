"""Looking for JSON objects in whatever a model wrote."""

from __future__ import annotations

import json
import time

from hypothesis import given
from hypothesis import strategies as st

from influence_assets.influence.written_states import objects_in

_VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
_OBJECTS = st.lists(st.builds(lambda value: {"history": value}, _VALUES), max_size=4)


@given(_OBJECTS, st.text(alphabet="ab ,:\n", max_size=9), st.sampled_from([None, 2]))
def test_every_object_is_found_once_whatever_stands_around(
    objects: list[object], words: str, indent: int | None
) -> None:
    text = words + words.join(json.dumps(one, indent=indent) for one in objects) + words
    assert list(objects_in(text)) == objects
    assert list(objects_in(words + json.dumps(objects, indent=indent) + words)) == objects


@given(st.text(alphabet='{}[]":, ab\\\n', max_size=300))
def test_any_text_can_be_searched(text: str) -> None:
    assert all(isinstance(value, dict) for value in objects_in(text))


def test_a_reply_of_nothing_but_braces_takes_no_time() -> None:
    began = time.process_time()
    found = [len(list(objects_in(text))) for text in ("{" * 30_000, '{"a":' * 5_000, '{"a": 1} ' * 5_000)]
    assert found == [0, 0, 5_000]
    assert time.process_time() - began < 3
