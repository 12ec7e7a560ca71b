"""What `static/charts.js` draws, and the same numbers for a table beneath it.

    figure = lines("percent", period, {"aurora-2": [Point(58.3, 56.7, 60.0, 3373), None, …]})
    figure.data      # for the data island; figure.head and figure.body for the table

A point that is missing is None: a gap, never 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil, floor, log10
from typing import Any, Final

from afterword_consumers.dashboard.wording import day
from afterword_consumers.query import Bucket

MAX_COLOURS: Final = 8
_MAX_BANDS: Final = 3
_DASHES: Final[Sequence[Any]] = ("solid", [4, 3], [1, 2], [8, 3])
_TICKS: Final = 7
"""Dates below a chart, at most."""


@dataclass(frozen=True, slots=True)
class Point:
    """A value with its interval and how many observations it is of."""

    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart.

    Attributes:
        kind: Which function of `charts.js` draws it.
        data: What that draws.
        rows: The same numbers: time or name, and then the values, for a table; the newest first.
        columns: What they are called.
    """

    kind: str
    data: Mapping[str, Any]
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = field(default=())

    @property
    def has_n(self) -> bool:
        """Whether each number of the table is a `Point`, which knows of how many it is."""
        return self.kind == "line"


def axis_of(buckets: Sequence[datetime], bucket: Bucket) -> dict[str, Any]:
    """Return the labels of a chart's times: short ones below it, and whole ones for the tooltip."""
    return {
        "x": [_short(at, bucket) for at in buckets],
        "long": [_long(at, bucket) for at in buckets],
        "every": max(1, ceil(len(buckets) / _TICKS)),
    }


def lines(
    unit: str,
    buckets: Sequence[datetime],
    bucket: Bucket,
    courses: Mapping[str, Sequence[Point | None]],
    *,
    colours: Mapping[str, int],
    in_question: str | None = None,
    mark: tuple[int, str] | None = None,
) -> Figure:
    """Return a line for each course.

    Args:
        unit: `percent`, `score` or `n`.
        buckets: When each point's time begins.
        bucket: What a point stands for.
        courses: A point, or None, for each time.
        colours: 1 to 8 for each name.
        in_question: The one that is drawn in colour with its band, the others grey; None colours all.
        mark: The index of a change, and what to write beside it.
    """
    in_colour = [name for name in courses if in_question in (None, name)]
    series, grey = [], 0
    for name, course in courses.items():
        quiet = name not in in_colour
        series.append(
            {
                "name": name,
                "y": [None if point is None else round(point.value, 4) for point in course],
                "low": [_end(point, "low") for point in course],
                "high": [_end(point, "high") for point in course],
                "n": [0 if point is None else point.n for point in course],
                "colour": colours.get(name, MAX_COLOURS),
                "quiet": quiet,
                "band": not quiet and len(in_colour) <= _MAX_BANDS,
                "dash": _DASHES[grey % len(_DASHES)] if quiet else "solid",
            }
        )
        grey += quiet
    data: dict[str, Any] = {**axis_of(buckets, bucket), "unit": unit, "series": series}
    data |= _scale(unit, [point for course in courses.values() for point in course if point])
    if mark is not None:
        data["mark"] = {"at": mark[0], "text": mark[1]}
    rows = [
        [_long(at, bucket), *(course[index] for course in courses.values())]
        for index, at in enumerate(buckets)
    ]
    return Figure("line", data, [str(bucket).capitalize(), *courses], rows[::-1])


