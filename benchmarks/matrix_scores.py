"""Scores of a persona matrix with 1,000 bootstrap draws, against a data-frame scorer without any.

The scorer beside it is what one writes first: a groupby for the matrix, then ranks row by row and column by column. It
gives two scores and no interval, so it is compared twice: with our scores alone, and with scores, per-persona rows and
1,000 draws of each. Run: python benchmarks/matrix_scores.py [--personas 100] [--statements 56] [--draws 1000]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import polars as pl

from influence_assets.steerability.estimates import persona_scores
from influence_assets.steerability.matrix import matrix
from influence_assets.steerability.people import Persona
from influence_assets.steerability.scores import score_tables


def responses(personas: int, statements: int, seed: int) -> pl.DataFrame:
    """Answers of one steerable method, in the columns of `steerability.responses` that scoring reads."""
    rng = np.random.default_rng(seed)
    p, q, s = (axis.ravel() for axis in np.indices((personas, personas, statements)))
    right = rng.random(p.size) < np.where(p == q, 0.8, 0.55)
    agree = s % 2 == 0
    ids = np.array([f"{number:08x}" for number in range(personas)])
    statement_ids = np.array([f"{number:08x}" for number in range(personas * statements)])
    return pl.DataFrame(
        {
            "model": pl.repeat("model", p.size, eager=True),
            "iteration": pl.repeat(0, p.size, dtype=pl.Int32, eager=True),
            "method": pl.repeat("description", p.size, eager=True),
            "n_steer": pl.repeat(0, p.size, dtype=pl.Int32, eager=True),
            "repeat": pl.repeat(0, p.size, dtype=pl.Int32, eager=True),
            "steered_persona_id": ids[p],
            "test_persona_id": ids[q],
            "statement_id": statement_ids[q * statements + s],
            "agree": agree,
            "p_agree": np.where(right == agree, 0.9, 0.1),
            "correct": right,
        }
    )


def plain_scores(rows: pl.DataFrame) -> tuple[float, float]:
    """Sensitivity and specificity by pandas, ties winning, no interval."""
    frame = rows.select("steered_persona_id", "test_persona_id", "correct").to_pandas()
    means = frame.groupby(["steered_persona_id", "test_persona_id"])["correct"].mean().reset_index()
    found = []
    for by, own in (("steered_persona_id", "test_persona_id"), ("test_persona_id", "steered_persona_id")):
        scores = []
        for persona, group in means.groupby(by):
            ranks = group.set_index(own)["correct"].rank(pct=True, method="max")
            scores.append(ranks[persona])
        found.append(float(np.mean(scores)))
    return found[0], found[1]


def main(personas: int = 100, statements: int = 56, draws: int = 1000) -> float:
    """Print both times and the ratio; returns the seconds of the scores with intervals."""
    rows = responses(personas, statements, seed=0)
    people = {
        persona_id: Persona("world", "World", persona_id, persona_id, "")
        for persona_id in rows["steered_persona_id"].unique().to_list()
    }
    score_tables(rows.head(statements), people, draws=100, seed=0)  # imports and first-use costs outside the timing
    plain_scores(rows.head(statements))
    start = time.perf_counter()
    _, summary = score_tables(rows, people, draws=draws, seed=0)
    ours = time.perf_counter() - start
    start = time.perf_counter()
    once = persona_scores(matrix(rows)["accuracy"].to_numpy().reshape(personas, personas), None, np.ones(personas))
    ours_plain = time.perf_counter() - start
    start = time.perf_counter()
    plain = plain_scores(rows)
    theirs = time.perf_counter() - start
    scored = dict(summary.select("score", "value").iter_rows())
    for score, figure in zip(("compatible_sensitivity", "compatible_specificity"), plain, strict=True):
        assert abs(scored[score] - figure) < 1e-8, "both must give the same figure"
        assert abs(once[score].mean() - figure) < 1e-8, "both must give the same figure"
    print(f"{rows.height:,} rows, {personas} personas; groupby and ranks, two scores: {theirs:.2f} s")
    print(
        f"  our {len(once)} scores, no interval: {ours_plain:.2f} s, ratio {ours_plain / theirs:.2f} (below 1: faster)"
    )
    print(f"  with {draws} draws, all and per persona: {ours:.2f} s, ratio {ours / theirs:.2f}")
    print(
        f"  per draw {1000 * ours / draws:.1f} ms, {theirs * draws / ours:.0f} times faster than {draws} such groupbys"
    )
    return ours


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--personas", type=int, default=100)
    parser.add_argument("--statements", type=int, default=56)
    parser.add_argument("--draws", type=int, default=1000)
    main(**vars(parser.parse_args()))
