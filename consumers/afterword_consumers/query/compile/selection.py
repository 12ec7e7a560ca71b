"""The innermost part of a statement: which feedback is read, and what of each row.

    SELECT assumeNotNull(numbers[{p0:String}]) AS measure, toString(nullIf(prompt, '')) AS key_1
    FROM feedback_current
    WHERE project = {p1:String} AND created_at >= … AND numbers[{p0:String}] IS NOT NULL

`feedback_current` has collapsed each feedback to its latest state before these conditions apply;
ClickHouse moves only the one on the primary key (`project`) ahead of that.
"""

from dataclasses import dataclass
from typing import Final

from afterword_consumers.query.compile.conditions import condition, conditions
from afterword_consumers.query.compile.measures import FIRST, SECOND, SeriesType
from afterword_consumers.query.compile.source import Source
from afterword_consumers.query.language.fields import Field, Type
from afterword_consumers.query.language.parse import Plan
from afterword_consumers.query.language.question import Bucket

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


def select(plan: Plan, series: SeriesType, source: Source) -> str:
    """Return the query whose rows are aggregated.

    Its columns are `bucket_start`, `key_1`, `key_2` and `side` where asked for, and `measure`, which
    is never NULL; of weighted feedback and its pairs also `measure_weight`.
    """
    measured = _measure(plan, series, source)
    columns = [
        *_bucket(plan, source),
        *_groups(plan, source),
        *_side(plan, source),
        # The condition leaves no NULL, and aggregates that need not look for one are a quarter faster.
        f"assumeNotNull({measured.sql}) AS measure",
        *measured.beside,
    ]
    filters = [
        *conditions(plan, source),
        *([] if series == SeriesType.COUNT else [f"{measured.sql} IS NOT NULL"]),
        *([] if plan.comparison is None else ["side IS NOT NULL"]),
    ]
    return "\n".join(
        [
            "SELECT\n    " + ",\n    ".join(columns),
            f"FROM {source.table()}",
            *measured.joined,
            "WHERE " + ("\n  AND ".join(filters) or "true"),
        ]
    )


@dataclass(frozen=True, slots=True)
class _MeasureExpression:
    """What is measured.

    Attributes:
        sql: Its value, NULL where a row has none.
        beside: Other columns that its aggregates need.
        joined: The clause that makes a row of each element of an array.
    """

    sql: str
    beside: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()


def _measure(plan: Plan, series: SeriesType, source: Source) -> _MeasureExpression:
    if series == SeriesType.WEIGHTED:
        return _MeasureExpression("toFloat64(value)", beside=("weight AS measure_weight",))
    if series == SeriesType.PAIRS:
        return _MeasureExpression("value", beside=("weight AS measure_weight",))
    if not isinstance(plan.measure, Field):
        return _MeasureExpression("1")
    kind = _TYPES[series]
    if plan.measure.is_wildcard:
        elements = source.elements(plan.measure, kind)
        return _MeasureExpression("element", joined=(f"ARRAY JOIN {elements} AS element",))
    if plan.measure.types == (Type.UUID,):
        return _MeasureExpression(source.text(plan.measure))
    return _MeasureExpression(source.value(plan.measure, kind))


def bucket_sql(plan: Plan, source: Source) -> str:
    """Return the expression for the beginning of a row's bucket; NULL without buckets."""
    if plan.bucket is None:
        return "NULL"
    return _BUCKETS[plan.bucket].format(zone=source.parameters.text(str(plan.zone)))


def _bucket(plan: Plan, source: Source) -> list[str]:
    return [] if plan.bucket is None else [f"{bucket_sql(plan, source)} AS bucket_start"]


def _groups(plan: Plan, source: Source) -> list[str]:
    return [
        f"{source.text(field)} AS key_{number}" for number, field in enumerate(plan.groups, start=1)
    ]


def _side(plan: Plan, source: Source) -> list[str]:
    """Return which of the two compared groups a row belongs to; of neither, it is left out."""
    if plan.comparison is None:
        return []
    first, second = (
        condition(each, source) for each in (plan.comparison.first, plan.comparison.second)
    )
    return [f"multiIf({first}, {FIRST}, {second}, {SECOND}, NULL) AS side"]
