"""Frames: sentences with a gap that a category's `about` fills, so that many categories are said in the same words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from influence_assets.features.backgrounds import wording
from resources.errors import InputError
from resources.prompts import PromptFile, load_prompt
from resources.yamlfiles import line_of, read_tree

_GAP = "who it is about"


@dataclass(frozen=True)
class Frames:
    """The variants of a prompt file, each of them one sentence with the variable `{about}`."""

    prompt: PromptFile

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the frames, in file order."""
        return tuple(self.prompt.variants)

    def fill(self, name: str, about: str) -> str:
        """The sentence of the frame `name`."""
        return self.prompt.render(name, about=about)[0].content


def load_frames(path: Path) -> Frames:
    """Frames of a prompt file; an `InputError` unless each is one message with `{about}` alone, unlike all others."""
    frames = Frames(load_prompt(path))
    _, lines = read_tree(path)
    owner: dict[str, str] = {}
    for name, messages in frames.prompt.variants.items():
        field, place = f"variants.{name}", f"{path}:{line_of(lines, ('variants', name))}"
        if len(messages) != 1:
            raise InputError("is not one message", place=place, field=field, value=len(messages), fix="write one")
        try:
            filled = wording(frames.fill(name, _GAP))
        except InputError as error:
            raise InputError(error.problem, place=place, field=field, value=error.value, fix=error.fix) from None
        if owner.setdefault(filled, name) != name:
            fix = "say it in other words"
            raise InputError(f"is the frame {owner[filled]} again", place=place, field=field, value=name, fix=fix)
    return frames
