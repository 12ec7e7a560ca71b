"""Welch's comparison of two means in SQL, from their counts, means and standard deviations.

ClickHouse has `welchTTest`, but it sums squares: of large numbers that lie close together nothing is left of
the spread, and where there is none it fails. Here the deviations come of `stddevSampStable`, and Student's
t is integrated.

With y = atan(sqrt(v) / |t|), the two-sided p-value on v degrees of freedom is the integral of sin(u)^(v - 1)
over [0, y], by that over [0, pi / 2] (from Abramowitz and Stegun, 26.7.1, with t = sqrt(v) / tan(u)). With u = y s^4 it
is smooth at 0 for all v from 1 on. Above `_MANY` degrees it is the normal distribution, with the correction of
G. W. Hill (1970, Algorithm 395), and as right. The ends of the interval are right to 2 parts in 100,000.
"""

from typing import Final

from afterword_consumers.query.compile.intervals import expanded_t_quantile

_STEPS: Final = 1024
_EXPANDED: Final = 10
"""From so many degrees on the expansion of the quantile is right to 4 in a million, and closer than the sums."""

_MANY: Final = 200
_LEAST: Final = "1e-15"
"""Of the larger mean: a difference or an error that is smaller comes of rounding."""

Side = tuple[str, str, str]
"""The SQL of a side's count, mean and standard deviation."""


def difference(first: str, second: str) -> str:
    """Return the SQL of the second mean less the first; what comes of rounding is 0."""
    apart = f"({second} - {first})"
    return f"if(abs{apart} <= {_LEAST} * greatest(abs({first}), abs({second})), 0, {apart})"


def welch(first: Side, second: Side) -> tuple[str, str, str]:
    """Return the SQL of low and high end of the difference at 95 %, and of its p-value.

    All are NULL where a side has fewer than two values, or there is no spread to tell by.
    """
    n, mean, deviation = first
    m, other, spread = second
    share = f"(pow({deviation}, 2) / {n} AS variance_first)"
    rest = f"(pow({spread}, 2) / {m} AS variance_second)"
    error = f"(sqrt({share} + {rest}) AS error)"
    part = "(variance_first / (variance_first + variance_second) AS part)"
    freedom = f"(1 / (pow({part}, 2) / ({n} - 1) + pow(1 - part, 2) / ({m} - 1)) AS freedom)"
    told = (
        f"({n} > 1 AND {m} > 1"
        f" AND {error} > {_LEAST} * greatest(abs({mean}), abs({other})) AND isFinite({freedom}))"
    )
    low = f"if(({told} AS is_told), difference - ({_t_quantile()} AS t) * error, NULL)"
    return low, "if(is_told, difference + t * error, NULL)", f"if(is_told, {_p_value()}, NULL)"


def _t_quantile() -> str:
    """Return the SQL of the 97.5 % quantile for `freedom`, whole or not.

    It is where the integral has come to 5 %: found among its sums up to each step.
    """
    middle = f"(pi() / 2 * pow((step - 0.5) / {_STEPS}, 4))"
    slope = f"(2 * pi() * pow((step - 0.5) / {_STEPS}, 3) / {_STEPS})"
    sums = (
        f"arrayCumSum(arrayMap(step -> pow(sin({middle}), freedom - 1) * {slope},"
        f" range(1, {_STEPS + 1})))"
    )
    at = f"(arrayFirstIndex(reached -> reached >= 0.05 * {_whole()}, ({sums} AS reaching)) AS at)"
    within = f"(0.05 * {_whole()} - reaching[at - 1]) / (reaching[at] - reaching[at - 1])"
    exact = f"sqrt(freedom) / tan(pi() / 2 * pow(({at} - 1 + {within}) / {_STEPS}, 4))"
    return f"if(freedom > {_EXPANDED}, {expanded_t_quantile('freedom')}, {exact})"


def _p_value() -> str:
    """Return the SQL of the two-sided p-value of `difference`, for `error` and `freedom`."""
    end = "(atan2(error * sqrt(freedom), abs(difference)) AS y)"
    weight = f"if(step % {_STEPS} = 0, 1, if(step % 2 = 1, 4, 2))"
    height = f"pow(sin(y * pow(step / {_STEPS}, 4)), freedom - 1) * 4 * y * pow(step / {_STEPS}, 3)"
    # By Simpson's rule.
    tail = f"arraySum(step -> {weight} * {height}, range({_STEPS + 1})) / {3 * _STEPS}"
    exact = f"least(if({end} > 0, {tail}, 0) / {_whole()}, 1)"
    return f"if(freedom > {_MANY}, {_normal_p_value()}, {exact})"


def _whole() -> str:
    """Return the SQL of the integral over [0, pi / 2]."""
    return "(sqrt(pi()) / 2 * exp(lgamma(freedom / 2) - lgamma((freedom + 1) / 2)))"


def _normal_p_value() -> str:
    a = "(freedom - 0.5)"
    b = f"(48 * pow({a}, 2))"
    z = f"(sqrt({a} * log1p(pow(difference / error, 2) / freedom)) AS z)"
    first = f"(pow({z}, 3) + 3 * z) / {b}"
    second = (
        "(4 * pow(z, 7) + 33 * pow(z, 5) + 240 * pow(z, 3) + 855 * z)"
        f" / (10 * {b} * ({b} + 0.8 * pow(z, 4) + 100))"
    )
    return f"erfc(({first} - {second} + z) / sqrt(2))"
