"""Frameworks with dimensions: the index is that of Miehling et al., traits and side effects are what was planted."""

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from steering_world import RuleModels, measure, synthetic_responses, world

from influence_assets.steerability import moves
from influence_assets.steerability.people import Persona
from influence_assets.steerability.scores import score_tables

CORNERS = np.array([[1 - 2 * (p >> d & 1) for d in range(3)] for p in range(8)], dtype=float)


def wasserstein_of_betas(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Integral of |F - G| over [0, 1]: the distance between two distributions on a line."""
    distance, _ = integrate.quad(
        lambda x: abs(stats.beta.cdf(x, *one) - stats.beta.cdf(x, *other)), 0, 1, limit=200, epsabs=1e-9
    )
    return distance


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.floats(0, 1), st.floats(0, 1))
def test_the_index_of_the_paper_is_the_shift_of_the_position(n, base_share, steered_share):
    """gamma+ = (W(p, p^+) - W(p+, p^+)) / W(p^+, p^-) with profiles Beta(1 + a, 1 + N - a)."""

    def profile(share):
        return (1 + n * share, 1 + n * (1 - share))

    high, low = profile(1), profile(0)
    base, steered = profile(base_share), profile(steered_share)
    gamma = wasserstein_of_betas(base, high) - wasserstein_of_betas(steered, high)
    gamma /= wasserstein_of_betas(high, low)
    assert gamma == pytest.approx(steered_share - base_share, abs=1e-6)
    room = wasserstein_of_betas(base, high) / wasserstein_of_betas(high, low)
    assert room == pytest.approx(1 - base_share, abs=1e-6)


def rows_of(own_shift: float, side: float = 0.0) -> tuple[pl.DataFrame, dict[str, Persona]]:
    """Steering to p moves P(right) on q's statements by own_shift per shared pole, and by side for traits 0 on 1."""
    levels = CORNERS
    shift = own_shift * levels @ levels.T + side * np.outer(levels[:, 0], levels[:, 1])
    base = synthetic_responses(np.zeros((8, 8, 6)), method="none")
    frames = []
    for method, extra in (("none", 0 * shift), ("system", shift)):
        place = {f"p{p:03d}": p for p in range(8)}
        p = base["steered_persona_id"].replace_strict(place).to_numpy()
        q = base["test_persona_id"].replace_strict(place).to_numpy()
        right = 0.5 + extra[p, q]
        frames.append(
            base.with_columns(
                method=pl.lit(method),
                p_agree=pl.when(pl.col("agree")).then(pl.Series(right)).otherwise(1 - pl.Series(right)),
            )
        )
    names = ("a", "b", "c")
    personas = {
        f"p{p:03d}": Persona("w", "W", f"p{p:03d}", "x", "", dict(zip(names, levels[p].tolist(), strict=True)))
        for p in range(8)
    }
    return pl.concat(frames), personas


def values_of(rows: pl.DataFrame, personas: dict[str, Persona], method: str = "system") -> dict[str, float]:
    _, summary = score_tables(rows, personas, draws=200, seed=0)
    return dict(
        summary.filter((pl.col("method") == method) & (pl.col("framework") == "w")).select("score", "value").iter_rows()
    )


def test_planted_traits_are_found():
    values = values_of(*rows_of(0.1))
    for name in "abc":
        assert values[f"index_{name}_high"] == pytest.approx(0.1)
        assert values[f"index_{name}_low"] == pytest.approx(0.1)
        assert values[f"index_relative_{name}_high"] == pytest.approx(0.2)
        assert values[f"capacity_{name}_high"] == pytest.approx(0.5)
        assert values[f"trait_{name}"] == pytest.approx(0.2)
        assert values[f"linearity_{name}"] == pytest.approx(1.0)
    assert max(abs(value) for score, value in values.items() if score.startswith("side_effect")) < 1e-9


def test_planted_side_effects_are_found_with_their_direction():
    values = values_of(*rows_of(0.1, side=0.05))
    assert values["side_effect_a_on_b"] == pytest.approx(0.1)
    others = [
        value for score, value in values.items() if score.startswith("side_effect") and score != "side_effect_a_on_b"
    ]
    assert max(map(abs, others)) < 1e-9
    assert values["trait_a"] == pytest.approx(0.2)


def test_no_steering_moves_nothing_and_has_no_line():
    values = values_of(*rows_of(0.0))
    assert all(value == 0 for score, value in values.items() if score.startswith(("index", "trait")))
    assert all(values[f"linearity_{name}"] is None for name in "abc")


def test_the_other_direction_is_the_mirror():
    up, down = values_of(*rows_of(0.1)), values_of(*rows_of(-0.1))
    for score, value in up.items():
        if score.startswith(("index", "trait", "side_effect")):
            assert down[score] == pytest.approx(-value, abs=1e-9)


@given(st.lists(st.floats(-0.4, 0.4), min_size=3, max_size=3))
@example([1.6e-162, 0.0, 0.0])
def test_linearity_is_one_on_a_line_and_never_beyond_zero_and_one(means):
    levels = np.array([-1.0, 0.5, 1.0])
    weights = np.ones(3)
    r2 = float(moves.linearity(np.array(means), levels, weights))
    assert np.isnan(r2) or -1e-9 <= r2 <= 1 + 1e-9
    assert float(moves.linearity(0.3 * levels, levels, weights)) == pytest.approx(1.0)


def test_too_few_personas_to_tell_dimensions_apart_give_no_side_effects():
    weights = np.array([[1.0] * 8, [8.0] + [0.0] * 7])
    effects = moves.cross_effects(0.1 * CORNERS @ CORNERS.T, CORNERS, weights)
    assert np.isfinite(effects[0]).all()
    assert np.isnan(effects[1]).all()


def test_a_steerable_model_has_positive_indices_on_every_dimension():
    who = world(8)
    _, rows = measure(RuleModels(), who)
    _, summary = score_tables(rows, {p.persona_id: p for p in who.personas}, draws=100, seed=0)
    found = summary.filter((pl.col("method") == "description") & pl.col("score").str.starts_with("index_"))
    assert found.height == 12
    assert (found["value"] > 0).all()
    assert set(found["framework"]) == {"world0"}


def test_frameworks_without_traits_have_no_dimension_rows():
    rows, personas = rows_of(0.1)
    plain = {name: Persona("w", "W", name, "x", "") for name in personas}
    assert values_of(rows, plain) == {}
