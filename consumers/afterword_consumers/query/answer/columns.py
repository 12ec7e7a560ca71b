"""The columns of an answer: what each one is called, means and is written like, and how it is made.

    output_columns(plan, SeriesType.NUMBER)     # n, sum, avg, avg_low, avg_high, median, …
    complete(plan, SeriesType.NUMBER, {"n": 2, "sum": 3.0, …})["avg"]      # 1.5

ClickHouse counts, sums, and makes shares and means; intervals, differences and tests are made of that
here.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from afterword_consumers.query.compile.measures import SHARES, SeriesType
from afterword_consumers.query.database import Cell, whole
from afterword_consumers.query.language.parse import Plan
from afterword_consumers.query.statistics.comparisons import (
    compare_means,
    compare_shares,
    compare_weighted,
    fewest_expected,
)
from afterword_consumers.query.statistics.intervals import (
    Interval,
    Mean,
    Share,
    WeightedSums,
    mean_interval,
    share_interval,
    weighted_interval,
)

MIN_COMPARABLE: Final = 30
"""A rate or mean of fewer is marked as small: intervals hold, but what looks like a trend is chance.

From 30 on, the usual rule of thumb, the mean of most distributions is close to normal.
"""

_MIN_EXPECTED: Final = 5
"""Where chance alone makes fewer of a kind, chi-squared tests do not hold."""

Row = Mapping[str, Cell]
"""A row by column name."""


class Kind(StrEnum):
    """How the cells of a column are to be read and written."""

    COUNT = "count"
    """A whole number of something."""

    NUMBER = "number"
    """A number in the measure's own unit."""

    PERCENT = "percent"
    """0 to 100."""

    POINTS = "points"
    """Percentage points, -100 to 100: a difference of percentages."""

    INTERVAL = "interval"
    """One end of the 95 % confidence interval of the column before it, in that column's unit."""

    PROBABILITY = "probability"
    """0 to 1: a p-value."""

    FLAG = "flag"
    """True or false: a remark about the row, which is worth showing only where it is true."""

    TEXT = "text"
    """Text; None is feedback that lacks the path."""

    TIME = "time"
    """The start of a bucket: a date, or for minutes and hours a time with its offset."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: As in the SQL.
        kind: How to read the cells.
        label: What a person calls it.
    """

    name: str
    kind: Kind
    label: str


def output_columns(plan: Plan, series: SeriesType) -> tuple[Column, ...]:
    """Return the columns of a series, in order."""
    return (*_key_columns(plan, series), *_measured_columns(plan, series))


def complete(plan: Plan, series: SeriesType, row: Row) -> Row:
    """Return a row of the statement with all that is made of it.

    Args:
        plan: What is asked.
        series: Which series the row is of.
        row: What ClickHouse computed.
    """
    if plan.comparison is None:
        return {**row, **_measure(series, row)}
    return {**row, **_compare(series, row)}


def tell_apart(columns: Sequence[Column]) -> list[Column]:
    """Return the columns, a group that is called like another column marked as the group."""
    labels = Counter(column.label for column in columns)
    return [
        replace(column, label=f"{column.label} (group)")
        if labels[column.label] > 1 and column.name.startswith("group_")
        else column
        for column in columns
    ]


def _key_columns(plan: Plan, series: SeriesType) -> Iterator[Column]:
    if plan.bucket is not None:
        yield Column("bucket", Kind.TIME, str(plan.bucket))
    for number, field in enumerate(plan.groups, start=1):
        yield Column(f"group_{number}", Kind.TEXT, field.name)
    if plan.groups:
        yield Column("other_groups", Kind.COUNT, "other groups")
    if series in {SeriesType.TEXT, SeriesType.PAIRS}:
        yield Column("value", Kind.TEXT, "value")
        yield Column("other_values", Kind.COUNT, "other values")


def _measured_columns(plan: Plan, series: SeriesType) -> tuple[Column, ...]:
    if plan.comparison is not None:
        return _compared_columns(series, plan.comparison.names)
    match series:
        case SeriesType.COUNT:
            return (_N,)
        case SeriesType.NUMBER:
            return (_N, *_NUMBER, _FEW)
        case SeriesType.WEIGHTED:
            return (_N, *_WEIGHTED, _FEW)
        case SeriesType.BOOLEAN | SeriesType.THUMBS:
            part, rest = SHARES[series]
            other = Column(f"{rest}_percent", Kind.PERCENT, f"{rest} %")
            return (_N, *_with_ends(f"{part}_percent", Kind.PERCENT, f"{part} %"), other, _FEW)
        case SeriesType.TEXT | SeriesType.PAIRS:
            return (_N, *_with_ends("percent", Kind.PERCENT, "%"), _FEW)


