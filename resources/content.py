"""The one place that hashes content: canonical JSON in, hex digest out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"


def canonical(value: Json) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces; NaN is refused, lone surrogates are kept as escapes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def sha256_of(value: Json) -> str:
    """64 hex digits that name a JSON value."""
    return hashlib.sha256(canonical(value)).hexdigest()


def sha256_of_files(paths: Iterable[Path]) -> str:
    """64 hex digits that name a set of files by name and content, in name order."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(hashlib.sha256(path.name.encode("utf-8", "surrogatepass")).digest())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
