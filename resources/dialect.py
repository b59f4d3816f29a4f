"""How to put "the model's own distribution" to a server that speaks the chat-completions protocol.

The protocol's owner forbids unknown fields and renamed the bound on the answer; the servers that people run themselves
(vLLM, SGLang, llama.cpp) sample with whatever the checkpoint's generation config says unless told otherwise. So the
neutral values are sent wherever they are understood, and a server that refuses a neutral field is asked again without
it. A field with a meaning (a temperature other than 1) is never dropped.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from resources.content import Json

OFFICIAL_URL = "https://api.openai.com/v1"

_LIMITS = ("max_completion_tokens", "max_tokens")
_NEUTRAL: dict[str, float] = {
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": -1,
    "min_p": 0,
    "repetition_penalty": 1.0,
}
_DROPPABLE = (*_NEUTRAL, "seed")
_UNKNOWN = re.compile(r"unsupported|not supported|unrecognized|unknown|extra inputs|not permitted|unexpected", re.I)


class Dialect:
    """What one server was found to understand. It only ever learns that something is refused."""

    def __init__(self, base_url: str | None) -> None:
        host = urlsplit(base_url or OFFICIAL_URL).hostname or ""
        self.official = host == "api.openai.com"
        self.limit = _LIMITS[0] if self.official else _LIMITS[1]
        self.refused: set[str] = set()
        self._top_k = 0 if host.endswith("openrouter.ai") else -1

    @property
    def has_logprobs(self) -> bool:
        """Whether the server has not refused `logprobs` so far."""
        return "logprobs" not in self.refused

    def sampling(self, temperature: float, top_p: float, max_tokens: int, seed: int | None) -> dict[str, Json]:
        """The fields that say how to draw."""
        fields: dict[str, Json] = {"temperature": temperature, "top_p": top_p}
        if seed is not None:
            fields["seed"] = seed
        if not self.official:
            fields |= {"top_k": self._top_k, "min_p": 0, "repetition_penalty": 1.0}
        dropped = [name for name in fields if name in self.refused and self._neutral(name, fields[name])]
        return {name: value for name, value in fields.items() if name not in dropped} | {self.limit: max_tokens}

    def learn(self, param: str, message: str, sent: dict[str, Json]) -> bool:
        """Learn from a refusal which field the server does not take. Returns whether asking again can help."""
        named = param.split(".")[0] or next((name for name in self._candidates(sent) if _says(message, name)), "")
        if named == self.limit:
            # "max_tokens is too large" is about this request; only an unknown name is about the server.
            if _UNKNOWN.search(message) is None:
                return False
            self.refused.add(named)
            self.limit = _LIMITS[1 - _LIMITS.index(named)]
            return self.limit not in self.refused
        if named in ("logprobs", "top_logprobs"):
            self.refused.add("logprobs")
            return False
        if named in _DROPPABLE and named in sent and self._neutral(named, sent[named]):
            self.refused.add(named)
            return True
        return False

    def _candidates(self, sent: dict[str, Json]) -> tuple[str, ...]:
        return tuple(name for name in (*_DROPPABLE, self.limit, "top_logprobs", "logprobs") if name in sent)

    def _neutral(self, name: str, value: Json) -> bool:
        return name == "seed" or value == _NEUTRAL.get(name, value)


def _says(message: str, name: str) -> bool:
    return re.search(rf"(?<![a-z_]){name}(?![a-z_])", message) is not None
