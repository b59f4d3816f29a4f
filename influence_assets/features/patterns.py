"""Import of pattern files: which SAE latent somebody else found for which explanation.

A pattern file is JSON, either `{"explanation": id, ...}` or `[{"explanation": ..., "id": ...}, ...]`. An id is a whole
number, alone or as text, or `"layer/number"`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from influence_assets.influence.strict_json import strict_json
from influence_assets.personas.words import storable
from resources.content import Json
from resources.errors import InputError

_ID = re.compile(r"(?:(?P<layer>[0-9]{1,9})/)?(?P<latent>[0-9]{1,9})")
_FIELDS = {"explanation", "id"}


@dataclass(frozen=True, slots=True)
class Pattern:
    """What an SAE latent is said to stand for. `layer` is None where the file does not name one."""

    feature_id: int
    explanation: str
    layer: int | None = None


def read_patterns(path: Path) -> tuple[Pattern, ...]:
    """The patterns of a file, in its order.

    Several latents may share an explanation. Raises `InputError` with file, field, value and fix when the file is not
    JSON of one of the two forms, an explanation is blank, an id is none, or a latent has two explanations.
    """
    patterns: dict[tuple[int | None, int], Pattern] = {}
    for field, explanation, identity in _entries(path, _tree(path)):
        pattern = _pattern(path, field, explanation, identity)
        known = patterns.setdefault((pattern.layer, pattern.feature_id), pattern)
        if known is not pattern:
            raise InputError(
                f"the feature has an explanation already: {known.explanation!a}",
                place=path,
                field=field,
                value=identity,
                fix="keep one of the two",
            )
    return tuple(patterns.values())


def _tree(path: Path) -> Json:
    try:
        return strict_json(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", place=path, fix="mend the path or its rights") from None
    except ValueError as error:
        raise InputError(f"is not JSON in UTF-8: {str(error)[:200]}", place=path, fix="mend the syntax") from None


def _entries(path: Path, tree: Json) -> Iterator[tuple[str, Json, Json]]:
    """Every entry as (where it stands, explanation, id)."""
    if isinstance(tree, dict):
        yield from ((explanation, explanation, identity) for explanation, identity in tree.items())
    elif isinstance(tree, list):
        for index, item in enumerate(tree):
            if not isinstance(item, dict) or set(item) != _FIELDS:
                fix = 'write {"explanation": ..., "id": ...}'
                raise InputError("is no pattern", place=path, field=f"[{index}]", value=item, fix=fix)
            yield f"[{index}]", item["explanation"], item["id"]
    else:
        raise InputError("is neither an object nor a list", place=path, value=tree, fix='write {"explanation": id}')


def _pattern(path: Path, field: str, explanation: Json, identity: Json) -> Pattern:
    if not isinstance(explanation, str) or not explanation.strip():
        raise InputError("has no explanation", place=path, field=field, value=explanation, fix="say what it stands for")
    # JSON's true is Python's 1, and its 12.0 would be taken for 12.
    found = _ID.fullmatch(str(identity)) if type(identity) in (int, str) else None
    if found is None:
        raise InputError(
            "is no feature id", place=path, field=field, value=identity, fix='write 345, "345" or "12/345" (layer/id)'
        )
    return Pattern(int(found["latent"]), storable(explanation).strip(), int(found["layer"]) if found["layer"] else None)
