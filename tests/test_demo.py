"""How the demo writes a number with its interval."""

import pytest

from influence_assets.demo import interval


@pytest.mark.parametrize(
    ("value", "low", "high", "signed", "text"),
    [
        (0.914, 0.88, 0.999, False, ".91 [.88, 1.0]"),
        (0.5, -0.04, 0.65, True, "+.50 [-.04, +.65]"),
        (-0.008, -0.12, 0.1, True, "-.01 [-.12, +.10]"),
        (1.0, 1.0, 1.0, False, "1.0 [1.0, 1.0]"),
        (10.04, 9.0, 11.0, False, "10.04 [9.00, 11.00]"),
        (None, None, None, False, "-"),
        (0.5, None, 0.6, False, "-"),
    ],
)
def test_intervals_are_short_and_right(value, low, high, signed, text) -> None:
    assert interval(value, low, high, signed=signed) == text
