"""Turn a question into SQL: one statement for each type that the measure may have.

    for statement in build(Question("feedback.score", group_by=("prompt",)), now=now):
        database.query(statement.sql, statement.parameters, statement.settings)

Every statement reads `feedback_current`, so filters see each feedback once, in its latest state.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from afterword_consumers.query.columns import Column, Kind
from afterword_consumers.query.compile.comparing import comparing_recipe
from afterword_consumers.query.compile.grouping import Dimension, Layout, aggregate
from afterword_consumers.query.compile.measures import Recipe, SeriesType, recipe
from afterword_consumers.query.compile.parameters import Parameters
from afterword_consumers.query.compile.selection import select
from afterword_consumers.query.compile.storage import UNKNOWN, Storage
from afterword_consumers.query.database import Parameter
from afterword_consumers.query.language.fields import THUMBS, Type, resolve
from afterword_consumers.query.language.question import COUNT, WEIGHTED, Bucket, Question

_SERIES = {
    Type.NUMBER: SeriesType.NUMBER,
    Type.BOOLEAN: SeriesType.BOOLEAN,
    Type.TEXT: SeriesType.TEXT,
    Type.UUID: SeriesType.TEXT,
}
_BY_VALUE = frozenset({SeriesType.TEXT, SeriesType.PAIRS})
_PAIR = "concat(toString(measure), ':', toString(measure_weight))"


@dataclass(frozen=True, slots=True)
class Budget:
    """What one statement may cost before ClickHouse breaks it off with an error.

    Attributes:
        time_s: Of running.
        read_rows: Rows read, counted before any filter but the primary key; 0 for any number.
        result_rows: Rows answered.
        result_bytes: Bytes of them, in ClickHouse's memory.
        memory_bytes: At its peak.
    """

    time_s: float = 30
    read_rows: int = 1_000_000_000
    result_rows: int = 100_000
    result_bytes: int = 64 * 2**20
    memory_bytes: int = 4 * 2**30

    def settings(self) -> dict[str, int | float]:
        """Return it as ClickHouse's settings, which also forbid the query to write."""
        return {
            "readonly": 2,  # 1 would forbid the other settings in the same request
            "max_execution_time": self.time_s,
            "max_rows_to_read": self.read_rows,
            "max_result_rows": self.result_rows,
            "max_result_bytes": self.result_bytes,
            "max_memory_usage": self.memory_bytes,
        }


@dataclass(frozen=True, slots=True)
class Statement:
    """A query, ready to be run.

    Attributes:
        sql: With placeholders such as `{p0:String}`.
        parameters: Their values.
        settings: ClickHouse settings for this query alone.
        series: What it answers.
        columns: What it answers, column by column.
    """

    sql: str
    parameters: Mapping[str, Parameter]
    settings: Mapping[str, int | float]
    series: SeriesType
    columns: tuple[Column, ...]


def build(
    question: Question,
    now: datetime,
    budget: Budget | None = None,
    storage: Storage = UNKNOWN,
) -> list[Statement]:
    """Return the statements that answer a question; one that finds nothing answers no rows.

    Args:
        question: What is asked.
        now: An aware time that durations such as `7d` count from.
        budget: What each statement may cost; a default one where None.
        storage: What `read_storage` found of the question's paths.

    Raises:
        QuestionError: A filter compares a column with what it cannot be.
    """
    settings = (budget or Budget()).settings()
    return [
        _statement(question, series, now, settings, storage)
        for series in _series(question, storage)
    ]


def _series(question: Question, storage: Storage) -> list[SeriesType]:
    if question.measure == WEIGHTED:
        pairs = [] if question.compare else [SeriesType.PAIRS]
        return [SeriesType.WEIGHTED, *pairs]
    if question.measure == COUNT:
        return [SeriesType.COUNT]
    if question.measure == THUMBS:
        return [SeriesType.THUMBS]
    return [_SERIES[kind] for kind in resolve(question.measure).types_in(storage)]


def _statement(
    question: Question,
    series: SeriesType,
    now: datetime,
    settings: Mapping[str, int | float],
    storage: Storage,
) -> Statement:
    parameters = Parameters(storage)
    selected = select(question, series, parameters, now=now)
    layout = Layout(
        bucket=_bucket(question),
        dimensions=_dimensions(question, series),
        totals=_totals(question, series),
        recipe=_recipe(question, series),
    )
    top = parameters.count(question.top) if layout.dimensions else ""
    sql = aggregate(selected, layout, top=top)
    return Statement(sql, parameters.values, settings, series, _columns(question, layout))


def _recipe(question: Question, series: SeriesType) -> Recipe:
    if (compared := question.comparison) is not None:
        return comparing_recipe(series, compared.names)
    return recipe(series, approximate=question.approximate)


def _totals(question: Question, series: SeriesType) -> dict[str, str]:
    """Return what a share of a value is taken of, by name, and the counts that add up to it."""
    if series not in _BY_VALUE:
        return {}
    if question.compare is None:
        return {"of": "n"}
    return {"of_first": "n_first", "of_second": "n_second"}


def _bucket(question: Question) -> str | None:
    if question.bucket is None:
        return None
    if question.bucket in {Bucket.MINUTE, Bucket.HOUR}:  # an hour comes twice when summer ends
        time = "formatDateTime(bucket_start, '%Y-%m-%dT%H:%i:%S%z')"
        return f"replaceRegexpOne({time}, '..$', ':\\\\0')"
    return "toString(bucket_start)"


def _dimensions(question: Question, series: SeriesType) -> tuple[Dimension, ...]:
    names = tuple(f"group_{number}" for number, _ in enumerate(question.group_by, start=1))
    groups = (Dimension("group", names, {name: name for name in names}),) if names else ()
    match series:
        case SeriesType.TEXT:
            return (*groups, Dimension("value", ("measure",), {"value": "measure"}))
        case SeriesType.PAIRS:
            return (*groups, Dimension("value", ("measure", "measure_weight"), {"value": _PAIR}))
    return groups


def _columns(question: Question, layout: Layout) -> tuple[Column, ...]:
    columns = [] if layout.bucket is None else [Column("bucket", Kind.TIME, str(question.bucket))]
    labels = {f"group_{number}": name for number, name in enumerate(question.group_by, start=1)}
    for each in layout.dimensions:
        columns += [Column(name, Kind.TEXT, labels.get(name, name)) for name in each.outputs]
        columns.append(Column(each.folded, Kind.COUNT, each.folded.replace("_", " ")))
    return (*columns, *(each.column for each in layout.recipe.columns))
