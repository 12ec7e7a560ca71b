"""An answer of the query package as a page shows it: a finding, a picture and a table for each series.

shown = show(frame, answer)
shown.title, shown.series[0].figure, shown.series[0].table
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from afterword_consumers.dashboard import wording
from afterword_consumers.dashboard.courses import name_of, read_courses
from afterword_consumers.dashboard.figures import (
    MAX_COLOURS,
    Figure,
    bars,
    lines,
    percentiles,
    stack,
)
from afterword_consumers.dashboard.frame import Frame, literal
from afterword_consumers.query import Answer, Column, Kind, Series, SeriesType, tell_apart, to_sql

_VALUES: Final = {
    SeriesType.THUMBS: ("up_percent", "percent"),
    SeriesType.BOOLEAN: ("true_percent", "percent"),
    SeriesType.NUMBER: ("avg", "score"),
    SeriesType.WEIGHTED: ("weighted_avg", "score"),
    SeriesType.COUNT: ("n", "n"),
    SeriesType.TEXT: ("percent", "percent"),
}
"""What is drawn of a series, and its unit."""

MAX_ROWS: Final = 500
"""Of a table on a page; a file has them all."""

_MAX_BARS: Final = 20
_MAX_POINTS: Final = 800
"""Of a line: as many as a screen can tell apart."""

_BETTER: Final[Mapping[str, int]] = {
    **dict.fromkeys(("thumbs", "value", "weighted", "feedback.rating", "feedback.copied"), 1),
    **dict.fromkeys(("feedback.regenerated", "feedback.edited"), -1),
}
"""Whether more of a measure is better (1) or worse (-1); of others it is not known."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Two groups set against each other, in a row.

    Attributes:
        first: Value and n of the first, as people read them.
        second: Those of the other.
        difference: With its sign.
        tone: `up`, `down`, or `quiet` where chance may have made it or nobody knows what is better.
        interval: Of the difference.
        p: Of it.
        sentence: What follows.
    """

    first: tuple[str, str]
    second: tuple[str, str]
    difference: str
    tone: str
    interval: str
    p: str
    sentence: str


@dataclass(frozen=True, slots=True)
class ShownCell:
    """A cell of a table.

    Attributes:
        text: As people read it.
        link: The same question about this group alone; empty where there is no group.
    """

    text: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row of a table; `is_few` where it is of too few to compare."""

    is_few: bool
    cells: Sequence[ShownCell]


@dataclass(frozen=True, slots=True)
class ShownSeries:
    """One series.

    Attributes:
        title: What it is about.
        note: How the numbers are to be taken; may be empty.
        heads: The table's columns: name, and whether it holds numbers.
        rows: At most `MAX_ROWS`.
        hidden: How many rows more there are.
        figure: A picture; None where a table says more.
        write: How its numbers are written.
        verdict: What a comparison without groups says.
    """

    title: str
    note: str
    heads: Sequence[tuple[str, bool]]
    rows: Sequence[ShownRow]
    hidden: int
    figure: Figure | None
    write: Callable[[float | None], str]
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class Shown:
    """A whole answer.

    Attributes:
        title: The finding, or what was asked.
        series: At most one for each type of the measure.
        notice: Why there is nothing, or something odd; may be empty.
        suggestions: Paths that may have been meant.
        unpromoted: Paths whose promotion would make it faster.
        sql: What ran, ready to be pasted.
    """

    title: str
    series: Sequence[ShownSeries]
    notice: str
    suggestions: Sequence[str]
    unpromoted: Sequence[str]
    sql: Sequence[str]


def show(frame: Frame, answer: Answer) -> Shown:
    """Return an answer as a page shows it."""
    series = [_series(frame, answer, each) for each in answer.series]
    return Shown(
        title=_title(answer, series),
        series=series,
        notice=answer.notice,
        suggestions=answer.suggestions,
        unpromoted=answer.unpromoted,
        sql=[to_sql(statement) for statement in answer.statements],
    )


def _title(answer: Answer, series: Sequence[ShownSeries]) -> str:
    question = answer.plan.question
    if not series:
        return "Nothing was found"
    if series[0].verdict is not None:
        return series[0].verdict.sentence
    by = f" by {' and '.join(question.group_by)}" if question.group_by else ""
    over = f", by {question.bucket}" if question.bucket else ""
    return f"{_measure(question.measure)}{by}{over}"