def stack(
    buckets: Sequence[datetime],
    bucket: Bucket,
    counts: Mapping[str, Sequence[int]],
    *,
    axis: str,
    tokens: Mapping[str, str],
) -> Figure:
    """Return bars that stand on each other.

    Args:
        buckets: When each bar's time begins.
        bucket: What a bar stands for.
        counts: For each name a count for each time, the lowest first.
        axis: What is counted, in words.
        tokens: The colour token of a name, where it is not that of its place.
    """
    data = {
        **axis_of(buckets, bucket),
        "axis": axis,
        "series": [
            {"name": name, "y": list(course), **({"token": tokens[name]} if name in tokens else {})}
            for name, course in counts.items()
        ],
    }
    rows = [
        [_long(at, bucket), *(course[index] for course in counts.values())]
        for index, at in enumerate(buckets)
    ]
    return Figure("stack", data, [str(bucket).capitalize(), *counts], rows[::-1])


def spark(points: Sequence[float | None], scale: Sequence[float | None]) -> str:
    """Return the points of a polyline in a box of 96 by 30, on the scale of all that share the box."""
    known = [each for each in scale if each is not None]
    if not known or len(points) < 2:  # noqa: PLR2004
        return ""
    low, high = min(known), max(known)
    height = (high - low) or 1.0
    step = 90 / (len(points) - 1)
    return " ".join(
        f"{2 + at * step:.1f},{27 - 24 * (value - low) / height:.1f}"
        for at, value in enumerate(points)
        if value is not None
    )


def _end(point: Point | None, name: str) -> float | None:
    end = None if point is None else getattr(point, name)
    return None if end is None else round(end, 4)


def _scale(unit: str, points: Sequence[Point]) -> dict[str, Any]:
    """Return where the axis of shares begins: at a round number below all; others are the chart's."""
    if unit != "percent" or not points:
        return {"axis": ""}
    low = min(point.value if point.low is None else point.low for point in points)
    start = 20 * floor(min(low, 80) / 20)
    return {"axis": "", "min": start, "max": 100, "step": 20}


def _short(at: datetime, bucket: Bucket) -> str:
    return f"{at:%H:%M}" if bucket in {Bucket.HOUR, Bucket.MINUTE} else day(at)


def _long(at: datetime, bucket: Bucket) -> str:
    text = day(at, weekday=True, year=True)
    return f"{text}, {at:%H:%M}" if bucket in {Bucket.HOUR, Bucket.MINUTE} else text


def bars(unit: str, names: Sequence[str], rows: Sequence[Mapping[str, Any]], value: str) -> Figure:
    """Return a lying bar for each row, with its interval.

    Args:
        unit: `percent`, `score` or `n`.
        names: What the rows are called.
        rows: Of an answer.
        value: The column that is drawn.
    """
    known = [(name, row) for name, row in zip(names, rows, strict=True) if row[value] is not None]
    values = [float(row[value]) for _, row in known]
    top = 100 if unit == "percent" else _round_up(max([*values, 0.0]))
    bottom = -_round_up(-min(values)) if min([*values, 0.0]) < 0 else 0
    data = {
        "unit": unit,
        "min": bottom,
        "max": top,
        "names": [name for name, _ in known],
        "y": values,
        "low": [_number(row.get(f"{value}_low"), row[value]) for _, row in known],
        "high": [_number(row.get(f"{value}_high"), row[value]) for _, row in known],
        "n": [int(row["n"]) for _, row in known],
    }
    return Figure("bars", data)


def percentiles(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Return from minimum to p99 of each row."""
    columns = ("min", "median", "p95", "p98", "p99", "n")
    known = [
        {"name": name} | {column: row[column] for column in columns}
        for name, row in zip(names, rows, strict=True)
        if row["median"] is not None
    ]
    return Figure("percentiles", {"unit": "score", "rows": known})


def _number(value: float | None, otherwise: float) -> float:
    return float(otherwise if value is None else value)


def _round_up(value: float) -> float:
    """Return the next of …, 0.5, 1, 2, 5, 10, …; 1 for 0.

    >>> _round_up(0.034), _round_up(6), _round_up(0)
    (0.05, 10.0, 1.0)
    """
    if value <= 0:
        return 1.0
    scale = 10.0 ** floor(log10(value))
    return round(next(step * scale for step in (1, 2, 5, 10) if step * scale >= value), 12)
