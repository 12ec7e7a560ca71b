"""Compare two groups: how far apart, how sure, and whether chance alone would do it.

    Question("thumbs", compare="metadata._prompt = v1, v2")

The second is set against the first: a positive difference is in favour of the second. Both columns of
an interval are its ends at 95 %; a p-value is two-sided.

    boolean, text, thumbs   difference of shares in percentage points; Newcombe's hybrid score interval
                    (R. G. Newcombe, 1998, method 10), and the N - 1 chi-squared test (I. Campbell, 2007)
    number          difference of means; interval and test by Welch
    weighted        difference of weighted means; interval and test from the normal distribution
"""

from typing import Final

from afterword_consumers.query.columns import Kind
from afterword_consumers.query.compile.intervals import Z_95, wilson
from afterword_consumers.query.compile.measures import (
    MIN_COMPARABLE,
    Aggregate,
    Measured,
    Recipe,
    SeriesType,
    measured,
    small,
    squared_error,
    weighted_sums,
)
from afterword_consumers.query.compile.welch import difference, welch

FIRST: Final = 1
"""What `side` is for the first of the two."""

SECOND: Final = 2

_MIN_EXPECTED: Final = 5


def comparing_recipe(series: SeriesType, names: tuple[str, str]) -> Recipe:
    """Return how the two sides of a type are measured, from columns `measure` and `side`."""
    match series:
        case SeriesType.NUMBER:
            return _means(names)
        case SeriesType.BOOLEAN:
            return _shares(names, "trues", "n", "true %", "true_percent")
        case SeriesType.THUMBS:
            return _shares(names, "trues", "n", "up %", "up_percent")
        case SeriesType.WEIGHTED:
            return _weighted_means(names)
        case _:
            return _shares(names, "n", "of", "%", "percent")


def _means(names: tuple[str, str]) -> Recipe:
    sides = (("first", FIRST), ("second", SECOND))
    aggregates = _counts() + tuple(
        Aggregate(f"{name}_{side}", function, f"measure, side = {number}")
        for side, number in sides
        # What many sums of rounded numbers lose would be taken for a difference.
        for name, function in (("total", "sumKahanIf"), ("deviation", "stddevSampStableIf"))
    )
    low, high, p = welch(
        ("n_first", "avg_first", "deviation_first"),
        ("n_second", "avg_second", "deviation_second"),
    )
    columns = (
        *_sizes(names),
        measured("avg_first", Kind.NUMBER, "total_first / n_first", f"avg {names[0]}"),
        measured("avg_second", Kind.NUMBER, "total_second / n_second", f"avg {names[1]}"),
        measured("difference", Kind.NUMBER, difference("avg_first", "avg_second")),
        measured("difference_low", Kind.INTERVAL, low, "low"),
        measured("difference_high", Kind.INTERVAL, high, "high"),
        measured("p_value", Kind.PROBABILITY, p, "p"),
        small("least(n_first, n_second)"),
    )
    return Recipe(aggregates, columns)


def _shares(names: tuple[str, str], part: str, whole: str, label: str, column: str) -> Recipe:
    """Compare the share that `part` is of `whole`, both SQL names that end in the side."""
    counted = part == "trues"
    aggregates = _counts() + tuple(
        Aggregate(f"trues_{side}", "countIf", f"measure AND side = {number}")
        for side, number in (("first", FIRST), ("second", SECOND))
        if counted
    )
    a, n, b, m = (f"{name}_{side}" for side in ("first", "second") for name in (part, whole))
    low, high = _newcombe(a, n, b, m)
    columns = (
        *_sizes(names),
        measured(f"{column}_first", Kind.PERCENT, f"100 * {a} / {n}", f"{label} {names[0]}"),
        measured(f"{column}_second", Kind.PERCENT, f"100 * {b} / {m}", f"{label} {names[1]}"),
        measured("difference", Kind.POINTS, f"100 * ({b} / {m} - {a} / {n})"),
        measured("difference_low", Kind.INTERVAL, low, "low"),
        measured("difference_high", Kind.INTERVAL, high, "high"),
        measured("p_value", Kind.PROBABILITY, _campbell(a, n, b, m), "p"),
        _small_shares(a, n, b, m),
    )
    return Recipe(aggregates, columns)