def _measure(name: str) -> str:
    names = {"thumbs": "Thumbs up", "count": "Feedback", "weighted": "Weighted feedback"}
    return names.get(name, name)


def _series(frame: Frame, answer: Answer, series: Series) -> ShownSeries:
    columns = [column.name for column in series.columns]
    rows = [dict(zip(columns, row, strict=True)) for row in series.rows]
    _, unit = _VALUES.get(series.type, ("n", "n"))
    heads, shown = _table(frame, answer, series, rows[:MAX_ROWS])
    title = "" if series.type == answer.plan.question.measure else str(series.type)
    return ShownSeries(
        title=title,
        note=series.note,
        heads=heads,
        rows=shown,
        hidden=max(0, len(rows) - MAX_ROWS),
        figure=_figure(frame, answer, series.type, rows),
        write={"percent": wording.percent, "score": wording.score}.get(unit, wording.whole),
        verdict=_verdict(answer, series.type, rows),
    )


def _figure(
    frame: Frame, answer: Answer, kind: SeriesType, rows: Sequence[Mapping[str, Any]]
) -> Figure | None:
    plan = answer.plan
    if plan.comparison is not None or kind not in _VALUES or not rows:
        return None
    value, unit = _VALUES[kind]
    if plan.bucket is not None:
        return _over_time(frame, answer, kind, rows)
    names = [_row_name(row, len(plan.groups), kind) for row in rows[:_MAX_BARS]]
    shown = rows[:_MAX_BARS]
    if kind is SeriesType.NUMBER:
        return percentiles(names, shown)
    if len(rows) == 1 and kind is not SeriesType.TEXT:
        return None
    return bars(unit, names, shown, value)


def _over_time(
    frame: Frame, answer: Answer, kind: SeriesType, rows: Sequence[Mapping[str, Any]]
) -> Figure | None:
    plan = answer.plan
    bucket = plan.bucket
    if bucket is None or len(plan.groups) > 1 or kind is SeriesType.TEXT:
        return None
    value, unit = _VALUES[kind]
    buckets = frame.period.buckets_of(bucket)
    if len(buckets) > _MAX_POINTS:
        return None
    courses = read_courses(rows, buckets, bucket, value)
    if not courses:
        return None
    colours = {name: at for at, name in enumerate(courses, start=1) if at <= MAX_COLOURS}
    if kind is SeriesType.COUNT:
        counts = {
            name: [0 if point is None else point.n for point in course]
            for name, course in courses.items()
        }
        tokens = {"explicit": "explicit", "implicit": "implicit", "other": "before"}
        return stack(buckets, bucket, counts, axis=f"feedback, by {bucket}", tokens=tokens)
    named = {("all" if not plan.groups else name): course for name, course in courses.items()}
    return lines(unit, buckets, bucket, named, colours=colours | {"all": 1})


def _row_name(row: Mapping[str, Any], groups: int, kind: SeriesType) -> str:
    names = [name_of(row, f"group_{at}") for at in range(1, groups + 1)]
    if row.get("other_groups"):
        names = names[:1]
    if kind is SeriesType.TEXT:
        names.append("other" if row["other_values"] else str(row["value"]))
    return " · ".join(names) or "all"


def _table(
    frame: Frame, answer: Answer, series: Series, rows: Sequence[Mapping[str, Any]]
) -> tuple[Sequence[tuple[str, bool]], Sequence[ShownRow]]:
    """Return the head and the rows: an interval in one column, no remarks, no columns of nothing."""
    columns = [
        column
        for column in tell_apart(series.columns)
        if column.kind is not Kind.FLAG
        and not column.name.startswith("other_")
        and not column.name.endswith("_high")
    ]
    heads = [
        (
            "95 % interval" if column.kind is Kind.INTERVAL else column.label,
            column.kind not in _LEFT,
        )
        for column in columns
    ]
    written = [(column, _write(column, series, rows)) for column in columns]
    shown = [
        ShownRow(
            bool(row.get("is_small")),
            [ShownCell(write(row), _link(frame, answer, column, row)) for column, write in written],
        )
        for row in rows
    ]
    return heads, shown


