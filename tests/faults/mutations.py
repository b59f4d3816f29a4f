"""Damage to a file that people edit: one of every kind that hands and editors do, drawn from a seeded generator.

Each kind takes the file's text and gives its new bytes. Kinds that go by structure work on the parsed tree and write
JSON, which is YAML; kinds that go by letters work on the text as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random

import yaml

At = tuple[str | int, ...]

ODD = (
    *(None, "", " ", 0, -1, 10**9, 10**30, 1.5, -1e308, True, [], {}, [[]], [None], {"a": {"b": 1}}, "x" * 100_000),
    *("{x}", "{{ x }}", "\u202e\u2028\x00", "🎭" * 300, "../../etc/passwd", "/dev/zero", "'; DROP TABLE x; --"),
    *("...", "a\nb", "\x1b[2J"),
)
INSERTED = (
    "\t",
    "{",
    "- ",
    "&a *a",
    "'",
    "\x00",
    "\ufeff",
    ": :",
    "!!python/object/apply:os.system [id]",
    "\u2028",
    "%YAML 9.9\n",
)
BOMB = 'a: &a ["x", "x", "x", "x", "x", "x", "x", "x", "x"]\n' + "".join(
    f"{here}: &{here} [*{last}, *{last}, *{last}, *{last}, *{last}, *{last}, *{last}, *{last}, *{last}]\n"
    for last, here in zip("abcdefgh", "bcdefghi", strict=True)
)


def missing(text: str, rng: Random) -> bytes:
    tree, inner, last = _anywhere(text, rng)
    del inner[last]
    return _written(tree)


def extra(text: str, rng: Random) -> bytes:
    tree, inner, _ = _anywhere(text, rng)
    if isinstance(inner, dict):
        inner[rng.choice(["no_such_field", "", "é", "\u202ename", "x" * 5000])] = rng.choice(ODD)
    else:
        inner.append(rng.choice(ODD))
    return _written(tree)


def odd_value(text: str, rng: Random) -> bytes:
    tree, inner, last = _anywhere(text, rng)
    inner[last] = rng.choice(ODD)
    return _written(tree)


def odd_key(text: str, rng: Random) -> bytes:
    tree, inner, last = _anywhere(text, rng)
    if isinstance(inner, dict):
        inner[f"{last}{rng.choice(['x', ' ', 'é', chr(0x202E), chr(0), chr(10)])}"] = inner.pop(last)
    else:
        inner.insert(0, inner[last])
    return _written(tree)


def not_finite(text: str, rng: Random) -> bytes:
    tree, inner, last = _anywhere(text, rng)
    inner[last] = "@@"
    return _written(tree).replace(b'"@@"', rng.choice([b".nan", b".inf", b"-.inf", b"1e999", b"NaN"]))


def twice(text: str, rng: Random) -> bytes:
    lines = text.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    return "".join([*lines[: at + 1], lines[at], *lines[at + 1 :]]).encode()


def bomb(text: str, rng: Random) -> bytes:
    return (BOMB + text if rng.random() < 0.5 else text + "\n" + BOMB).encode()


def inserted(text: str, rng: Random) -> bytes:
    at = rng.randrange(len(text) + 1)
    return (text[:at] + rng.choice(INSERTED) + text[at:]).encode()


def cut(text: str, rng: Random) -> bytes:
    return text[: rng.randrange(len(text))].encode()


def moved(text: str, rng: Random) -> bytes:
    """A line indented, or two lines exchanged."""
    lines = text.splitlines(keepends=True)
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[other] = f"  {lines[other]}", lines[one]
    return "".join(lines).encode()


def encoded(text: str, rng: Random) -> bytes:
    """Another encoding, or bytes that are none."""
    at = rng.randrange(len(text) + 1)
    broken = text[:at].encode() + rng.choice([b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\x00"]) + text[at:].encode()
    return rng.choice([text.encode("utf-16"), text.encode("utf-8-sig"), broken, text.replace("\n", "\r\n").encode()])


def other(_text: str, rng: Random) -> bytes:
    """Something else altogether."""
    return rng.choice(
        [
            b"",
            b"\n",
            b"# nothing",
            b"[]",
            b"42",
            b"null",
            b"--- a\n--- b\n",
            b"a: [" * 5000,
            b"- " * 2000,
            b"x: " + b"y" * 10**6,
            bytes(range(256)),
            b"PK\x03\x04" + bytes(100),
            b'{"a": 1}',
        ]
    )


KINDS: tuple[Callable[[str, Random], bytes], ...] = (
    *(missing, extra, odd_value, odd_key, not_finite, twice),
    *(bomb, inserted, cut, moved, encoded, other, odd_value, missing),
)
"""Drawn in turn; what is most likely to be overlooked stands twice."""


def _anywhere(text: str, rng: Random) -> tuple[object, dict[str, object], str]:
    """The tree, and a place in it: the mapping or list around it, and its key or index there."""
    tree = yaml.safe_load(text)
    *above, last = rng.choice(_paths(tree))
    inner = tree
    for key in above:
        inner = inner[key]
    return tree, inner, last  # type: ignore[return-value]  # a list takes an index as a mapping takes a key


def _paths(tree: object, at: At = ()) -> list[At]:
    items = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)) if isinstance(tree, list) else []
    return [path for key, value in items for path in [(*at, key), *_paths(value, (*at, key))]]


def _written(tree: object) -> bytes:
    return json.dumps(tree, indent=1, ensure_ascii=False).encode("utf-8", "surrogatepass")
