"""Percentiles as `numpy.percentile` gives them by default, to the last digit.

Both interpolate between the two values beside a rank, but round otherwise: `quantilesExactInclusive` of
ClickHouse differs from numpy in the last digit of one answer in fifteen. So up to `MAX_SORTED` values of a
group are also kept as an array, and interpolated here as numpy does it (`_lerp` in its
`lib/_function_base_impl.py`). Beyond that the two agree to 15 digits.
"""

from typing import Final

LEVELS: Final = "0.5, 0.95, 0.98, 0.99"
"""What is told of numbers: the median, p95, p98 and p99."""

MAX_SORTED: Final = 100_000
"""Values of a group that are sorted: so many take some milliseconds, and 800 kB."""

_BELOW: Final = "sorted[toUInt64(floor(rank)) + 1]"
_ABOVE: Final = "sorted[least(toUInt64(floor(rank)) + 2, n)]"
_PAST: Final = "rank - floor(rank)"
_LERP: Final = "if(past >= 0.5, high - (high - low) * (1 - past), low + (high - low) * past)"


def interpolated() -> str:
    """Return the SQL of all levels as an array, from `n`, `sorted` and `quantiles`."""
    ranks = f"arrayMap(level -> (n - 1) * level, [{LEVELS}])"
    beside = (f"arrayMap(rank -> {each}, {ranks})" for each in (_BELOW, _ABOVE, _PAST))
    lerp = f"arrayMap((low, high, past) -> {_LERP}, {', '.join(beside)})"
    return f"if(n > {MAX_SORTED}, quantiles, {lerp})"
