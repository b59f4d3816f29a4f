"""What both wire protocols share: keys, Retry-After, seeds, and turning what went wrong into a `ProviderFault`.

A key is read from the environment and goes into the SDK's client, nowhere else; whatever text comes back from an SDK
or a server passes `Secret.redact` before it becomes part of a fault.
"""

from __future__ import annotations

import functools
import json
import math
import os
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from resources.content import Json, sha256_of
from resources.errors import InputError
from resources.providers import ProviderFault
from resources.registry import ModelEntry

if TYPE_CHECKING:
    import httpx2

MAX_RETRY_AFTER_S = 60.0
"""Longer waits that a server asks for are cut to this; what is throttled longer is asked again after it."""

_DETAIL = 300
_THROTTLES = frozenset({429, 529})
_RETRYABLE = frozenset({408, 409, 425, 429})
_EXHAUSTED = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
_KINDS = {
    400: "bad_request",
    401: "authentication",
    402: "payment_required",
    403: "permission",
    404: "not_found",
    408: "timeout",
    413: "too_large",
    422: "bad_request",
    429: "throttled",
    529: "overloaded",
}


@functools.cache
def _trusted() -> ssl.SSLContext:
    """Whom we believe, read once: clients of one process may share it, and it takes 30 ms to make."""
    import httpx2

    return httpx2.create_ssl_context()


def http_settings(entry: ModelEntry, timeout_s: float) -> tuple[httpx2.Limits, httpx2.Timeout, ssl.SSLContext]:
    """Of one client per model: one connection per slot, which need not wait for one; whom it believes."""
    import httpx2

    slots = entry.max_concurrency
    limits = httpx2.Limits(max_connections=slots, max_keepalive_connections=slots)
    return limits, httpx2.Timeout(timeout_s, connect=min(10.0, timeout_s), pool=None), _trusted()


@dataclass(frozen=True, slots=True)
class Secret:
    """An API key that does not print."""

    value: str = field(repr=False)

    def redact(self, text: str) -> str:
        """The text without the key, on one line of printable characters, cut to a few hundred."""
        hidden = text.replace(self.value, "[key]") if self.value else text
        line = " ".join(hidden.split())
        printable = "".join(char if char.isprintable() else "?" for char in line)
        return printable if len(printable) <= _DETAIL else printable[: _DETAIL - 3] + "..."


def no_answer(error: Exception, secret: Secret, late: str = "the server did not answer in time") -> ProviderFault:
    """The fault of a request that got no answer, from an SDK's error of connections or of timeouts.

    On aiohttp the SDKs call most connections that fail timeouts: what was raised first tells them apart.
    """
    first: BaseException = error
    while first.__cause__ is not None:
        first = first.__cause__
    if isinstance(first, TimeoutError):
        return ProviderFault("timeout", late, retryable=True)
    told = f"no connection, or one that broke: {type(first).__name__}: {first}"
    return ProviderFault("connection", secret.redact(told), retryable=True)


def key_of(entry: ModelEntry, *, default_env: str) -> Secret:
    """The key of a model from the environment; an `InputError` that names the variable when it is not set.

    A model with its own `base_url` and no `api_key_env` has no key: no other provider's key is ever sent there.
    """
    name = entry.api_key_env or ("" if entry.base_url else default_env)
    if not name:
        return Secret("none")
    value = os.environ.get(name, "").strip()
    if not value:
        raise InputError(
            f"model {entry.name!r} needs an API key, and the environment variable {name} is not set",
            place="data/models.yaml",
            field="api_key_env",
            fix=f"export {name}=... and start again",
        )
    return Secret(value)


def check_url(entry: ModelEntry) -> None:
    """An `InputError` for a `base_url` that no request could reach."""
    if entry.base_url is not None:
        try:
            parts = urlsplit(entry.base_url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise InputError(
                f"model {entry.name!r} has no usable address",
                place="data/models.yaml",
                field="base_url",
                value=entry.base_url,
                fix="write it like http://127.0.0.1:8000/v1",
            )


def no_adapter(adapter: str | None) -> str:
    """The hash of no adapter: empty. An `InputError` when there is one, since neither protocol can carry it."""
    if adapter is not None:
        raise InputError(
            "adapters need a local model", field="adapter", value=adapter, fix="use an entry with provider: local"
        )
    return ""


def wire_seed(seed: int | None, sample: int) -> int | None:
    """The seed that goes to the server: the study's seed and the sample index, mixed into 31 bits; None without one."""
    return None if seed is None else int(sha256_of([seed, sample])[:8], 16) & 0x7FFFFFFF


def wire_text(text: str) -> str:
    """Text as UTF-8 can carry it: a lone surrogate becomes U+FFFD (the stored request keeps it)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def retry_after(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """Seconds that a server asks to wait, from `retry-after-ms` or `Retry-After` (seconds or an HTTP date).

    Between 0 and `MAX_RETRY_AFTER_S`; None when absent, negative or not a time.
    """
    seconds = _number(headers.get("retry-after-ms"), 1e-3)
    value = headers.get("retry-after")
    if seconds is None:
        seconds = _number(value, 1.0)
    if seconds is None and value:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now()
        except (ValueError, TypeError, OverflowError):
            return None
    if seconds is None or seconds < 0:
        return None
    return min(seconds, MAX_RETRY_AFTER_S)


def _number(value: str | None, scale: float) -> float | None:
    try:
        number = float(value or "") * scale
    except ValueError:
        return None
    return None if math.isnan(number) else number


def status_fault(status: int, message: str, headers: Mapping[str, str], code: str = "") -> ProviderFault:
    """The fault for an HTTP status. 429 and 529 shrink the account's window; an exhausted quota is final."""
    exhausted = code in _EXHAUSTED
    throttled = status in _THROTTLES and not exhausted
    kind = "quota" if exhausted else _KINDS.get(status, "server_error" if status >= 500 else "bad_request")
    retryable = (status >= 500 or status in _RETRYABLE) and not exhausted
    wait = retry_after(headers) if retryable else None
    return ProviderFault(kind, f"HTTP {status}: {message}", retryable=retryable, throttled=throttled, retry_after=wait)


def malformed(what: str) -> ProviderFault:
    """An answer that came with status 200 and cannot be read."""
    return ProviderFault("malformed", what, retryable=True)


def json_object(content: bytes, content_type: str) -> dict[str, Json]:
    """The JSON object in a response body; a `malformed` fault when there is none."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        kind = content_type.split(";")[0][:40] or "no content type"
        raise malformed(f"{len(content)} bytes of {kind} that are no complete JSON") from None
    if not isinstance(value, dict):
        raise malformed(f"a JSON {type(value).__name__} where an object was due")
    return value


def member(value: Json, name: str) -> Json:
    """A field of a JSON object; None when there is none."""
    return value.get(name) if isinstance(value, Mapping) else None


def text_of(value: Json) -> str:
    """A JSON string; empty for anything else."""
    return value if isinstance(value, str) else ""


def count_of(value: Json) -> int:
    """A token count; 0 for anything that is no whole number of at least 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def items_of(value: Json) -> list[Json]:
    """A JSON array; empty for anything else."""
    return list(value) if isinstance(value, list) else []
