"""Turn a plan into SQL: one statement for each type that the measure may have.

    for statement in compile_plan(parse(Question("feedback.score", group_by=("prompt",)), now)):
        database.query(statement.sql, statement.parameters, statement.settings)
        print(to_sql(statement))      # … WHERE numbers['feedback.score'] >= 3.0 …

Every statement reads `feedback_current`, so filters see each feedback once, in its latest state.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from afterword_consumers.query.compile.grouping import Dimension, Layout, aggregate
from afterword_consumers.query.compile.measures import (
    SeriesType,
    plan_aggregation,
    plan_comparison,
)
from afterword_consumers.query.compile.parameters import Parameters, inline
from afterword_consumers.query.compile.selection import select
from afterword_consumers.query.compile.source import Source
from afterword_consumers.query.compile.storage import UNKNOWN, Storage
from afterword_consumers.query.database import Budget, Parameter
from afterword_consumers.query.language.fields import Type
from afterword_consumers.query.language.parse import Plan, Total
from afterword_consumers.query.language.question import Bucket

_SERIES = {
    Type.NUMBER: SeriesType.NUMBER,
    Type.BOOLEAN: SeriesType.BOOLEAN,
    Type.TEXT: SeriesType.TEXT,
    Type.UUID: SeriesType.TEXT,
}
_BY_VALUE = frozenset({SeriesType.TEXT, SeriesType.PAIRS})
_PAIR = "concat(toString(measure), ':', toString(measure_weight))"


@dataclass(frozen=True, slots=True)
class Statement:
    """A query, ready to be run.

    Attributes:
        sql: With placeholders such as `{p0:String}`.
        parameters: Their values.
        settings: ClickHouse settings for this query alone.
        series: What it answers.
    """

    sql: str
    parameters: Mapping[str, Parameter]
    settings: Mapping[str, int | float]
    series: SeriesType


def compile_plan(
    plan: Plan, budget: Budget | None = None, storage: Storage = UNKNOWN
) -> list[Statement]:
    """Return the statements that answer a plan; one that finds nothing answers no rows.

    Args:
        plan: What is asked.
        budget: What each statement may cost; a default one where None.
        storage: What `read_storage` found of the plan's paths.
    """
    settings = (budget or Budget()).settings()
    return [_statement(plan, series, settings, storage) for series in _series(plan, storage)]


def to_sql(statement: Statement) -> str:
    """Return the SQL with its parameters written into it, to be pasted into any ClickHouse client.

    It answers what the statement does. The budget is left out: settings may be locked for the analyst.
    """
    return inline(statement.sql, statement.parameters)


def _series(plan: Plan, storage: Storage) -> list[SeriesType]:
    match plan.measure:
        case Total.COUNT:
            return [SeriesType.COUNT]
        case Total.WEIGHTED:
            return [SeriesType.WEIGHTED, *([] if plan.comparison else [SeriesType.PAIRS])]
        case field if field.is_thumbs:
            return [SeriesType.THUMBS]
        case field:
            return [_SERIES[kind] for kind in storage.types(field)]


def _statement(
    plan: Plan, series: SeriesType, settings: Mapping[str, int | float], storage: Storage
) -> Statement:
    parameters = Parameters()
    selected = select(plan, series, Source(parameters, storage))
    layout = Layout(
        bucket=None if plan.bucket is None else bucket_name_sql(plan),
        dimensions=_dimensions(plan, series),
        totals=_totals(plan, series),
        aggregation=(
            plan_aggregation(series, approximate=plan.approximate)
            if plan.comparison is None
            else plan_comparison(series)
        ),
    )
    top = parameters.count(plan.top) if layout.dimensions else ""
    sql = aggregate(selected, layout, top=top)
    return Statement(sql, parameters.values, settings, series)


def _totals(plan: Plan, series: SeriesType) -> dict[str, str]:
    """Return what a share of a value is taken of, by name, and the counts that add up to it."""
    if series not in _BY_VALUE:
        return {}
    if plan.comparison is None:
        return {"of": "n"}
    return {"of_first": "n_first", "of_second": "n_second"}


def bucket_name_sql(plan: Plan) -> str:
    """Return the expression that writes `bucket_start` as answers do: a date, or a time with its offset."""
    if plan.bucket in {Bucket.MINUTE, Bucket.HOUR}:  # an hour comes twice when summer ends
        time = "formatDateTime(bucket_start, '%Y-%m-%dT%H:%i:%S%z')"
        return f"replaceRegexpOne({time}, '..$', ':\\\\0')"
    return "toString(bucket_start)"


def _dimensions(plan: Plan, series: SeriesType) -> tuple[Dimension, ...]:
    keys = tuple(f"key_{number}" for number, _ in enumerate(plan.groups, start=1))
    outputs = {f"group_{number}": key for number, key in enumerate(keys, start=1)}
    groups = (Dimension("group", keys, outputs),) if keys else ()
    match series:
        case SeriesType.TEXT:
            return (*groups, Dimension("value", ("measure",), {"value": "measure"}))
        case SeriesType.PAIRS:
            return (*groups, Dimension("value", ("measure", "measure_weight"), {"value": _PAIR}))
    return groups
