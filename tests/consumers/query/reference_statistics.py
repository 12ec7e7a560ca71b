"""The statistics of an answer in plain Python, from the textbook's formulas and in no hurry.

    measure_numbers([1.0, 2.0, 4.0])["median"]      # 2.0

Percentiles are numpy's; the quantiles of Student's t are solved for, not approximated.
"""

from collections.abc import Sequence
from functools import cache
from math import atan, cos, fsum, isfinite, pi, sin, sqrt
from typing import Final

import numpy as np

from afterword_consumers.query import Cell

Z_95: Final = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""

MIN_COMPARABLE: Final = 30
"""Fewer observations are marked as small."""


def measure_numbers(values: Sequence[float]) -> dict[str, Cell]:
    """Return n, sum, mean with Student's interval, extremes and percentiles."""
    n, total = len(values), _sum(values)
    low = high = None
    if n > 1 and isfinite(total):
        mean = total / n
        deviation = sqrt(fsum((each - mean) ** 2 for each in values) / (n - 1))
        half = t_quantile(n - 1) * deviation / sqrt(n)
        low, high = mean - half, mean + half
    median, p95, p98, p99 = (float(each) for each in np.percentile(values, [50, 95, 98, 99]))
    return {
        "n": n,
        "sum": total if isfinite(total) else None,
        "avg": total / n if isfinite(total) else None,
        "avg_low": low,
        "avg_high": high,
        "median": median,
        "min": min(values),
        "max": max(values),
        "p95": p95,
        "p98": p98,
        "p99": p99,
        "is_small": n < MIN_COMPARABLE,
    }


def measure_booleans(values: Sequence[bool]) -> dict[str, Cell]:
    """Return n and the shares of true and false in percent, that of true with Wilson's interval."""
    n, trues = len(values), sum(values)
    low, high = wilson(trues, n)
    return {
        "n": n,
        "true_percent": 100 * trues / n,
        "true_percent_low": low,
        "true_percent_high": high,
        "false_percent": 100 * (n - trues) / n,
        "is_small": n < MIN_COMPARABLE,
    }


def measure_thumbs(votes: Sequence[bool]) -> dict[str, Cell]:
    """Return n and the shares of up and down in percent, that of up with Wilson's interval."""
    names = {"true": "up", "false": "down"}
    return {
        "_".join(names.get(step, step) for step in name.split("_")): cell
        for name, cell in measure_booleans(votes).items()
    }


def measure_share(n: int, of: int) -> dict[str, Cell]:
    """Return a count and its share in percent with Wilson's interval."""
    low, high = wilson(n, of)
    return {
        "n": n,
        "percent": 100 * n / of,
        "percent_low": low,
        "percent_high": high,
        "is_small": of < MIN_COMPARABLE,
    }


def measure_weighted(values: Sequence[float], weights: Sequence[float]) -> dict[str, Cell]:
    """Return the mean of values by weight, with the interval of a ratio of two sums."""
    w = fsum(weights)
    counted = sum(weight > 0 for weight in weights)
    mean = low = high = None
    if w > 0:
        mean = fsum(x * weight for x, weight in zip(values, weights, strict=True)) / w
    if mean is not None and counted > 1:
        squares = fsum(
            (weight * (x - mean)) ** 2 for x, weight in zip(values, weights, strict=True)
        )
        half = t_quantile(counted - 1) * sqrt(counted / (counted - 1) * squares) / w
        low, high = mean - half, mean + half
    return {
        "n": len(values),
        "weight_sum": w,
        "weighted_avg": mean,
        "weighted_avg_low": low,
        "weighted_avg_high": high,
        "is_small": counted < MIN_COMPARABLE,
    }


def wilson(part: int, n: int) -> tuple[float, float]:
    """Return the shares in percent from which the observed one is 1.96 standard errors away."""
    share = part / n
    centre = share + Z_95**2 / (2 * n)
    spread = Z_95 * sqrt(share * (1 - share) / n + Z_95**2 / (4 * n * n))
    scale = 100 / (1 + Z_95**2 / n)
    return max(scale * (centre - spread), 0.0), min(scale * (centre + spread), 100.0)


@cache
def t_quantile(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t, by halving an interval that holds it.

    >>> round(t_quantile(1), 6), round(t_quantile(10), 6), round(t_quantile(1000), 6)
    (12.706205, 2.228139, 1.962339)
    """
    low, high = 0.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < 0.95 else (low, middle)
    return (low + high) / 2


def _within(t: float, freedom: int) -> float:
    """Return the probability of -t to t: Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    angle = atan(t / sqrt(freedom))
    odd = freedom % 2
    term = cos(angle) if odd else 1.0
    total = term if freedom > 1 else 0.0
    for k in range(2 + odd, freedom - 1, 2):
        term *= cos(angle) ** 2 * (k - 1) / k
        total += term
    return 2 / pi * (angle + sin(angle) * total) if odd else sin(angle) * total


def _sum(values: Sequence[float]) -> float:
    try:
        return fsum(values)
    except OverflowError:
        return float("inf")
