"""Tiny random models of several architectures, opened as the features family opens a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resources.local.opened import OpenModel, opened
from tests.resources.local.conftest import entry_of, write_model

KINDS = ("llama", "gpt2", "gemma3")
"""One set of module names, of norms and of attention masks each."""


@contextmanager
def tiny_open(folder: Path, kind: str = "llama", dtype: str = "float64") -> Iterator[OpenModel]:
    """A model of that kind with weights that never learned anything."""
    directory = write_model(folder / kind, kind)
    with opened(entry_of(directory, dtype=dtype, device="cpu"), folder) as model:
        yield model