def _weighted_means(names: tuple[str, str]) -> Recipe:
    aggregates = (
        *_counts(),
        *weighted_sums("_first", f"side = {FIRST}"),
        *weighted_sums("_second", f"side = {SECOND}"),
    )
    first, second = "wx_first / nullIf(w_first, 0)", "wx_second / nullIf(w_second, 0)"
    apart = difference(first, second)
    error = f"(sqrt({squared_error('_first')} + {squared_error('_second')}) AS error)"
    told = f"(counted_first > 1 AND counted_second > 1 AND {error} > 0 AS is_told)"
    low = f"if({told}, difference - {Z_95} * error, NULL)"
    columns = (
        *_sizes(names),
        measured("weighted_avg_first", Kind.NUMBER, first, f"weighted avg {names[0]}"),
        measured("weighted_avg_second", Kind.NUMBER, second, f"weighted avg {names[1]}"),
        measured("difference", Kind.NUMBER, apart),
        measured("difference_low", Kind.INTERVAL, low, "low"),
        measured(
            "difference_high",
            Kind.INTERVAL,
            f"if(is_told, difference + {Z_95} * error, NULL)",
            "high",
        ),
        measured(
            "p_value",
            Kind.PROBABILITY,
            "if(is_told, erfc(abs(difference) / error / sqrt(2)), NULL)",
            "p",
        ),
        small("least(counted_first, counted_second)"),
    )
    return Recipe(aggregates, columns)


def _newcombe(a: str, n: str, b: str, m: str) -> tuple[str, str]:
    """Return the ends of `b / m - a / n` in percentage points, from Wilson's of each share."""
    a_low, a_high = wilson(a, n)
    b_low, b_high = wilson(b, m)
    p, q = f"100 * {a} / {n}", f"100 * {b} / {m}"
    low = f"{q} - {p} - sqrt(pow({q} - {b_low}, 2) + pow({a_high} - {p}, 2))"
    high = f"{q} - {p} + sqrt(pow({b_high} - {q}, 2) + pow({p} - {a_low}, 2))"
    return low, high


def _campbell(a: str, n: str, b: str, m: str) -> str:
    """Return the p-value of `a / n = b / m`; NULL where all or none are, as chance then has no say."""
    both, all_ = f"({a} + {b})", f"({n} + {m})"
    chi2 = (
        f"pow({a} * {m} - {b} * {n}, 2) * ({all_} - 1)"
        f" / (toFloat64({both}) * ({all_} - {both}) * {n} * {m})"
    )
    return f"erfc(sqrt({chi2} / 2))"


def _small_shares(a: str, n: str, b: str, m: str) -> Measured:
    """Return the mark: also where chance alone makes fewer than 5 of a kind, as for all chi-squared tests."""
    both, all_ = f"({a} + {b})", f"({n} + {m})"
    expected = f"least({both}, {all_} - {both}) * least({n}, {m}) / {all_}"
    few = f"least({n}, {m}) < {MIN_COMPARABLE} OR {expected} < {_MIN_EXPECTED}"
    return measured("is_small", Kind.FLAG, f"toBool({few})", "few")


def _counts() -> tuple[Aggregate, ...]:
    return (
        Aggregate("n", "count", argument=""),
        Aggregate("n_first", "countIf", f"side = {FIRST}"),
        Aggregate("n_second", "countIf", f"side = {SECOND}"),
    )


def _sizes(names: tuple[str, str]) -> tuple[Measured, ...]:
    return (
        measured("n_first", Kind.COUNT, "n_first", f"n {names[0]}"),
        measured("n_second", Kind.COUNT, "n_second", f"n {names[1]}"),
    )
