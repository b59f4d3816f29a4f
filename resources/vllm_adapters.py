"""LoRA adapters on a vLLM server, over its own API beside the chat-completions protocol.

`POST /v1/load_lora_adapter` with a name and a path makes the server read the adapter; from then on the name is a model
to ask. The server must run with `--enable-lora` and `VLLM_ALLOW_RUNTIME_LORA_UPDATING=True`, and must see the adapter
under the same absolute path as this machine does: the path is sent, not the files. The name holds the hash of the
files, so that no two checkpoints are ever confused, and a server that has it loaded already has the right one.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from resources.adapters import Adapter, KnownAdapters
from resources.dialect import OFFICIAL_URL, Dialect
from resources.errors import InputError
from resources.registry import ModelEntry
from resources.wire import Secret, no_adapter, no_answer, status_fault

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

_ALREADY = re.compile(r"already (been ?)?loaded", re.I)  # the first versions write "already beenloaded"
_NOT_LOADED = (400, 404, 405, 422, 500)
"""Answers about this adapter or this server's settings, which asking again does not change. Older versions of vLLM say
with 400 what newer ones say with 500: a rank above --max-lora-rank, modules that do not fit."""
_UNLOAD_S = 10.0
_FIX = (
    "start vLLM with --enable-lora, a --max-lora-rank that is large enough and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, "
    "where it sees the project under the same path; or use an entry with provider: local"
)


class ServerAdapters:
    """The adapters of one model entry on its server. Used from one event loop; the client is the provider's."""

    def __init__(self, entry: ModelEntry, root: Path, client: AsyncOpenAI, secret: Secret) -> None:
        self._entry, self._client, self._secret = entry, client, secret
        self._official = Dialect(entry.base_url).official
        self._known = KnownAdapters(root)
        self._locks: dict[Adapter, asyncio.Lock] = {}
        self._loaded: set[Adapter] = set()
        self._ours: set[Adapter] = set()

    def hash_of(self, adapter: str | None) -> str:
        """sha256 of the adapter's files; empty without one. An `InputError` for the protocol's owner, which takes
        none: a path of this machine is not even sent there."""
        if self._official:
            return no_adapter(adapter)
        found = self._known.find(adapter)
        return found.digest if found else ""

    async def model_for(self, adapter: str | None) -> str:
        """What to name as the model: the entry's own, or an adapter's name once the server has loaded it.

        Raises `InputError` when the server cannot load it, `ProviderFault` when it could not be asked.
        """
        self.hash_of(adapter)
        found = self._known.find(adapter)
        if found is None:
            return self._entry.model
        async with self._locks.setdefault(found, asyncio.Lock()):
            if found not in self._loaded:
                await self._load(found)
                self._loaded.add(found)
        return _name(found)

    def forget(self, adapter: str | None) -> None:
        """The server no longer knows the adapter (restarted, or another run unloaded it): load it at the next use."""
        found = self._known.find(adapter)
        if found is not None:
            self._loaded.discard(found)

    async def aclose(self) -> None:
        """Unloads what this provider made the server load; a server that does not answer is left alone."""
        import openai

        for adapter in self._ours:
            with suppress(openai.APIError):
                await self._post("unload_lora_adapter", {"lora_name": _name(adapter)}, timeout_s=_UNLOAD_S)
        self._ours.clear()
        self._loaded.clear()

    async def _load(self, adapter: Adapter) -> None:
        import openai

        adapter.check_unchanged()
        path = str(adapter.directory.absolute())
        try:
            await self._post("load_lora_adapter", {"lora_name": _name(adapter), "lora_path": path})
            self._ours.add(adapter)
        except openai.APIStatusError as error:
            if not _ALREADY.search(error.message):
                raise self._refusal(error, path) from None
        except openai.APIConnectionError as error:
            raise no_answer(error, self._secret, "the server did not load the adapter in time") from None

    async def _post(self, verb: str, body: dict[str, str], timeout_s: float | None = None) -> None:
        root = (self._entry.base_url or OFFICIAL_URL).rstrip("/").removesuffix("/v1")
        client = self._client if timeout_s is None else self._client.with_options(timeout=timeout_s)
        await client.post(f"{root}/v1/{verb}", cast_to=str, body=body)

    def _refusal(self, error: APIStatusError, path: str) -> Exception:
        told = self._secret.redact(error.message)
        if error.status_code not in _NOT_LOADED:
            return status_fault(error.status_code, told, error.response.headers)
        return InputError(
            f"the server of model {self._entry.name!r} does not load this adapter: HTTP {error.status_code}: {told}",
            field="adapter",
            value=path,
            fix=_FIX,
        )


def _name(adapter: Adapter) -> str:
    return f"influence-{adapter.digest[:32]}"
