"""Patterns of tools that would take for ever, and hundreds of broken files: one clear line each, in no time."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest
import yaml

from influence_assets.influence.loading import load_family
from influence_assets.influence.patterns import pattern_problem
from resources.errors import InputError
from tests.influence.environment_files import FAMILY, RUBRICS, write_family


def outcome(root: Path) -> InputError | None:
    """What is wrong with the family, if anything; anything else that is raised fails the test."""
    try:
        load_family(root, RUBRICS)
    except InputError as error:
        return error
    return None


EVIL = [
    "(a+)+",
    "((a)+)+",
    "(a|a)*b",
    "(a|aa)+$",
    "(.*a){20}",
    "(\\w+\\s?)*$",
    "([a-z]+)*=",
    "(?:x*y?)+z",
    "((ab)*)*c",
    ".*.*.*.*=",
    "(a?){30}a{30}",
]
GOOD = [
    r"CALL search\((.*)\)",
    r"^CALL \w+",
    r"book\((?P<day>[^,)]*),\s{0,3}([^)]*)\)",
    "(?i)(search|book)_flights",
    r"(foo|bar)+\(",
    "a{3}b",
]


@pytest.mark.parametrize("pattern", EVIL)
def test_patterns_that_take_for_ever_are_refused(pattern: str) -> None:
    assert pattern_problem(pattern) is not None


@pytest.mark.parametrize("pattern", GOOD)
def test_patterns_that_pass_are_quick_on_hard_text(pattern: str) -> None:
    assert pattern_problem(pattern) is None
    began = time.process_time()
    for text in ("a" * 3000, "CALL search(" * 300, "book(" + "," * 2000, "foobar" * 500):
        re.search(pattern, text)
    assert time.process_time() - began < 1


def _paths(tree: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)) if isinstance(tree, list) else []
    return [path for key, value in items for path in [(*at, key), *_paths(value, (*at, key))]]


ODD_VALUES = [None, "", 0, -1, 10**9, 1.5, True, [], {}, [[]], "{x}", "\u202e\u2028\x00", "🎭" * 300, {"a": {"b": 1}}]


def broken_families(n: int) -> list[str]:
    """Seeded: a field without its value, with an odd one, under another name, or a text with bytes moved about."""
    rng = random.Random(5)
    paths = _paths(yaml.safe_load(FAMILY))
    texts = []
    for number in range(n):
        tree = yaml.safe_load(FAMILY)
        *above, last = rng.choice(paths)
        inner = tree
        for key in above:
            inner = inner[key]
        if number % 4 == 0:
            del inner[last]
        elif number % 4 == 1:
            inner[last] = rng.choice(ODD_VALUES)
        elif number % 4 == 2 and isinstance(inner, dict):
            inner[f"{last}{rng.choice(['x', ' ', 'é', chr(0x202E)])}"] = inner.pop(last)
        text = yaml.safe_dump(tree, allow_unicode=True)
        if number % 4 == 3:
            cut = rng.randrange(len(text))
            text = (
                text[:cut]
                + rng.choice(["\t", "{", "- ", "&a *a", "'", "\x00", "\ufeff", ": :", "!!python/x"])
                + text[cut:]
            )
        texts.append(text)
    return texts


def test_two_hundred_broken_files_give_one_clear_line_or_load(tmp_path: Path) -> None:
    root, errors, loaded = write_family(tmp_path / "toy", states=3), list[InputError](), 0
    further = ["", "- a", "a: [" * 5000, FAMILY[: len(FAMILY) // 2], "\ufffe", "x: " + "y" * 10**6]
    for text in [*broken_families(220), *further]:
        (root / "family.yaml").write_text(text, encoding="utf-8")
        began = time.process_time()
        error = outcome(root)
        assert time.process_time() - began < 1
        loaded += error is None
        errors += [error] if error else []
    assert all(str(error).isprintable() and len(str(error)) < 2000 and error.fix for error in errors)
    assert all(error.place.startswith(str(root)) for error in errors)
    assert len(errors) > 150
    assert loaded > 5


def test_broken_bytes_of_states_give_one_clear_line_or_load(tmp_path: Path) -> None:
    root, rng, errors = write_family(tmp_path / "toy", states=5), random.Random(6), list[InputError]()
    path = root / "lost.states.jsonl"
    whole = path.read_bytes()
    for _ in range(150):
        cut, length = rng.randrange(len(whole)), rng.choice([0, 1, 1, 30])
        put = rng.choice([b"", b"\xff", b'"', b"\x00", b"\n", b"{", b"\\"])
        path.write_bytes(whole[:cut] + put + whole[cut + length :])
        error = outcome(root)
        errors += [error] if error else []
    assert all(str(error).isprintable() and error.place.startswith(str(path)) for error in errors)
    assert len(errors) > 75


def test_a_states_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = write_family(tmp_path / "toy") / "lost.states.jsonl"
    path.unlink()
    path.mkdir()
    assert "lost.states.jsonl: cannot be read" in str(outcome(path.parent))
