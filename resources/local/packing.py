"""Which segments share a forward pass. A pass pads its rows to the longest and costs something beside its tokens: few
wide passes compute pads, many narrow ones start again and again. Here the sum of both is least. Knows nothing of torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import ceil
from typing import TypeVar

Item = TypeVar("Item")


def padded_lengths(counts: Mapping[int, int], pass_tokens: int, at_most: int) -> dict[int, int]:
    """The length that rows of each length are padded to, for `counts[length]` rows.

    Rows of one padded length are cut into passes of `at_most` tokens (of one row, if that is longer). The cost is
    tokens with pads, and `pass_tokens` for each pass; the least over all ways to part the sorted lengths into runs,
    found in O(lengths^2) by dynamic programming over where the last run begins.
    """
    lengths = sorted(counts)
    least, begins = [0], [0]
    for end, longest in enumerate(lengths, 1):
        n_rows, options = 0, []
        for begin in range(end - 1, -1, -1):
            n_rows += counts[lengths[begin]]
            passes = ceil(n_rows / max(1, at_most // longest))
            options.append((least[begin] + n_rows * longest + pass_tokens * passes, begin))
        cost, begin = min(options)
        least.append(cost)
        begins.append(begin)
    padded: dict[int, int] = {}
    end = len(lengths)
    while end:
        padded.update(dict.fromkeys(lengths[begins[end] : end], lengths[end - 1]))
        end = begins[end]
    return padded


def pack(
    items: Sequence[Item],
    size: Callable[[Item], tuple[int, int]],
    *,
    pass_tokens: int,
    at_most: int,
    at_most_columns: float,
) -> Iterator[list[Item]]:
    """The passes. `size` is (length, columns that stand before it); rows times columns of both stay below
    `at_most_columns`, but for a single row. Shorter before longer, and items of one pass in the order they came in.
    """
    sizes = [size(item) for item in items]
    padded = padded_lengths(Counter(length for length, _ in sizes), pass_tokens, at_most)
    order = sorted(range(len(items)), key=lambda i: (padded[sizes[i][0]], sizes[i][1]))
    chunk: list[int] = []
    length = before = 0
    for i in order:
        new_length, new_before = padded[sizes[i][0]], max(before, sizes[i][1])
        n = len(chunk) + 1
        full = n * new_length > at_most or n * (new_length + new_before) > at_most_columns
        if chunk and (full or new_length != length):
            yield [items[k] for k in sorted(chunk)]
            chunk, new_before = [], sizes[i][1]
        chunk.append(i)
        length, before = new_length, new_before
    if chunk:
        yield [items[k] for k in sorted(chunk)]
