"""Loads a causal language model and its tokenizer. Imports torch: import this module inside functions."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from resources.errors import InputError, one_line
from resources.registry import ModelEntry

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_DTYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_ONE_AT_A_TIME = threading.Lock()
"""`from_pretrained` changes global state while it runs: of two at once, one finds its tied weights missing."""

_SMALL = 50_000_000
"""Below so many parameters one thread is fastest on a busy machine."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready for inference. `context` is the longest sequence it takes, None when it names no limit."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    context: int | None
    eos: frozenset[int]


def load(directory: Path, entry: ModelEntry, *, allow_pickle: bool = False) -> Loaded:
    """Model and tokenizer of a directory whose weight files were checked.

    dtype `auto` is the checkpoint's own on a GPU and float32 on a CPU; device `auto` is `cuda` where there is one.
    Raises `InputError` for settings that do not exist and for files that do not make a model: every weight must be
    there, in the right shape.
    """
    device = _device(entry)
    dtype = _dtype(entry, device)
    with _ONE_AT_A_TIME, _quiet():
        tokenizer, model, report = _from_files(directory, dtype, allow_pickle)
    _refuse_misfits(directory, report)
    # On a GPU cuDNN's attention makes a plan for every new shape, 2.5 ms and more, and every step of decoding and of
    # training has a new one.
    torch.backends.cuda.enable_cudnn_sdp(False)
    model.to(device)
    model.train(False).requires_grad_(False)
    if "OMP_NUM_THREADS" not in os.environ and model.num_parameters() < _SMALL and device.type == "cpu":
        torch.set_num_threads(1)
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return Loaded(model, tokenizer, device, context, _end_tokens(model, tokenizer))


def _from_files(
    directory: Path, dtype: torch.dtype | str, allow_pickle: bool
) -> tuple[PreTrainedTokenizerBase, PreTrainedModel, object]:
    try:
        tokenizer = AutoTokenizer.from_pretrained(directory, trust_remote_code=False)
        model, report = cast(
            "tuple[PreTrainedModel, object]",
            AutoModelForCausalLM.from_pretrained(
                directory,
                dtype=dtype,
                trust_remote_code=False,
                use_safetensors=None if allow_pickle else True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            ),
        )
    except Exception as error:  # a library boundary: whatever it raises, the files or the settings are what is wrong
        problem = f"transformers cannot load this model: {type(error).__name__}: {one_line(str(error), 300)}"
        raise InputError(problem, place=directory, fix="check the files, or download the model again") from error
    return tokenizer, model, report


@contextmanager
def _quiet() -> Iterator[None]:
    """No bars and no warnings while loading: what matters of them becomes an error here."""
    bars, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _device(entry: ModelEntry) -> torch.device:
    name = entry.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built with CUDA
        raise InputError(
            "this machine has no such device",
            place="data/models.yaml",
            field=f"models[{entry.name}].device",
            value=entry.device,
            fix="use auto, cpu, cuda or cuda:0",
        ) from error
    return device


def _dtype(entry: ModelEntry, device: torch.device) -> torch.dtype | str:
    if entry.dtype == "auto":
        return torch.float32 if device.type == "cpu" else "auto"
    if entry.dtype not in _DTYPES:
        raise InputError(
            "no such dtype",
            place="data/models.yaml",
            field=f"models[{entry.name}].dtype",
            value=entry.dtype,
            fix=f"use auto, {', '.join(_DTYPES)}",
        )
    return _DTYPES[entry.dtype]


def _refuse_misfits(directory: Path, report: object) -> None:
    """A missing weight would be filled at random. Left-over ones are usual (extra heads, other modalities)."""
    found = report if isinstance(report, dict) else vars(report)
    for kind in ("missing_keys", "mismatched_keys", "error_msgs"):
        names = sorted(map(str, found.get(kind) or ()))
        if names:
            raise InputError(
                f"the weights do not fit config.json: {kind.replace('_', ' ')}",
                place=directory,
                value=names[:3],
                fix="use the weights and the config of one and the same model",
            )


def _end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Every token that ends a turn: the generation config's (one or many), the model's and the tokenizer's."""
    ends: set[int] = set()
    generation = getattr(model, "generation_config", None)
    for source in (generation, model.config, tokenizer):
        ids = getattr(source, "eos_token_id", None)
        ends.update([ids] if isinstance(ids, int) else ids or ())
    return frozenset(ends)
