"""The one place that renders prompts.

A prompt file is YAML: `about`, optional `options` (the closed set of answers), and `variants`, each a list of
messages. `{name}` stands for a variable and is filled exactly once: a value that happens to hold braces, text that a
model wrote above all, is never formatted again. A missing or an unused variable is an error, not an empty string.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from resources.errors import InputError
from resources.messages import Message
from resources.yamlfiles import load_yaml

_VARIABLE = re.compile(r"\{([a-z_]+)\}")

Value = str | int | Sequence[str]


class PromptFile(BaseModel):
    """One file of `data/prompts/`: variants of one prompt, each a list of messages."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: str = Field(min_length=1)
    options: tuple[str, ...] = ()
    variants: dict[str, tuple[Message, ...]] = Field(min_length=1)

    def render(self, variant: str, /, **values: Value) -> tuple[Message, ...]:
        """The messages of one variant with every `{variable}` filled once; lists become lines of `- item`."""
        if variant not in self.variants:
            raise InputError(
                "no such prompt variant", field="variants", value=variant, fix=f"use one of {', '.join(self.variants)}"
            )
        messages = self.variants[variant]
        wanted = {name for message in messages for name in _VARIABLE.findall(message.content)}
        if wanted != set(values):
            raise InputError(
                "the prompt's variables are not the values given",
                field=f"variants.{variant}",
                value=sorted(wanted ^ set(values)),
                fix=f"the prompt wants exactly {', '.join(sorted(wanted))}",
            )
        return tuple(Message(role=message.role, content=_fill(message.content, values)) for message in messages)


def _fill(template: str, values: Mapping[str, Value]) -> str:
    return _VARIABLE.sub(lambda match: _text(values[match.group(1)]), template)


def _text(value: Value) -> str:
    if isinstance(value, str | int):
        return str(value)
    return "\n".join(f"- {item}" for item in value)


@lru_cache(maxsize=256)
def load_prompt(path: Path) -> PromptFile:
    """A prompt file, validated; read once per process."""
    return load_yaml(path, PromptFile)
