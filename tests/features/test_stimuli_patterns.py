"""Pattern files: both forms, every form of an id, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from influence_assets.features.patterns import Pattern, read_patterns
from resources.errors import InputError


def write(folder: Path, text: str) -> Path:
    path = folder / "pattern.json"
    path.write_text(text, encoding="utf-8")
    return path


def test_ids_are_numbers_texts_or_layer_and_number(tmp_path: Path) -> None:
    path = write(tmp_path, '{"lonely people": 345, "trust": "67", " crowds 🙂 ": "12/345"}')
    assert read_patterns(path) == (
        Pattern(345, "lonely people"),
        Pattern(67, "trust"),
        Pattern(345, "crowds 🙂", layer=12),
    )


def test_the_list_form_may_share_an_explanation(tmp_path: Path) -> None:
    path = write(tmp_path, '\ufeff[{"explanation": "money", "id": 1}, {"id": 2, "explanation": "money"}]')
    assert read_patterns(path) == (Pattern(1, "money"), Pattern(2, "money"))
    assert read_patterns(write(tmp_path, "{}")) == ()


WRONG = [
    ('{"a": true}', r"a: is no feature id \(got True\)"),
    ('{"a": 12.0}', r"a: is no feature id \(got 12.0\)"),
    ('{"a": -1}', r"is no feature id \(got -1\)"),
    ('{"a": "12/"}', r"is no feature id \(got '12/'\)"),
    ('{"a": "1/2/3"}', "is no feature id"),
    ('{"a": " 1"}', "is no feature id"),
    ('{"a": "\u0661"}', "is no feature id"),
    ('{"a": null}', "is no feature id"),
    ('{"a": 12345678901}', "is no feature id"),
    ('{"a": [1]}', "is no feature id"),
    ('{" ": 1}', "has no explanation"),
    ('{"a": 1, "a": 2}', "'a' stands twice"),
    ('{"a": 1, "b": "1"}', r"b: the feature has an explanation already: 'a' \(got '1'\); keep one"),
    ('[{"explanation": "a", "id": 1}, {"explanation": "a", "id": 1}]', r"\[1\]: the feature has an explanation"),
    ('[{"explanation": "a"}]', r"\[0\]: is no pattern"),
    ('[{"explanation": "a", "id": 1, "layer": 2}]', r"\[0\]: is no pattern"),
    ('[{"explanation": 3, "id": 1}]', r"\[0\]: has no explanation \(got 3\)"),
    ("[1]", r"\[0\]: is no pattern \(got 1\)"),
    ("3", "is neither an object nor a list"),
    ("{", "is not JSON"),
    ('{"a": NaN}', "is not JSON"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_a_mistake_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_patterns(write(tmp_path, text))
    assert "pattern.json" in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere.json: cannot be read"):
        read_patterns(tmp_path / "nowhere.json")
    (tmp_path / "latin.json").write_bytes(b'{"caf\xe9": 1}')
    with pytest.raises(InputError, match="UTF-8"):
        read_patterns(tmp_path / "latin.json")


@given(st.dictionaries(st.text(min_size=1).filter(str.strip), st.integers(0, 10**9 - 1), max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_what_is_written_is_read(tmp_path: Path, patterns: dict[str, int]) -> None:
    path = write(tmp_path, json.dumps(patterns))
    if len(set(patterns.values())) < len(patterns):
        with pytest.raises(InputError, match="explanation already"):
            read_patterns(path)
    else:
        found = read_patterns(path)
        assert [pattern.feature_id for pattern in found] == list(patterns.values())
        # Rows of a table must be valid UTF-8, which JSON's escapes need not be.
        assert all(pattern.explanation.encode("utf-8") for pattern in found)
