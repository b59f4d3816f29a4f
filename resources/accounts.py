"""Who answers, and how hard to knock: providers made at first use, one limiter per provider account.

Two entries of the registry that use the same server with the same key share one limiter, because the provider's own
limit is on the account. A local model is not limited here: its batcher wants to see all that waits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from resources.addresses import static_part
from resources.anthropic_provider import AnthropicProvider, anthropic_identity
from resources.ledger import Origin
from resources.limiter import Limiter
from resources.local.weights import adapter_files_hash
from resources.messages import Request
from resources.openai_provider import OpenAIProvider, openai_identity
from resources.providers import Identity, Provider, ProviderFault
from resources.registry import ModelEntry, ProviderName
from resources.steering import Steering, no_steering
from resources.trying import Patience, Persistence
from resources.wire import no_adapter

LOCAL_IN_FLIGHT = 4_096
_LIVE_PER_SLOT = 4
"""Tasks per slot of the window: those beyond the window wait to try again or for their commit."""


def identity_for(entry: ModelEntry, root: Path) -> Identity:
    """Which weights a registry entry names; hashes a local model's files, needs no key and asks nobody."""
    if entry.provider is ProviderName.OPENAI:
        return openai_identity(entry)
    if entry.provider is ProviderName.ANTHROPIC:
        return anthropic_identity(entry)
    return _local(entry, root).identity


def static_for(entry: ModelEntry, root: Path, adapter: str | None, steering: Steering = ()) -> str:
    """The static part of the addresses of a model's questions, with the same needs as `identity_for`."""
    if entry.provider is ProviderName.LOCAL:
        provider = _local(entry, root)
        return static_part(provider.identity, provider.adapter_hash(adapter), provider.steering_hash(steering))
    no_steering(steering)
    if entry.provider is ProviderName.OPENAI and entry.base_url and adapter:
        return static_part(identity_for(entry, root), adapter_files_hash(root / adapter))
    return static_part(identity_for(entry, root), no_adapter(adapter))


def _local(entry: ModelEntry, root: Path) -> Provider:
    from resources.local.provider import LocalProvider

    return LocalProvider(entry, root)


class Accounts:
    """Providers and limiters of one open layer."""

    def __init__(
        self, root: Path, patience: Patience, on_trouble: Callable[[str, ModelEntry, ProviderFault], None]
    ) -> None:
        self._root, self._patience, self._on_trouble = root, patience, on_trouble
        self._providers: dict[str, Provider] = {}
        self._limiters: dict[tuple[str, str | None, str | None], Limiter] = {}
        self._persistence: dict[str, Persistence] = {}
        self._origins: dict[tuple[str, str | None, Steering], Origin] = {}

    def provider(self, entry: ModelEntry) -> Provider:
        """The provider of an entry; an `InputError` when its key or its files are missing."""
        if entry.name not in self._providers:
            self._providers[entry.name] = self._make(entry)
        return self._providers[entry.name]

    def origin(self, entry: ModelEntry, request: Request) -> Origin:
        """Hashes of the weights, adapter and steering that answer a request."""
        key = (entry.name, request.adapter, request.steering)
        if key not in self._origins:
            provider = self.provider(entry)
            adapter, steering = provider.adapter_hash(request.adapter), provider.steering_hash(request.steering)
            self._origins[key] = Origin(provider.identity.weights, adapter, steering)
        return self._origins[key]

    def persistence(self, entry: ModelEntry) -> Persistence:
        """How this entry's requests are tried."""
        if entry.name not in self._persistence:
            patience = self._patience
            if entry.provider is ProviderName.LOCAL:
                patience = replace(patience, attempt_s=None)
            self._persistence[entry.name] = Persistence(
                self._limiter(entry), patience, on_trouble=lambda kind, fault: self._on_trouble(kind, entry, fault)
            )
        return self._persistence[entry.name]

    def live(self, entry: ModelEntry) -> int:
        """How many of an entry's requests may be under way at once, waiting ones included."""
        return self._limiter(entry).maximum * (1 if entry.provider is ProviderName.LOCAL else _LIVE_PER_SLOT)

    def _limiter(self, entry: ModelEntry) -> Limiter:
        account = (entry.provider.value, entry.base_url, entry.api_key_env)
        local = entry.provider is ProviderName.LOCAL
        if local:
            account = (entry.provider.value, entry.name, None)
        if account not in self._limiters:
            maximum = LOCAL_IN_FLIGHT if local else entry.max_concurrency
            self._limiters[account] = Limiter(maximum, max_pause_s=self._patience.max_retry_after_s)
        return self._limiters[account]

    def _make(self, entry: ModelEntry) -> Provider:
        if entry.provider is ProviderName.OPENAI:
            return OpenAIProvider(entry, root=self._root)
        if entry.provider is ProviderName.ANTHROPIC:
            return AnthropicProvider(entry)
        return _local(entry, self._root)

    async def aclose(self) -> None:
        """Close every provider; all are closed even when one fails to, and the first failure is raised."""
        failures: list[Exception] = []
        for provider in self._providers.values():
            try:
                await provider.aclose()
            except Exception as error:
                failures.append(error)
        if failures:
            raise failures[0]
