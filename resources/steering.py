"""What is done to a model's residual stream while it answers, as requests name it. Needs no torch.

A push names a direction file (relative to the project), what is done along it, how strongly, and at which positions.
A coefficient means the same for every vector: it counts mean residual norms at the vector's layer (the file's `scale`).
A reply's address holds the hash of the file, so the file that steers must be the one that was hashed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import file_digest
from pathlib import Path

from resources.content import sha256_of
from resources.errors import InputError


class Mode(StrEnum):
    """What is done with the stream h along a unit vector v, with c the coefficient and s the file's scale.

    ADD: h + c s v. CLAMP: h + (c s - f(h)) v. ABLATE: h - (v.h) v, whatever c. CAP: h - max(0, f(h) - c s) v.
    f(h) is v.h, or what the file's own encoder reads (an SAE's latent).
    """

    ADD = "add"
    CLAMP = "clamp"
    ABLATE = "ablate"
    CAP = "cap"


class Positions(StrEnum):
    """Where. Counted from the end of the prompt, so that it makes no difference how a sequence is computed.

    PROMPT: the prompt's tokens. LAST: the prompt's last one alone. GENERATED: every token after the prompt.
    ALL_BUT_LAST: the prompt without its last token (what a public project does: the scored position and everything
    that is generated stay as they are).
    """

    ALL = "all"
    PROMPT = "prompt"
    LAST = "last"
    GENERATED = "generated"
    ALL_BUT_LAST = "all_but_last"


@dataclass(frozen=True, slots=True)
class Push:
    """One change of the residual stream. `file` is a direction file, relative to the project."""

    file: str
    coefficient: float
    mode: Mode = Mode.ADD
    positions: Positions = Positions.ALL

    @property
    def does_nothing(self) -> bool:
        """Nothing added is nothing done: such a push is left out, so that it is the base model bit for bit."""
        return self.mode is Mode.ADD and self.coefficient == 0.0


Steering = tuple[Push, ...]
"""All pushes of a request, done in this order where they meet in one layer. Empty: the model as it is."""


@dataclass(frozen=True, slots=True)
class FoundPush:
    """A push with its file, and the sha256 that the file had when it was first asked for."""

    path: Path
    digest: str
    coefficient: float
    mode: Mode
    positions: Positions

    def check_unchanged(self) -> None:
        """Raises `InputError` when the file is no longer that of the hash."""
        if _digest(self.path) != self.digest:
            raise InputError(
                "the direction's file changed while it was in use",
                place=self.path,
                field="steering",
                fix="write every direction to a file of its own, and run again",
            )


def steering_hash(found: tuple[FoundPush, ...]) -> str:
    """What of a steering belongs to a reply's address; empty for none."""
    if not found:
        return ""
    return sha256_of([[push.digest, push.coefficient, push.mode.value, push.positions.value] for push in found])


def no_steering(steering: Steering) -> str:
    """The hash for models whose inside cannot be reached; an `InputError` when they should be steered."""
    if not steering:
        return ""
    raise InputError(
        "only local models can be steered from inside",
        place="data/models.yaml",
        field="steering",
        value=steering[0].file,
        fix="use an entry with provider: local, or a steering method that works by prompt",
    )


class KnownDirections:
    """The direction files that one provider was asked for. Looks at each once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._digests: dict[str, str] = {}

    def find(self, steering: Steering) -> tuple[FoundPush, ...]:
        """The pushes that do something. Raises `InputError` when there is no such file."""
        return tuple(self._find(push) for push in steering if not push.does_nothing)

    def _find(self, push: Push) -> FoundPush:
        path = self._root / push.file
        if push.file not in self._digests:
            self._digests[push.file] = _digest(path)
        return FoundPush(path, self._digests[push.file], push.coefficient, push.mode, push.positions)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(
            f"there is no such direction file ({error.strerror})",
            field="steering",
            value=str(path),
            fix="materialize features/directions, or name a file that exists",
        ) from error