def _compared_columns(series: SeriesType, names: tuple[str, str]) -> tuple[Column, ...]:
    name, kind, label = _COMPARED[series]
    difference = Kind.NUMBER if kind is Kind.NUMBER else Kind.POINTS
    return (
        Column("n_first", Kind.COUNT, f"n {names[0]}"),
        Column("n_second", Kind.COUNT, f"n {names[1]}"),
        Column(f"{name}_first", kind, f"{label} {names[0]}"),
        Column(f"{name}_second", kind, f"{label} {names[1]}"),
        *_with_ends("difference", difference, "difference"),
        Column("p_value", Kind.PROBABILITY, "p"),
        _FEW,
    )


def _with_ends(name: str, kind: Kind, label: str) -> tuple[Column, Column, Column]:
    return (
        Column(name, kind, label),
        Column(f"{name}_low", Kind.INTERVAL, "low"),
        Column(f"{name}_high", Kind.INTERVAL, "high"),
    )


_N: Final = Column("n", Kind.COUNT, "n")
_FEW: Final = Column("is_small", Kind.FLAG, "few")
_NUMBER: Final = (
    Column("sum", Kind.NUMBER, "sum"),
    *_with_ends("avg", Kind.NUMBER, "avg"),
    *(Column(name, Kind.NUMBER, name) for name in ("median", "min", "max", "p95", "p98", "p99")),
)
_WEIGHTED: Final = (
    Column("weight_sum", Kind.NUMBER, "sum of weights"),
    *_with_ends("weighted_avg", Kind.NUMBER, "weighted avg"),
)
_COMPARED: Final = {
    SeriesType.NUMBER: ("avg", Kind.NUMBER, "avg"),
    SeriesType.WEIGHTED: ("weighted_avg", Kind.NUMBER, "weighted avg"),
    SeriesType.BOOLEAN: ("true_percent", Kind.PERCENT, "true %"),
    SeriesType.THUMBS: ("up_percent", Kind.PERCENT, "up %"),
    SeriesType.TEXT: ("percent", Kind.PERCENT, "%"),
}
"""What is compared of a type: its name, kind and label."""


def _measure(series: SeriesType, row: Row) -> Row:
    n = whole(row["n"])
    match series:
        case SeriesType.COUNT:
            return {}
        case SeriesType.NUMBER:
            mean = _mean(n, row["avg"], row["deviation"])
            return {**_ends("avg", mean_interval(mean)), "is_small": n < MIN_COMPARABLE}
        case SeriesType.WEIGHTED:
            sums = _sums(row)
            ends = _ends("weighted_avg", weighted_interval(sums))
            return {"weight_sum": sums.w, **ends, "is_small": sums.n < MIN_COMPARABLE}
        case SeriesType.BOOLEAN | SeriesType.THUMBS:
            return _share(f"{SHARES[series][0]}_percent", Share(whole(row["trues"]), n))
        case SeriesType.TEXT | SeriesType.PAIRS:
            return _share("percent", Share(n, whole(row["of"])))


def _compare(series: SeriesType, row: Row) -> Row:
    match series:
        case SeriesType.NUMBER:
            means = [
                _mean(whole(row[f"n_{side}"]), row[f"avg_{side}"], row[f"deviation_{side}"])
                for side in _SIDES
            ]
            contrast, is_small = compare_means(*means), _is_small(*(each.n for each in means))
        case SeriesType.WEIGHTED:
            sums = [_sums(row, f"_{side}") for side in _SIDES]
            contrast, is_small = compare_weighted(*sums), _is_small(*(each.n for each in sums))
        case _:
            part, n = ("n", "of") if series is SeriesType.TEXT else ("trues", "n")
            shares = [
                Share(whole(row[f"{part}_{side}"]), whole(row[f"{n}_{side}"])) for side in _SIDES
            ]
            contrast = compare_shares(*shares)
            is_small = (
                _is_small(*(each.n for each in shares)) or fewest_expected(*shares) < _MIN_EXPECTED
            )
    return {
        "difference": contrast.difference,
        **_ends("difference", contrast.interval),
        "p_value": contrast.p_value,
        "is_small": is_small,
    }


_SIDES: Final = ("first", "second")


def _share(name: str, share: Share) -> Row:
    return {**_ends(name, share_interval(share)), "is_small": share.n < MIN_COMPARABLE}


def _ends(name: str, interval: Interval | None) -> Row:
    low, high = (None, None) if interval is None else interval
    return {f"{name}_low": low, f"{name}_high": high}


def _mean(n: int, mean: Cell, deviation: Cell) -> Mean:
    return Mean(n, _number(mean), _number(deviation))


def _sums(row: Row, suffix: str = "") -> WeightedSums:
    sums = (_number(row[f"{name}{suffix}"]) for name in ("w", "wx", "ww", "wwx", "wwxx"))
    return WeightedSums(whole(row[f"counted{suffix}"]), *sums)


def _is_small(first: int, second: int) -> bool:
    return min(first, second) < MIN_COMPARABLE


def _number(cell: Cell) -> float:
    """Return a number; NaN for what is none."""
    return math.nan if cell is None else float(cell)
