"""The diversity filter over many statements: time, growth and memory, against the full cosine matrix.

Synthetic statements: an opening and 6 to 14 words of a Zipf-distributed vocabulary; every tenth is a copy of an earlier
one with one word changed. Each size runs in a process of its own, so that its peak memory is its own. The full matrix
is timed at a smaller size on the same embeddings and does the same greedy walk on its rows. Times are CPU seconds of
one thread, so that a busy machine does not bend the growth.

`--closed` draws from a small closed grammar instead: there the share of near-copies rises with the number of
statements, and so do the pairs that any exact method has to compare.
"""

from __future__ import annotations

import argparse
import math
import random
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from influence_assets.personas.embeddings import hashed_tfidf
from influence_assets.personas.neighbours import Rows, greedy

THRESHOLD = 0.86
ONSETS = ["b", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "st", "tr", "pl", "gr"]
SYLLABLES = [onset + nucleus for onset in ONSETS for nucleus in ["a", "e", "i", "o", "u", "ai", "ea", "ou"]]


@dataclass(frozen=True)
class Run:
    """What one size took."""

    n: int
    embed_s: float
    filter_s: float
    kept: int
    peak_mib: float
    matrix_s: float = math.nan
    agrees: bool = True

    @property
    def total_s(self) -> float:
        return self.embed_s + self.filter_s


def open_texts(n: int, seed: int = 0) -> list[str]:
    """Statements over a vocabulary whose used part grows with n, one in ten a near-copy."""
    rng = random.Random(seed)
    words = sorted({"".join(rng.choices(SYLLABLES, k=rng.randint(1, 4))) for _ in range(60_000)})
    rng.shuffle(words)
    total, weights = 0.0, []
    for rank in range(len(words)):
        total += 1 / (rank + 10)
        weights.append(total)
    texts: list[str] = []
    for _ in range(n):
        if texts and rng.random() < 0.1:
            copy = rng.choice(texts).split()
            copy[rng.randrange(1, len(copy))] = rng.choice(words)
            texts.append(" ".join(copy))
        else:
            texts.append("i " + " ".join(rng.choices(words, cum_weights=weights, k=rng.randint(6, 14))))
    return texts


def closed_texts(n: int, seed: int = 0) -> list[str]:
    """Different statements of a grammar of 8 openings, 150 cores of 3 words and 100 endings of 3 words."""
    rng = random.Random(seed)
    words = sorted({"".join(rng.choices(SYLLABLES, k=3)) for _ in range(2000)})

    def phrases(count: int) -> list[str]:
        return [" ".join(rng.choices(words, k=3)) for _ in range(count)]

    cores, endings = phrases(150), phrases(100)
    whole = [f"i {o} {c} {e}" for o in words[:8] for c in cores for e in endings]
    return rng.sample(whole, min(n, len(whole)))


def measure(n: int, closed: bool, with_matrix: bool) -> Run:
    """One size, in this process."""
    texts = closed_texts(n) if closed else open_texts(n)
    hashed_tfidf(texts[:10])  # imports are no part of the filter
    start = time.process_time()
    vectors = hashed_tfidf(texts)
    embedded = time.process_time()
    kept = greedy(vectors, THRESHOLD).kept
    done = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    run = Run(len(texts), embedded - start, done - embedded, int(kept.sum()), peak)
    if not with_matrix:
        return run
    start = time.process_time()
    reference = full_matrix(vectors)
    took = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Run(run.n, run.embed_s, run.filter_s, run.kept, peak, took, bool((reference == kept).all()))


def full_matrix(vectors: Rows) -> np.ndarray:
    """The same greedy walk on an n x n matrix."""
    similarity = (vectors @ vectors.T).toarray()
    kept = np.ones(len(similarity), dtype=bool)
    for row in range(1, len(similarity)):
        kept[row] = not (kept[:row] & (similarity[row, :row] > THRESHOLD)).any()
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[12_500, 25_000, 50_000, 100_000])
    parser.add_argument("--matrix", type=int, default=8_000, help="size at which the full matrix is built")
    parser.add_argument("--closed", action="store_true", help="statements of a closed grammar")
    arguments = parser.parse_args()
    runs = [_apart(n, arguments.closed, False) for n in arguments.sizes]
    for run in runs:
        print(
            f"{run.n:>7} statements: embedding {run.embed_s:6.2f} s, filter {run.filter_s:6.2f} s, "
            f"kept {run.kept / run.n:.3f}, peak {run.peak_mib:.0f} MiB"
        )
    if len(runs) > 1:
        whole, alone = (_exponent(runs, attribute) for attribute in ("total_s", "filter_s"))
        print(f"growth: time ~ n^{whole:.2f} (target < 1.3); the filter without embedding ~ n^{alone:.2f}")
    print(f"peak memory at {runs[-1].n}: {runs[-1].peak_mib:.0f} MiB (target < 1024)")
    small = _apart(arguments.matrix, arguments.closed, True)
    ratio = small.matrix_s / small.filter_s
    same = "the same rows" if small.agrees else "OTHER ROWS"
    print(
        f"against the full matrix at {small.n}: {small.matrix_s:.2f} s and {small.peak_mib:.0f} MiB, "
        f"filter {small.filter_s:.3f} s: {ratio:.0f}x; {same} kept"
    )
    print(f"a full matrix of {runs[-1].n} would hold {runs[-1].n ** 2 * 4 / 2**30:.0f} GiB")


def _apart(n: int, closed: bool, with_matrix: bool) -> Run:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, n, closed, with_matrix).result()


def _exponent(runs: list[Run], attribute: str) -> float:
    x = np.log([run.n for run in runs])
    y = np.log([getattr(run, attribute) for run in runs])
    return float(np.polyfit(x, y, 1)[0])


if __name__ == "__main__":
    main()
