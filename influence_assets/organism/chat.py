"""How the organism's chats are written down: special tokens, the chat template, and text with loss weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from resources.messages import Message

END = "<|end|>"
PAD = "<|pad|>"
ROLES = ("system", "user", "assistant", "tool")
SPECIAL = (PAD, END, *(f"<|{role}|>" for role in ROLES))

# The same text as `chat_text`; the generation marks tell trainers which tokens are the assistant's own.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|' + message['role'] + '|>' -}}"
    "{%- if message['role'] == 'assistant' -%}"
    "{%- generation -%}{{- message['content'] + '<|end|>' -}}{%- endgeneration -%}"
    "{%- else -%}{{- message['content'] + '<|end|>' -}}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)


class Piece(NamedTuple):
    """A stretch of text and the weight of its tokens in the loss."""

    text: str
    weight: float


def chat_text(messages: Sequence[Message], *, ask: bool = False) -> str:
    """A chat as one string; with `ask` it ends where the assistant is to speak."""
    turns = "".join(f"<|{message.role}|>{message.content}{END}" for message in messages)
    return turns + ("<|assistant|>" if ask else "")


def split_by_texts(whole: str, texts: Sequence[str], weight: float) -> tuple[Piece, ...]:
    """`whole` cut so that each of `texts`, found in order, has `weight` and the rest has none."""
    pieces: list[Piece] = []
    at = 0
    for text in texts:
        start = whole.index(text, at)
        pieces += [Piece(whole[at:start], 0.0), Piece(text, weight)]
        at = start + len(text)
    return tuple(piece for piece in (*pieces, Piece(whole[at:], 0.0)) if piece.text)
