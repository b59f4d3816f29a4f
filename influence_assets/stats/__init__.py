"""Intervals, resampling and rank statistics: pure numpy (scipy's special functions where a quantile needs them)."""
