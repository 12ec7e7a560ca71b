"""Confidence intervals at 95 %, from counts, sums, means and deviations.

    share_interval(Share(7, 10))            # in percent, by Wilson: about (39.7, 89.2)
    mean_interval(Mean(10, 5.5, 3.03))      # by Student's t: about (3.33, 7.67)

A share gets Wilson's score interval (E. B. Wilson, 1927), which stays within 0 and 100 and holds for
few and for extreme answers. A mean gets Student's t interval. Where nothing can be told, as of one
value, of none, or of numbers beyond what a float can hold, the answer is None.
"""

from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Final

Z_95: Final = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""

_ROUNDING: Final = 1e-12
"""Of what a difference of sums is made of: less is what rounding has left of it."""

Interval = tuple[float, float]
"""Its low and its high end."""


@dataclass(frozen=True, slots=True)
class Share:
    """What part of how many."""

    part: int
    n: int


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean of n values with their sample standard deviation; the two may be NaN or infinite."""

    n: int
    mean: float
    deviation: float


@dataclass(frozen=True, slots=True)
class WeightedSums:
    """What a weighted mean and its error are made of.

    Attributes:
        n: Values of a weight above 0.
        w: The sum of their weights.
        wx: That of weight times value.
        ww: That of the squared weights.
        wwx: That of squared weight times value.
        wwxx: That of the squares of weight times value.
    """

    n: int
    w: float
    wx: float
    ww: float
    wwx: float
    wwxx: float

    @property
    def mean(self) -> float | None:
        """The mean by weight; None where no weight is above 0."""
        return self.wx / self.w if self.w > 0 else None

    @property
    def squared_error(self) -> float | None:
        """The variance of the mean, as of a ratio of two sums; None for fewer than two values.

        It is n / (n - 1) * sum(w^2 (x - mean)^2) / sum(w)^2 over the n values of a weight above 0; with
        equal weights that of the plain mean.
        """
        mean = self.mean
        if mean is None or self.n < 2 or not self.w * self.w > 0:  # noqa: PLR2004
            return None
        squares = self.wwxx - 2 * mean * self.wwx + mean * mean * self.ww
        if squares <= _ROUNDING * self.wwxx:
            squares = 0.0
        return self.n / (self.n - 1) * squares / (self.w * self.w)


def share_interval(share: Share) -> Interval | None:
    """Return the interval of a share, in percent; None of nothing."""
    part, n = share.part, share.n
    if not n:
        return None
    z2 = Z_95 * Z_95
    root = Z_95 * sqrt(part * (n - part) / n + z2 / 4)
    # At the ends they meet the share, but for rounding.
    low = 100 * ((part + z2 / 2 - root) / (n + z2)) if part else 0.0
    high = 100 * ((part + z2 / 2 + root) / (n + z2)) if part < n else 100.0
    return low, high


def mean_interval(mean: Mean) -> Interval | None:
    """Return the interval of a mean; None for fewer than two values."""
    if mean.n < 2 or not isfinite(mean.mean) or not isfinite(mean.deviation):  # noqa: PLR2004
        return None
    return around(mean.mean, t_quantile(mean.n - 1) * mean.deviation / sqrt(mean.n))


def weighted_interval(sums: WeightedSums) -> Interval | None:
    """Return the interval of a weighted mean; None for fewer than two values of a weight above 0."""
    mean, squared_error = sums.mean, sums.squared_error
    if mean is None or squared_error is None or not isfinite(squared_error):
        return None
    return around(mean, t_quantile(sums.n - 1) * sqrt(squared_error))


def around(middle: float, half: float) -> Interval:
    """Return the interval of a middle and half its width."""
    return middle - half, middle + half


def t_quantile(freedom: float) -> float:
    """Return the 97.5 % quantile of Student's t; degrees of freedom are above 0, whole or not."""
    # What `scipy.stats.t` calls itself, at a third of the time that importing that package takes; and
    # importing this one takes as long as many a question.
    from scipy.special import stdtrit  # noqa: PLC0415

    return float(stdtrit(freedom, 0.975))


def t_p_value(t: float, freedom: float) -> float:
    """Return how likely Student's t is at least as far from 0, to either side."""
    from scipy.special import stdtr  # noqa: PLC0415  # as above

    return 2 * float(stdtr(freedom, -abs(t)))
