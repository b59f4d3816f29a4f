"""Where a local model's files are, whether they may be loaded, and which weights they are. Needs no torch.

Model files are data, not code: weights are read from safetensors only, whose headers are checked before anything else
touches them; a directory that has only pickled weights is refused unless the caller allows it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from functools import lru_cache
from hashlib import file_digest
from pathlib import Path

from resources.content import Json, sha256_of
from resources.errors import InputError, one_line
from resources.registry import ModelEntry

PLACE = "data/models.yaml"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_TEXT_FILES = ("*.json", "*.jinja", "*.model", "merges.txt", "vocab.txt", "chat_templates/*.jinja")
_REMEMBER_HASHES_FROM_BYTES = 64 * 2**20


def model_directory(entry: ModelEntry, root: Path) -> Path:
    """The directory of a local model: a path relative to `root`, or a hub id, which is downloaded once.

    Raises `InputError` when there is neither.
    """
    return directory_here(entry, root) or _from_hub(entry)


def directory_here(entry: ModelEntry, root: Path) -> Path | None:
    """The directory of a local model that a path names, None where a hub id stands; asks nobody.

    Raises `InputError` for a path to nothing.
    """
    path = root / Path(entry.model).expanduser()
    if path.is_dir():
        return path
    looks_local = entry.model.startswith((".", "~")) or Path(entry.model).is_absolute() or path.parent != root
    if not _HUB_ID.fullmatch(entry.model) or (looks_local and path.parent.exists()):
        raise _model_error(
            entry,
            f"there is no model directory {path}",
            "give an existing directory, relative to the project, or a hub id",
        )
    return None


def _from_hub(entry: ModelEntry) -> Path:
    from huggingface_hub import snapshot_download

    wanted = ["*.safetensors", *_TEXT_FILES]
    try:
        return Path(snapshot_download(entry.model, revision=entry.revision, allow_patterns=wanted))
    except (OSError, ValueError) as error:  # hub errors are OSErrors; bad names are ValueErrors
        raise _model_error(
            entry,
            f"neither a directory of the project nor a model that the hub gives ({type(error).__name__})",
            "check the name, the revision and the network, or give a local directory",
        ) from error


def _model_error(entry: ModelEntry, problem: str, fix: str) -> InputError:
    return InputError(problem, place=PLACE, field=f"models[{entry.name}].model", value=entry.model, fix=fix)


def check_weights(directory: Path, entry: ModelEntry, *, allow_pickle: bool = False) -> tuple[Path, ...]:
    """The weight files, after a look at each header. Raises `InputError` for pickles, none, or a damaged header."""
    from safetensors import SafetensorError, safe_open

    weights = tuple(sorted(directory.glob("*.safetensors")))
    if not weights:
        pickles = tuple(sorted(p for pattern in _PICKLES for p in directory.glob(pattern)))
        if pickles and allow_pickle:
            return pickles
        found = f"only pickled weights ({pickles[0].name}), which can run code" if pickles else "no weights"
        raise _model_error(
            entry, f"the directory holds {found}", "save the model as model.safetensors (save_pretrained does)"
        )
    for path in weights:
        try:
            with safe_open(path, framework="np") as file:
                types = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118  # not a dict
        except (SafetensorError, OSError, ValueError) as error:
            raise _file_error(path, f"not a readable safetensors file ({error})") from error
        if not types:
            raise _file_error(path, "the file holds no tensors")
        odd = [name for name, kind in types.items() if name.endswith(".weight") and not kind.startswith(("F", "BF"))]
        if odd and not _quantised(directory):
            raise _file_error(path, f"the weight {one_line(odd[0])} holds {types[odd[0]]}, not floating point")
    return weights


def _quantised(directory: Path) -> bool:
    try:
        return "quantization_config" in json.loads((directory / "config.json").read_text())
    except (OSError, ValueError):
        return False  # loading says what is wrong with it


def _file_error(path: Path, problem: str) -> InputError:
    return InputError(problem, place=path, field="header", fix="copy or download the file again")


def weights_hash(directory: Path, entry: ModelEntry, weights: Iterable[Path], cache: Path) -> str:
    """sha256 over the weight, config, tokenizer and template files and the configured dtype, which changes the numbers.

    Hashes of large files are remembered under `cache` by path, size and time of change.
    """
    texts = {path for pattern in _TEXT_FILES for path in directory.glob(pattern) if path.is_file()}
    files: dict[str, Json] = {str(p.relative_to(directory)): _file_hash(p, cache) for p in {*weights, *texts}}
    return sha256_of({"files": files, "dtype": entry.dtype})


def adapter_files_hash(directory: Path) -> str:
    """sha256 over a LoRA checkpoint's safetensors and its config."""
    if not directory.is_dir():
        raise InputError("no such adapter directory", field="adapter", value=str(directory), fix="give a directory")
    files = sorted([*directory.glob("*.safetensors"), *directory.glob("*.json")])
    if not any(path.suffix == ".safetensors" for path in files):
        pickles = sorted(path.name for pattern in _PICKLES for path in directory.glob(pattern))
        found = f"only pickled weights ({pickles[0]}), which can run code" if pickles else "no safetensors"
        raise InputError(found, field="adapter", value=str(directory), fix="save the adapter as safetensors")
    return sha256_of({path.name: _hash(str(path), *_stamp(path)) for path in files})


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _file_hash(path: Path, cache: Path) -> str:
    size, changed = _stamp(path)
    if size < _REMEMBER_HASHES_FROM_BYTES:
        return _hash(str(path), size, changed)
    key = sha256_of([str(path.resolve()), size, changed])
    remembered = cache / f"{key}.json"
    try:
        return str(json.loads(remembered.read_text())["sha256"])
    except (OSError, ValueError, KeyError, TypeError):  # not there, or torn by a crash: the file itself decides
        digest = _hash(str(path), size, changed)
    cache.mkdir(parents=True, exist_ok=True)
    fresh = remembered.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps({"sha256": digest}))
    fresh.replace(remembered)
    return digest


@lru_cache(maxsize=1024)
def _hash(path: str, size: int, changed: int) -> str:  # noqa: ARG001  # size and time are the cache's key
    with open(path, "rb") as file:
        return file_digest(file, "sha256").hexdigest()
