"""What a steering method is, and how the files of `methods/` become methods.

A file in `influence_assets/steerability/methods/` that sets `METHOD` adds a method by its `name`; nothing else has to
be edited. Two kinds: a `SteeringMethod` says what stands before the question and lets the model answer; a `Reference`
answers by itself, without a model, and shows what a score is worth.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from influence_assets.steerability.people import Persona
from resources.asking import Models
from resources.errors import InfluenceError, InputError
from resources.messages import Message, Status
from resources.prompts import PromptFile
from resources.steering import Steering as InsideSteering

if TYPE_CHECKING:
    from influence_assets.steerability.internal import Directions


@dataclass(frozen=True, slots=True)
class Case:
    """One persona to steer to, with the statements that a method may show (none where it shows none)."""

    persona: Persona
    agree: tuple[str, ...]
    disagree: tuple[str, ...]
    n_steer: int
    repeat: int


@dataclass(frozen=True, slots=True)
class Prefix:
    """What stands before the question, and what is done to the model's residual stream while it answers.

    When `status` is not ok the method failed, and so does every answer after it.
    """

    messages: tuple[Message, ...]
    status: Status = Status.OK
    steering: InsideSteering = ()


@dataclass(frozen=True, slots=True)
class Steering:
    """What a method may use to make its prefixes: the model to be steered, the prompts of `methods.yaml`, and, for
    methods that set `needs_directions`, the study's directions."""

    models: Models
    model: str
    prompts: PromptFile
    adapter: str | None = None
    directions: Directions | None = None


@dataclass(frozen=True, slots=True)
class Tests:
    """The statements that a reference point answers, all personas' in one order, as texts."""

    texts: tuple[str, ...]
    seed: int


@runtime_checkable
class SteeringMethod(Protocol):
    """Puts something before the question. `uses_statements`: run for every n_steer and repeat, else once at 0."""

    name: str
    uses_statements: bool

    async def prefixes(self, cases: Sequence[Case], steering: Steering) -> list[Prefix]:
        """One prefix per case, in order."""
        ...


@runtime_checkable
class Reference(Protocol):
    """Answers without a model. Always run, so that every score has something cheap beside it."""

    name: str
    uses_statements: bool

    def p_agree(self, cases: Sequence[Case], tests: Tests) -> NDArray[np.float64]:
        """[cases, tests]: P(agree) for every case and statement."""
        ...


Method = SteeringMethod | Reference


def all_methods() -> dict[str, Method]:
    """Every method by name, in the order of the file names."""
    from influence_assets.steerability import methods

    found: dict[str, Method] = {}
    for info in pkgutil.iter_modules(methods.__path__):
        module = importlib.import_module(f"{methods.__name__}.{info.name}")
        method = getattr(module, "METHOD", None)
        if not isinstance(method, SteeringMethod | Reference):
            raise InfluenceError(f"{module.__file__}: METHOD must be a SteeringMethod or a Reference")
        if method.name in found:
            raise InfluenceError(f"{module.__file__}: another file has the method name {method.name!r}; rename one")
        found[method.name] = method
    return found


def needs_directions(names: Sequence[str]) -> bool:
    """Whether one of the named methods steers from inside, so that the features family must have run before."""
    known = all_methods()
    return any(getattr(known.get(name), "needs_directions", False) for name in names)


def chosen_methods(names: Sequence[str]) -> list[Method]:
    """The methods of a study: `none` first (every score is a gain over it), the named ones, the reference points."""
    known = all_methods()
    for name in names:
        if name not in known:
            raise InputError(
                "no such steering method",
                field="steerability.methods",
                value=name,
                fix=f"use some of {', '.join(known)}, or add influence_assets/steerability/methods/<name>.py",
            )
    references = [name for name, method in known.items() if isinstance(method, Reference)]
    return [known[name] for name in dict.fromkeys(["none", *names, *references])]
