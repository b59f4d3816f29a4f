"""The table `replies`: finding bodies by address, and keeping them so that the first answer is everybody's.

A row that is torn (its checksum does not fit) is a miss on reading, and gives way on keeping.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from resources.replystore import Reader, Transaction

_CHUNK = 500
_ADD = "INSERT INTO replies VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_REMOVE = "DELETE FROM replies WHERE address = ? AND body = ? AND crc = ?"
"""All of the row is compared: by now another process may have put a whole one in its place."""

_Row = tuple[bytes, str, int]


def checksum(address: bytes, body: str) -> int:
    """crc32 over address and body."""
    return zlib.crc32(body.encode(), zlib.crc32(address))


def lookup(reader: Reader, addresses: Sequence[str]) -> dict[str, str]:
    """Stored bodies (JSON text) of those addresses (64 hex digits) that are there and whole; one query per 500."""
    found: dict[str, str] = {}
    keys = iter(addresses)
    while chunk := [bytes.fromhex(key) for key in islice(keys, _CHUNK)]:
        found |= {address.hex(): body for address, body, crc in _stored(reader, chunk) if whole(address, body, crc)}
    return found


def keep(transaction: Transaction, replies: Mapping[bytes, str]) -> dict[bytes, str]:
    """Store bodies under their addresses; returns what counts: a body that was there and whole, else the given one."""
    # In one order for all processes, so that two transactions never wait for each other.
    rows = [(address, body, checksum(address, body)) for address, body in sorted(replies.items())]
    if transaction.insert(_ADD, rows) == len(rows):
        return dict(replies)
    kept: dict[bytes, str] = {}
    while missing := [row for row in rows if row[0] not in kept]:
        chunk = missing[:_CHUNK]
        stored = _stored(transaction, [address for address, *_ in chunk])
        kept |= {address: body for address, body, crc in stored if whole(address, body, crc)}
        for torn in sorted((row for row in stored if row[0] not in kept), key=lambda row: row[0]):
            transaction.rows(_REMOVE, torn)
        transaction.insert(_ADD, [row for row in chunk if row[0] not in kept])
    return kept


def every(reader: Reader) -> Iterator[dict[bytes, str]]:
    """All whole replies, some hundreds at a time, by address."""
    after = b""
    query = f"SELECT address, body, crc FROM replies WHERE address > ? ORDER BY address LIMIT {_CHUNK}"
    while rows := reader.rows(query, (after,)):
        yield {address: body for address, body, crc in rows if whole(address, body, crc)}
        after = rows[-1][0]


def whole(address: bytes, body: object, crc: int) -> bool:
    """Whether a stored row is what was written."""
    try:
        return isinstance(body, str) and checksum(address, body) == crc
    except UnicodeEncodeError:
        return False


def _stored(reader: Reader, keys: Sequence[bytes]) -> list[_Row]:
    marks = ",".join("?" * len(keys))
    return reader.rows(f"SELECT address, body, crc FROM replies WHERE address IN ({marks})", keys)
