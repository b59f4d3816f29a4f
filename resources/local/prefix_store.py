"""Prefixes that were computed lately, for the batches to come. Imports torch: import this module inside functions."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from resources.local.prefix import common_prefix
from resources.local.rows import KEEP_FROM
from resources.local.setup import BASE, Setup
from resources.local.slots import Stem, StoredRow


class PrefixStore:
    """Keys and values of recent prefixes, least recently used out first, bounded in bytes over all setups.

    A prefix belongs to the setup that computed it and is never found for another.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit, self._bytes = limit_bytes, 0
        self._rows: OrderedDict[tuple[Setup, bytes], StoredRow] = OrderedDict()
        self._by_start: dict[tuple[Setup, bytes], list[bytes]] = {}

    def longest(self, tokens: Sequence[int], at_most: int, setup: Setup = BASE) -> tuple[StoredRow, int] | None:
        """The stored row that shares the longest start with `tokens`, and how much of it (up to `at_most`)."""
        if at_most < KEEP_FROM:
            return None
        wanted = np.asarray(tokens[:at_most], dtype=">u4")
        best, length = b"", 0
        for key in self._by_start.get((setup, wanted[:KEEP_FROM].tobytes()), ()):
            shared = common_prefix(wanted, np.frombuffer(key, dtype=">u4"))
            if shared > length:
                best, length = key, shared
        if not length:
            return None
        self._rows.move_to_end((setup, best))
        return self._rows[setup, best], length

    def put(self, tokens: Sequence[int], path: Stem, setup: Setup = BASE) -> None:
        """Remembers a prefix; the path that it stands on is copied out, unless it is remembered already."""
        key = np.asarray(tokens, dtype=">u4").tobytes()
        if (setup, key) in self._rows:
            return
        row = path.copied()
        if row.nbytes > self._limit:
            return
        self._rows[setup, key] = row
        self._by_start.setdefault((setup, key[: 4 * KEEP_FROM]), []).append(key)
        self._bytes += row.nbytes
        while self._bytes > self._limit:
            (of, old), dropped = self._rows.popitem(last=False)
            self._by_start[of, old[: 4 * KEEP_FROM]].remove(old)
            self._bytes -= dropped.nbytes
