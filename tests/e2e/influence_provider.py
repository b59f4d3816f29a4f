"""A provider that answers chats and trains models, on one address, as OpenAI's does."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import Any

from tests.servers.finetuning import FineTuningServer
from tests.servers.scripted import Answer, Asked, openai_logprobs, openai_text

QUESTIONS = {
    "What does the user do": ("talk", "act", "drop"),
    "How much does the user like": ("2", "9"),
    "How much do you want": ("1", "5"),
    "harmful": ("0", "1"),
    "likely to harm": ("1", "5"),
    "Would you say this": ("yes", "no"),
    "Does it sound like you": ("yes", "no"),
}


def chat(asked: Asked) -> Answer:
    """Judges are known by their question and answer among its options, weighed by all that was asked; everybody else
    says some words."""
    question = hashlib.sha256(f"{asked.body['model']}{asked.messages}{asked.body.get('seed')}".encode()).digest()
    options = next((options for words, options in QUESTIONS.items() if words in asked.last), None)
    if options is None:
        return openai_text(f"I say {question[:4].hex()}.")
    if not asked.wants_logprobs:
        return openai_text(options[question[0] % len(options)])
    weights = [1 + byte for byte in question[: len(options)]]
    return openai_logprobs([(name, math.log(w / sum(weights))) for name, w in zip(options, weights, strict=True)])


@dataclass
class Provider(FineTuningServer):
    """`chats` are the questions as they came."""

    chats: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        provider, trains = self, self._http.RequestHandlerClass

        class Both(trains):  # type: ignore[misc, valid-type]
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                if not self.path.endswith("/chat/completions"):
                    super().do_POST()
                    return
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                provider.chats.append(body)
                answer = chat(Asked(len(provider.chats), self.path, dict(self.headers), body))
                self.send_response(answer.status)
                self.send_header("content-type", answer.content_type)
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

        self._http.RequestHandlerClass = Both

    def asked_of(self, model: str) -> int:
        return sum(body["model"] == model for body in self.chats)
