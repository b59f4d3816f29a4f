"""Scores of frameworks with dimensions: how far each trait moves in either direction, evenly, and what moves with it.

The position of a steered model on dimension d is the mean probability that it takes the high side, over the statements
of the personas that stand on d (for a low persona the low side is the right answer, so the probability is turned). All
is measured against the unsteered model on the same answers.

Steerability index (Miehling et al. 2024, arXiv 2411.12405, section 3.3, "Steering capacity and steerability indices"):
    gamma+ = (W(p, p^+) - W(p+, p^+)) / W(p^+, p^-)     and gamma- with the poles exchanged,
with W the Wasserstein distance, p the unsteered profile, p+ the profile steered upward, p^+ and p^- the profiles of a
model that always answers at the high and the low pole. A profile is Beta(1 + a, 1 + N - a), with a the evidence for the
high side among N answers. Two such with one N are ordered, so that W is the difference of their means, (a - a') /
(N + 2), and the index is exactly the shift of the position: gamma+ = (a+ - a) / N, gamma- = (a - a-) / N. The paper
adds 2 c - 1 per answer with label confidence c, and draws answers; here every answer counts 1 and adds its expectation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from influence_assets.steerability import moves
from influence_assets.steerability.people import Persona
from influence_assets.steerability.summary import SummaryRow, summary_row
from influence_assets.steerability.tensors import Draws, Floats, Run, Tensors, cell_means

_NO_ROOM = 0.01
"""Below this distance to the pole, the share of it that steering covers is a ratio of noise."""


@dataclass(frozen=True)
class Block:
    """The personas of one framework with dimensions, and where they stand: `levels_P_D`, 0 where they do not."""

    framework: str
    dimensions: tuple[str, ...]
    members_P: NDArray[np.int64]
    levels_P_D: Floats


def blocks(persona_ids: Sequence[str], personas: Mapping[str, Persona]) -> list[Block]:
    """One block per framework whose personas have traits."""
    result = []
    for framework in sorted({personas[persona_id].framework for persona_id in persona_ids}):
        members = [p for p, persona_id in enumerate(persona_ids) if personas[persona_id].framework == framework]
        dimensions = tuple(sorted({d for p in members for d in personas[persona_ids[p]].levels}))
        if dimensions:
            levels = [[personas[persona_ids[p]].levels.get(d, 0.0) for d in dimensions] for p in members]
            result.append(Block(framework, dimensions, np.array(members), np.array(levels, dtype=np.float64)))
    return result


def dimension_rows(
    run: Run, unsteered: Run, data: Tensors, personas: Mapping[str, Persona], drawn: Draws
) -> list[SummaryRow]:
    """Summary rows of every dimension of every framework, for one method at one n."""
    rows: list[SummaryRow] = []
    for block in blocks(data.persona_ids, personas):
        at = (slice(None), block.members_P[:, None], block.members_P[None, :])
        shift = run.right_R_P_Q_S[at] - unsteered.right_R_P_Q_S[at]
        base = np.where(np.isnan(shift), np.nan, unsteered.right_R_P_Q_S[at])
        once_P, weights_B_P = np.ones(len(block.members_P)), drawn.personas_B_P[:, block.members_P]
        shift_P_Q, base_P_Q = cell_means(shift), cell_means(base)
        values = _scores(shift_P_Q, base_P_Q, block, once_P)
        draws = _scores(shift_P_Q, base_P_Q, block, weights_B_P)
        rows += [
            summary_row(block.framework, name, score.value, draws[name].value, chance=score.chance, n=score.n)
            for name, score in values.items()
        ]
    return rows


class _Score(NamedTuple):
    value: Floats
    chance: float
    n: int


def _scores(shift_P_Q: Floats, base_P_Q: Floats, block: Block, weights_P: Floats) -> dict[str, _Score]:
    levels_P_D = block.levels_P_D
    moved_P_D = moves.position_shift(shift_P_Q, levels_P_D, weights_P)
    base_D = moves.unsteered_position(base_P_Q, levels_P_D, weights_P)
    up_D = moves.mean_where(moved_P_D, levels_P_D > 0, weights_P)
    down_D = -moves.mean_where(moved_P_D, levels_P_D < 0, weights_P)
    result: dict[str, _Score] = {}
    for d, name in enumerate(block.dimensions):
        high, low = (int((side * levels_P_D[:, d] > 0).sum()) for side in (1, -1))
        for side, index_D, room_D, n in (("high", up_D, 1 - base_D, high), ("low", down_D, base_D, low)):
            result[f"index_{name}_{side}"] = _Score(index_D[..., d], 0.0, n)
            result[f"index_relative_{name}_{side}"] = _Score(_relative(index_D[..., d], room_D[..., d]), 0.0, n)
            result[f"capacity_{name}_{side}"] = _Score(room_D[..., d], math.nan, high + low)
        result[f"trait_{name}"] = _Score(up_D[..., d] + down_D[..., d], 0.0, high + low)
        steps = len(moves.levels_of(levels_P_D[:, d]))
        if steps >= 2:
            line = moves.linearity(moved_P_D[..., d], levels_P_D[:, d], weights_P)
            result[f"linearity_{name}"] = _Score(line, 1 / steps, high + low)
    return result | _side_effects(shift_P_Q, block, weights_P)


def _side_effects(shift_P_Q: Floats, block: Block, weights_P: Floats) -> dict[str, _Score]:
    """Effects on other dimensions, where there are two personas per coefficient and the levels can be told apart."""
    levels_P_D = block.levels_P_D
    n, dimensions = levels_P_D.shape
    design_P_K = np.concatenate([np.ones((n, 1)), levels_P_D], axis=1)
    if dimensions < 2 or n < 2 * (dimensions + 1) or np.linalg.matrix_rank(design_P_K) <= dimensions:
        return {}
    effects_D_D = moves.cross_effects(shift_P_Q, levels_P_D, weights_P)
    return {
        f"side_effect_{one}_on_{other}": _Score(effects_D_D[..., d, e], 0.0, n)
        for d, one in enumerate(block.dimensions)
        for e, other in enumerate(block.dimensions)
        if d != e
    }


def _relative(index: Floats, room: Floats) -> Floats:
    """Share of the way to the pole; nan where the unsteered model stands at the pole already."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(room > _NO_ROOM, index / room, np.nan)
