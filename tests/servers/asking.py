"""Small builders for tests that ask models through a scripted server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from resources.messages import Message, Request, Role, Sampling
from resources.models import ModelLayer, Settings, open_models
from resources.registry import Registry
from resources.replyfile import ReplyFile
from resources.replystore import ReplyStore
from resources.trying import Patience

QUICK = Settings(patience=Patience(attempt_s=2.0, deadline_s=5.0, base_s=0.01, cap_s=0.1, max_retry_after_s=0.2))
"""Patience for tests: everything is tried again soon and given up within seconds."""


def registry(url: str, **fields: Any) -> Registry:
    """Two models on one scripted server: `gpt` speaks chat completions, `claude` the messages protocol."""
    price = {"input": 1.0, "cached_input": 0.5, "output": 2.0}
    common = {"price": price, **fields}
    return Registry.model_validate(
        {
            "models": [
                {"name": "gpt", "provider": "openai", "model": "gpt-x", "base_url": url + "/v1", **common},
                {"name": "claude", "provider": "anthropic", "model": "claude-x", "base_url": url, **common},
            ]
        }
    )


def ask(
    text: str = "hello", *, model: str = "gpt", sample: int = 0, role: Role = Role.AGENT, **sampling: Any
) -> Request:
    """A request of one system and one user message."""
    messages = (Message(role="system", content="Be brief."), Message(role="user", content=text))
    return Request(model, messages, role, Sampling(**sampling), sample)


@asynccontextmanager
async def layer(
    models: Registry, folder: Path, *, settings: Settings = QUICK, replies: ReplyStore | None = None, **named: Any
) -> AsyncIterator[ModelLayer]:
    """An open model layer on `replies`, or else on `folder/replies.sqlite`."""
    named = {"run_id": "run", "asset": "asset", "partition": "gpt", **named}
    store = replies or ReplyFile(folder / "replies.sqlite")
    async with open_models(models, store, root=folder, settings=settings, **named) as models_:
        yield models_
