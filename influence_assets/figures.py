"""Numbers with their intervals, as people read them."""

from __future__ import annotations


def interval(value: float | None, low: float | None, high: float | None, *, signed: bool = False) -> str:
    """`.91 [.88, 1.0]`; a dash where there is no value."""
    if value is None or low is None or high is None:
        return "-"
    number, *ends = (_short(f"{x:+.2f}" if signed else f"{x:.2f}") for x in (value, low, high))
    return f"{number} [{', '.join(ends)}]"


def _short(number: str) -> str:
    """Without the zero before the point, and 1.0 for 1.00, so that three of them fit a narrow terminal."""
    sign, digits = (number[0], number[1:]) if number[0] in "+-" else ("", number)
    return sign + ("1.0" if digits == "1.00" else digits.removeprefix("0") if digits.startswith("0.") else digits)
