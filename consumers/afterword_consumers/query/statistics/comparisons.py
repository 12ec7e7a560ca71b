"""How far two groups are apart, how sure that is, and whether chance alone would do it.

    compare_shares(Share(48, 80), Share(56, 70)).difference      # 20: percentage points
    compare_means(Mean(40, 3.1, 1.2), Mean(50, 3.6, 1.1)).p_value

The second is set against the first: a positive difference is in favour of the second. The ends of an
interval are at 95 %; a p-value is two-sided.

    shares            Newcombe's hybrid score interval (R. G. Newcombe, 1998, method 10), and the N - 1
                      chi-squared test (I. Campbell, 2007)
    means             interval and test by Welch
    weighted means    interval and test from the normal distribution
"""

from dataclasses import dataclass
from math import erfc, isfinite, sqrt
from typing import Final

from afterword_consumers.query.statistics.intervals import (
    Z_95,
    Interval,
    Mean,
    Share,
    WeightedSums,
    around,
    share_interval,
    t_p_value,
    t_quantile,
)

_ROUNDING: Final = 1e-15
"""Of the larger mean: a difference or an error that is smaller comes of rounding."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """The second group less the first.

    Attributes:
        difference: In the unit of what is compared, of shares in percentage points; None where a
            group is empty.
        interval: Its ends; None where there is no spread to tell by.
        p_value: How likely chance alone makes such a difference; None where there is no test.
    """

    difference: float | None
    interval: Interval | None = None
    p_value: float | None = None


def compare_shares(first: Share, second: Share) -> Contrast:
    """Compare two shares; without a test where all or none are of the part, as chance has no say."""
    first_interval = share_interval(first)
    second_interval = share_interval(second)
    if first_interval is None or second_interval is None:
        return Contrast(None)
    p, q = 100 * first.part / first.n, 100 * second.part / second.n
    apart = 100 * (second.part / second.n - first.part / first.n)
    ends = (
        q - p - sqrt((q - second_interval[0]) ** 2 + (first_interval[1] - p) ** 2),
        q - p + sqrt((second_interval[1] - q) ** 2 + (p - first_interval[0]) ** 2),
    )
    return Contrast(apart, ends, _campbell(first, second))


def compare_means(first: Mean, second: Mean) -> Contrast:
    """Compare two means; no interval where a group has fewer than two values, or there is no spread."""
    difference = _difference(first.mean, second.mean)
    if first.n < 2 or second.n < 2 or not isfinite(difference):  # noqa: PLR2004
        return Contrast(difference)
    variance = first.deviation * first.deviation / first.n
    rest = second.deviation * second.deviation / second.n
    error = sqrt(variance + rest)
    if not _ROUNDING * max(abs(first.mean), abs(second.mean)) < error < float("inf"):
        return Contrast(difference)
    part = variance / (variance + rest)
    freedom = 1 / (part * part / (first.n - 1) + (1 - part) * (1 - part) / (second.n - 1))
    return Contrast(
        difference,
        around(difference, t_quantile(freedom) * error),
        t_p_value(difference / error, freedom),
    )


def compare_weighted(first: WeightedSums, second: WeightedSums) -> Contrast:
    """Compare two weighted means; no interval where a group has fewer than two, or there is no spread."""
    if first.mean is None or second.mean is None:
        return Contrast(None)
    difference = _difference(first.mean, second.mean)
    one, other = first.squared_error, second.squared_error
    if one is None or other is None or not 0 < (error := sqrt(one + other)) < float("inf"):
        return Contrast(difference)
    return Contrast(
        difference, around(difference, Z_95 * error), erfc(abs(difference) / error / sqrt(2))
    )


def fewest_expected(first: Share, second: Share) -> float:
    """Return how many of a kind chance alone would make in the smaller cell; 0 of nothing."""
    both, n = first.part + second.part, first.n + second.n
    return min(both, n - both) * min(first.n, second.n) / n if n else 0


def _difference(first: float, second: float) -> float:
    """Return the second mean less the first; what comes of rounding is 0."""
    apart = second - first
    return 0.0 if abs(apart) <= _ROUNDING * max(abs(first), abs(second)) else apart


def _campbell(first: Share, second: Share) -> float | None:
    """Return the p-value of equal shares; whole numbers of any size, so that nothing is rounded."""
    both, n = first.part + second.part, first.n + second.n
    if both in {0, n}:
        return None
    apart = first.part * second.n - second.part * first.n
    chi2 = apart * apart * (n - 1) / (both * (n - both) * first.n * second.n)
    return erfc(sqrt(chi2 / 2))
