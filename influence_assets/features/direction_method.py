"""What a method of finding directions is, and how the files of `directions/` become methods.

A file in `influence_assets/features/directions/` that sets `METHOD` adds a method by its `name`; nothing else has to be
edited. Methods are deterministic: the same contrast gives the same bits on one machine.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol, runtime_checkable

from influence_assets.features.direction_contrast import Contrast, Found
from resources.errors import InfluenceError, InputError


class Reads(StrEnum):
    """Which activations a method is to be given.

    `text`: of contrast texts. `answer`: at the answer letter of items with either option's letter appended.
    `response`: averaged over the tokens of a response. `nothing`: only the width matters.
    """

    TEXT = "text"
    ANSWER = "answer"
    RESPONSE = "response"
    NOTHING = "nothing"


@runtime_checkable
class DirectionMethod(Protocol):
    """Finds unit vectors that point from the negative to the positive side.

    `default`: whether a study that names no methods runs it. `paired`: whether it needs paired sides. `uses_sae`:
    whether it needs an SAE.
    """

    name: str
    reads: Reads
    default: bool
    paired: bool
    uses_sae: bool

    def find(self, contrast: Contrast) -> tuple[Found, ...]:
        """The vectors, by index from 0; most methods find one. Raises `InputError` when there is none."""
        ...


def all_directions() -> dict[str, DirectionMethod]:
    """Every method by name, in the order of the file names."""
    from influence_assets.features import directions

    found: dict[str, DirectionMethod] = {}
    for info in pkgutil.iter_modules(directions.__path__):
        module = importlib.import_module(f"{directions.__name__}.{info.name}")
        method = getattr(module, "METHOD", None)
        if not isinstance(method, DirectionMethod):
            raise InfluenceError(f"{module.__file__}: METHOD must be a DirectionMethod")
        if method.name in found:
            raise InfluenceError(f"{module.__file__}: another file has the method name {method.name!r}; rename one")
        found[method.name] = method
    return found


def chosen_directions(names: Sequence[str]) -> list[DirectionMethod]:
    """The named methods once each, in order; the default ones when none is named."""
    known = all_directions()
    for name in names:
        if name not in known:
            raise InputError(
                "no such direction method",
                field="features.directions",
                value=name,
                fix=f"use some of {', '.join(known)}, or add influence_assets/features/directions/<name>.py",
            )
    if not names:
        return [method for method in known.values() if method.default]
    return [known[name] for name in dict.fromkeys(names)]


def need_pairs(contrast: Contrast, method: str) -> None:
    """Raise `InputError` unless the sides are paired."""
    if not contrast.paired:
        raise InputError(
            "the method needs pairs, but the two sides are not paired",
            field=method,
            fix="give both versions of every example in one order, or use difference_in_means",
        )
