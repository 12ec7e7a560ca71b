"""The innermost part of a statement: which feedback is read, and what of each row.

    SELECT assumeNotNull(numbers[{p0:String}]) AS measure, nullIf(prompt, '') AS group_1
    FROM feedback_current
    WHERE project = {p1:String} AND created_at >= … AND numbers[{p0:String}] IS NOT NULL

`feedback_current` has collapsed each feedback to its latest state before these conditions apply;
ClickHouse moves only the one on the primary key (`project`) ahead of that.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from afterword_consumers.query.compile.comparing import FIRST, SECOND
from afterword_consumers.query.compile.conditions import Scope, condition, of_project, since_until
from afterword_consumers.query.compile.measures import SeriesType
from afterword_consumers.query.compile.parameters import Parameters
from afterword_consumers.query.language.errors import QuestionError
from afterword_consumers.query.language.fields import Type, resolve
from afterword_consumers.query.language.filters import parse_filter
from afterword_consumers.query.language.periods import to_clickhouse
from afterword_consumers.query.language.question import Bucket, Question

_TYPES: Final = {
    SeriesType.NUMBER: Type.NUMBER,
    SeriesType.BOOLEAN: Type.BOOLEAN,
    SeriesType.TEXT: Type.TEXT,
    SeriesType.THUMBS: Type.BOOLEAN,
}
_DAY: Final = (
    "toDate32(toTimeZone(created_at, {zone}))"  # a date before 1970 too, as no Date can be
)
_BUCKETS: Final = {
    Bucket.MINUTE: "toStartOfMinute(created_at, {zone})",
    Bucket.HOUR: "toStartOfHour(created_at, {zone})",
    Bucket.DAY: _DAY,
    Bucket.WEEK: f"subtractDays({_DAY}, toDayOfWeek({_DAY}) - 1)",
    Bucket.MONTH: f"subtractDays({_DAY}, toDayOfMonth({_DAY}) - 1)",
}


def select(question: Question, series: SeriesType, parameters: Parameters, *, now: datetime) -> str:
    """Return the query whose rows are aggregated.

    Its columns are `bucket_start`, `group_1`, `group_2` and `side` where asked for, and `measure`, which
    is never NULL; of weighted feedback and its pairs also `measure_weight`.

    Raises:
        QuestionError: A filter compares a column with what it cannot be, or `since` is not before
            `until`.
    """
    measured = _measure(question, series, parameters)
    columns = [
        *_bucket(question, parameters),
        *_groups(question, parameters),
        *_side(question, parameters, now),
        # The condition leaves no NULL, and aggregates that need not look for one are a quarter faster.
        f"assumeNotNull({measured.sql}) AS measure",
        *measured.beside,
    ]
    filters = [
        *conditions(question, parameters, now),
        *([] if series == SeriesType.COUNT else [f"{measured.sql} IS NOT NULL"]),
        *([] if question.compare is None else ["side IS NOT NULL"]),
    ]
    return "\n".join(
        [
            "SELECT\n    " + ",\n    ".join(columns),
            f"FROM {_source(parameters.columns_beside)}",
            *measured.joined,
            "WHERE " + ("\n  AND ".join(filters) or "true"),
        ]
    )


def conditions(question: Question, parameters: Parameters, now: datetime) -> list[str]:
    """Return what a question asks of each feedback, whatever it measures.

    Raises:
        QuestionError: A filter compares a column with what it cannot be, or `since` is not before
            `until`.
    """
    since, until = question.period(now)
    if since is not None and until is not None and since >= until:
        raise QuestionError(
            f"since ({to_clickhouse(since)}) is not before until ({to_clickhouse(until)}).",
            "Exchange them, or leave one out.",
        )
    project = [] if question.project is None else [of_project(question.project, parameters)]
    scope = Scope(parameters, now, question.zone)
    filters = (parse_filter(text) for text in question.where)
    return [
        *project,
        *since_until(question.since, question.until, scope),
        *(condition(each, scope) for each in filters),
    ]


def _source(columns_beside: list[str]) -> str:
    """Return what is read: the view, or the same with promoted columns, which no view has."""
    if not columns_beside:
        return "feedback_current"
    return (
        f"(\n    SELECT * EXCEPT (is_deleted, version), {', '.join(columns_beside)}\n"
        "    FROM feedback FINAL\n"
        "    SETTINGS do_not_merge_across_partitions_select_final = 1\n)"
    )


@dataclass(frozen=True, slots=True)
class _Measured:
    """What is measured.

    Attributes:
        sql: Its value, NULL where a row has none.
        beside: Other columns that its aggregates need.
        joined: The clause that makes a row of each element of an array.
    """

    sql: str
    beside: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()


def _measure(question: Question, series: SeriesType, parameters: Parameters) -> _Measured:
    if series == SeriesType.COUNT:
        return _Measured("1")
    if series == SeriesType.WEIGHTED:
        return _Measured("toFloat64(value)", beside=("weight AS measure_weight",))
    if series == SeriesType.PAIRS:
        return _Measured("value", beside=("weight AS measure_weight",))
    field = resolve(question.measure)
    kind = _TYPES[series]
    if field.is_wildcard:
        elements = field.elements_sql(kind, parameters)
        return _Measured("element", joined=(f"ARRAY JOIN {elements} AS element",))
    if field.types == (Type.UUID,):
        return _Measured(field.as_text(parameters))
    return _Measured(field.sql(kind, parameters))


def _bucket(question: Question, parameters: Parameters) -> list[str]:
    if question.bucket is None:
        return []
    start = _BUCKETS[Bucket(question.bucket)].format(zone=parameters.text(question.timezone))
    return [f"{start} AS bucket_start"]


def _groups(question: Question, parameters: Parameters) -> list[str]:
    return [
        f"{field.as_text(parameters)} AS group_{number}"
        for number, field in enumerate(question.groups, start=1)
    ]


def _side(question: Question, parameters: Parameters, now: datetime) -> list[str]:
    """Return which of the two compared groups a row belongs to; of neither, it is left out."""
    if (compared := question.comparison) is None:
        return []
    scope = Scope(parameters, now, question.zone)
    first, second = (condition(each, scope) for each in (compared.first, compared.second))
    return [f"multiIf({first}, {FIRST}, {second}, {SECOND}, NULL) AS side"]
