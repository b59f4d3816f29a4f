"""A local checkpoint in hand, for work that needs more of a model than its answers: activations, directions, costs.

Questions go through the model layer (`resources/models.py`), which remembers and accounts; this is for the inside.
Imports torch: import this module inside functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from resources.adapters import KnownAdapters
from resources.errors import InputError
from resources.local.adapters import Adapters
from resources.local.chat import Chat
from resources.local.loading import load
from resources.local.weights import check_weights, model_directory
from resources.registry import ModelEntry, ProviderName

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class OpenModel:
    """A model with its LoRA adapter (if any) already put on, its tokenizer and its chat template."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    chat: Chat
    context: int | None

    @property
    def width(self) -> int:
        """Width of the residual stream."""
        return int(self.model.config.get_text_config().hidden_size)


@contextmanager
def opened(entry: ModelEntry, root: Path, adapter: str | None = None) -> Iterator[OpenModel]:
    """A local model of the registry, with a LoRA checkpoint (a directory relative to `root`) put on it.

    Raises `InputError` when the entry is not a local model, and as loading does.
    """
    if entry.provider is not ProviderName.LOCAL:
        raise InputError(
            "its inside can be seen of local models only",
            place="data/models.yaml",
            field=f"models[{entry.name}].provider",
            value=entry.provider.value,
            fix="add an entry with provider: local for the same weights",
        )
    directory = model_directory(entry, root)
    check_weights(directory, entry)
    loaded = load(directory, entry)
    adapters = Adapters(loaded.model)
    adapters.wear(KnownAdapters(root).find(adapter))
    try:
        yield OpenModel(loaded.model, loaded.tokenizer, loaded.device, Chat(loaded.tokenizer), loaded.context)
    finally:
        adapters.wear(None)
