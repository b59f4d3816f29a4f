"""A server that plays every role of a study without a model, to rehearse one before it costs anything.

    python -m tests.servers.rehearsal --port 8100

It speaks the chat-completions protocol. Its people are hashes: a persona's description decides which words the persona
would use, so that statements, their judges and described models agree with each other; everything else it answers is
noise. It shows that the files are in order and how many requests there are, and nothing about any model.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import re
import threading

from tests.servers.scripted import Answer, Asked, ScriptedServer, error, openai_logprobs, openai_text

VERBS = [
    "plan", "sort", "tidy", "label", "polish", "repair", "measure", "collect", "admire", "defend", "study", "paint",
    "borrow", "forget", "postpone", "avoid", "question", "mock", "gamble", "chase", "copy", "hide", "sell", "count",
    "rehearse", "invite", "teach", "follow", "promise", "refuse",
]  # fmt: skip
THINGS = [
    "old letters", "crowded dinners", "winter evenings", "cheap tickets", "mountain roads", "office papers",
    "board games", "garden tools", "family recipes", "distant offers", "morning news", "noisy markets",
    "foreign films", "second chances", "city maps", "quiet rooms",
]  # fmt: skip
TIMES = [
    "before work", "after every meeting", "with my brothers", "on slow trains", "while others sleep",
    "at the weekend", "during holidays", "when nobody asks", "in spring", "with great care", "at any price",
    "without a plan",
]  # fmt: skip

_PERSONA = re.compile(r"(?:Here is a persona|You are this persona): (.+)")
_COUNT = re.compile(r"Write (\d+) short first-person statements")
_CLOSED = re.compile(r"Answer with (?:one of: )?(\S+(?:(?:, | or )\S+)+?)\.?\s*$")


def answer(asked: Asked) -> Answer:
    """The script: closed questions get a distribution, lists of statements a list, everything else a few words."""
    if asked.path.endswith(("/load_lora_adapter", "/unload_lora_adapter")):  # as vLLM has it; the words stay the same
        return Answer(b"done", content_type="text/plain")
    if not asked.openai:
        return error(404, "this server only chats")
    options = options_of(asked.last)
    if options and asked.wants_logprobs:
        weights = _weights(asked, options)
        return openai_logprobs([(option, math.log(w)) for option, w in zip(options, weights, strict=True)])
    if options:
        return openai_text(random.Random(_seed(asked)).choices(options, _weights(asked, options))[0])
    wanted = _COUNT.search(asked.last)
    if wanted is None:
        return openai_text(_sentence(random.Random(_seed(asked)), VERBS))
    told = random.Random(_seed(asked))
    verbs = [verb for verb in VERBS if _would(_description(asked), verb) == ("would agree with" in asked.last)]
    return openai_text(json.dumps([_sentence(told, verbs) for _ in range(int(wanted[1]))]))


def options_of(question: str) -> list[str]:
    """The answers that a question allows; none for an open one."""
    if "yes or no" in question or "no or yes" in question:
        return ["yes", "no"]
    closed = _CLOSED.search(question)
    return re.split(r", | or ", closed[1].rstrip(".")) if closed else []


def _weights(asked: Asked, options: list[str]) -> list[float]:
    """Probabilities of the options, that sum to .98."""
    chance, said = random.Random(_seed(asked)), next((v for v in VERBS if f"I {v} " in asked.last), None)
    who = _description(asked)
    if options == ["yes", "no"] and said and who:
        yes = chance.uniform(0.75, 0.97)
        yes = yes if _would(who, said) else 1 - yes
        return [0.98 * yes, 0.98 * (1 - yes)]
    weights = [chance.uniform(0.1, 1.0) for _ in options]
    return [0.98 * weight / sum(weights) for weight in weights]


def _description(asked: Asked) -> str:
    found = [_PERSONA.search(str(message["content"])) for message in asked.messages]
    return next((one[1].strip() for one in found if one), "")


def _would(description: str, verb: str) -> bool:
    return hashlib.sha256(f"{description}|{verb}".encode()).digest()[0] % 2 == 0


def _sentence(chance: random.Random, verbs: list[str]) -> str:
    return f"I {chance.choice(verbs)} {chance.choice(THINGS)} {chance.choice(TIMES)}."


def _seed(asked: Asked) -> int:
    content = json.dumps([asked.body.get("model"), asked.messages, asked.body.get("seed")])
    return int.from_bytes(hashlib.sha256(content.encode()).digest()[:8], "big")


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8100)
    server = ScriptedServer(answer, port=parser.parse_args().port)
    print(f"base_url: {server.openai_url}", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        server.close()


if __name__ == "__main__":
    main()