def _link(frame: Frame, answer: Answer, column: Column, row: Mapping[str, Any]) -> str:
    """Return the address of the same question about one group, without grouping by it."""
    if not column.name.startswith("group_") or row.get("other_groups"):
        return ""
    number = int(column.name.removeprefix("group_")) - 1
    groups = list(answer.plan.question.group_by)
    path, value = groups.pop(number), row[column.name]
    condition = f"{path} missing" if value is None else f"{path} = {literal(str(value))}"
    where = [*answer.plan.question.where, condition]
    return frame.here(where=where, group_by=groups)


_LEFT: Final = {Kind.TEXT, Kind.TIME}
_MAX_SMALL: Final = 1000
"""A column of larger numbers has no decimals."""

_WRITE: Final[Mapping[Kind, Callable[[float | None], str]]] = {
    Kind.COUNT: wording.whole,
    Kind.PERCENT: wording.percent,
    Kind.POINTS: wording.difference,
    Kind.PROBABILITY: wording.p_value,
}


def _write(
    column: Column, series: Series, rows: Sequence[Mapping[str, Any]]
) -> Callable[[Mapping[str, Any]], str]:
    """Return how the cells of a column are written: all of them with the same decimals."""
    name = column.name
    if name.startswith("group_"):
        return lambda row: name_of(row, name)
    if name == "value" and series.type in {SeriesType.TEXT, SeriesType.PAIRS}:
        return lambda row: "other" if row["other_values"] else str(row[name])
    if write := _WRITE.get(column.kind):
        return lambda row: write(row[name])
    if column.kind is Kind.INTERVAL:
        high = name.removesuffix("_low") + "_high"
        share = series.type not in {SeriesType.NUMBER, SeriesType.WEIGHTED}
        digits = 1 if share else _digits(high, rows)
        return lambda row: wording.interval(row[name], row[high], digits)
    if column.kind is Kind.NUMBER:
        digits, signed = _digits(name, rows), name == "difference"
        written = wording.difference if signed else wording.decimal
        return lambda row: written(row[name], digits=digits)
    return lambda row: wording.MISSING if row[name] is None else str(row[name])


def _digits(name: str, rows: Sequence[Mapping[str, Any]]) -> int:
    """Return how many decimals a column of numbers has: none of large or whole ones."""
    numbers = [row[name] for row in rows if row[name] is not None]
    if all(float(number).is_integer() for number in numbers):
        return 0
    return 0 if max(map(abs, numbers)) >= _MAX_SMALL else 2


def _verdict(answer: Answer, kind: SeriesType, rows: Sequence[Mapping[str, Any]]) -> Verdict | None:
    comparison = answer.plan.comparison
    if comparison is None or len(rows) != 1 or kind not in _VALUES or kind is SeriesType.COUNT:
        return None
    row, (value, unit) = rows[0], _VALUES[kind]
    write = wording.percent if unit == "percent" else wording.score
    digits = 1 if unit == "percent" else 2
    first, second = comparison.names
    low, high = row["difference_low"], row["difference_high"]
    is_sure = low is not None and high is not None and not low <= 0 <= high and not row["is_small"]
    better = _BETTER.get(answer.plan.question.measure, 0)
    tone = "quiet"
    if is_sure and better:
        tone = "up" if (low > 0) == (better > 0) else "down"
    name = _measure(answer.plan.question.measure)
    apart = row["difference"]
    return Verdict(
        first=(write(row[f"{value}_first"]), f"{first}, n {wording.whole(row['n_first'])}"),
        second=(write(row[f"{value}_second"]), f"{second}, n {wording.whole(row['n_second'])}"),
        difference=wording.difference(apart, digits=digits),
        tone=tone,
        interval=wording.interval(low, high, digits),
        p=wording.p_value(row["p_value"]),
        sentence=_sentence(name, (first, second), row, is_sure=is_sure, unit=unit),
    )


def _sentence(
    name: str, names: tuple[str, str], row: Mapping[str, Any], *, is_sure: bool, unit: str
) -> str:
    if row["difference"] is None:
        return f"There is nothing to compare {name} with"
    if row["is_small"]:
        return f"Too few to compare {name}"
    if not is_sure:
        return (
            f"No change beyond chance in {name}"
            if names[0] == "before"
            else (f"No difference beyond chance in {name}")
        )
    apart = abs(row["difference"])
    size = wording.points(apart) if unit == "percent" else wording.score(apart)
    if names == ("before", "now"):
        return f"{name} {'rose' if row['difference'] > 0 else 'fell'} by {size}"
    return f"{names[1]} is {size} {'above' if row['difference'] > 0 else 'below'} {names[0]}"
