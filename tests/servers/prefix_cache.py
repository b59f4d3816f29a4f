"""A script that keeps a prefix cache as vLLM does, and counts what it finds there.

A prompt is cut into blocks of 16 tokens. A block is known by its tokens and all that stand before it; a request finds
the longest run of known blocks from its beginning, and leaves all of its whole blocks behind. There is room for so many
blocks; the one that was used longest ago makes room (vLLM: "Automatic Prefix Caching", block hashes and LRU eviction).
"""

from __future__ import annotations

import math
import re
import threading
from collections import OrderedDict

from tests.servers.scripted import Answer, Asked, openai_logprobs

BLOCK = 16
_TOKEN = re.compile(r"\w+|[^\w\s]")


class PrefixCache:
    """The script. `asked` and `found` count tokens of prompts: all, and those that the cache had."""

    def __init__(self, blocks: int) -> None:
        self.asked = self.found = 0
        self._room = blocks
        self._known: OrderedDict[int, None] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def share(self) -> float:
        return self.found / self.asked

    def __call__(self, asked: Asked) -> Answer:
        with self._lock:
            self._take(tokens_of(asked))
        return openai_logprobs([("yes", math.log(0.6)), ("no", math.log(0.3))])

    def _take(self, tokens: list[str]) -> None:
        whole = [tuple(tokens[at : at + BLOCK]) for at in range(0, len(tokens) - BLOCK + 1, BLOCK)]
        name, running = 0, True
        self.asked += len(tokens)
        for block in whole:
            name = hash((name, block))
            running = running and name in self._known
            self.found += BLOCK * running
            self._known[name] = None
            self._known.move_to_end(name)
        while len(self._known) > self._room:
            self._known.popitem(last=False)


def tokens_of(asked: Asked) -> list[str]:
    """The prompt as a chat template would write it, cut into words and marks; the adapter counts as its beginning."""
    said = [f"<|{message['role']}|> {message['content']} <|end|>" for message in asked.messages]
    return _TOKEN.findall(f"{asked.body['model']} {' '.join(said)}")
