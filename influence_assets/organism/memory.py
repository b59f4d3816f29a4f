"""Keeps freed memory in the process while a model trains.

By default the C library hands every large tensor back to the system and asks for it again at the next step; clearing
those pages took half of the training's time. This is a hint: where there is no glibc, nothing happens.
"""

from __future__ import annotations

import ctypes

# From malloc.h: parameter numbers of mallopt.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_PAD_BYTES = 256 * 1024 * 1024
_NEVER = 2**31 - 1


def keep_memory() -> bool:
    """Never give memory back, never map it apart; whether the C library took the hint. Lasts for the whole process."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all(
        mallopt(name, value) == 1 for name, value in ((_TRIM_THRESHOLD, _NEVER), (_TOP_PAD, _PAD_BYTES), (_MMAP_MAX, 0))
    )
