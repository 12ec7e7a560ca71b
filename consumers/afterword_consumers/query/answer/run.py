"""Ask a database a question and hand back series with named, typed columns.

    answer = run_plan(parse(Question("feedback.score"), now), database)
    answer.series[0].columns[0].name, answer.series[0].rows[0][0]      # ("n", 1200)

A measure that holds several types gives one series for each. An answer without series says why in
`notice`, and offers the paths that may have been meant.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from afterword_consumers.query.answer.columns import (
    MIN_COMPARABLE,
    Column,
    Row,
    complete,
    output_columns,
)
from afterword_consumers.query.answer.diagnosis import explain_nothing, find_unknown_path
from afterword_consumers.query.compile.measures import SeriesType
from afterword_consumers.query.compile.statements import Statement, compile_plan
from afterword_consumers.query.compile.storage import read_storage, unpromoted_paths
from afterword_consumers.query.database import Budget, Cell, Database
from afterword_consumers.query.language.parse import Plan, parse
from afterword_consumers.query.language.question import Question
from afterword_schemas import RetryableError

_UNKNOWN_IDENTIFIER: Final = 47  # of ClickHouse's codes


@dataclass(frozen=True, slots=True)
class Freshness:
    """How complete the tables are, for whoever reads them next.

    Attributes:
        complete_until: Everything that Kafka's topic held at this time, in UTC, is in the tables:
            stored or rejected. None where that is not known.
        waiting: Messages of the topic that the group has not finished; None where Kafka did not
            answer.
        note: A sentence where `complete_until` is None or old, else empty.
        lags: What `waiting` is of each partition, by its number; None where Kafka did not answer.
    """

    complete_until: datetime | None
    waiting: int | None
    note: str = ""
    lags: Mapping[int, int] | None = field(default=None, compare=False)  # it has no hash


@dataclass(frozen=True, slots=True)
class Series:
    """The answer for one type of the measure's values.

    Attributes:
        type: Which.
        columns: What the cells of a row are, in order.
        rows: By bucket, then by group and value, the largest first and "other" last.
        statement: What was run.
        note: How the numbers are to be taken, where that is not plain; else empty.
    """

    type: SeriesType
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    statement: Statement
    note: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question is answered with.

    Attributes:
        plan: What was asked.
        series: One for each type that the measure was found to have; empty without data.
        statements: All that ran for it, those that found nothing too.
        freshness: Up to when what was read was complete, as it was told; None where nobody asked.
        unpromoted: Paths of the plan that were read out of their maps, with all that is beside them.
        notice: Why there is nothing, or something odd about what there is; else empty.
        suggestions: Paths that may have been meant.
    """

    plan: Plan
    series: tuple[Series, ...]
    statements: tuple[Statement, ...]
    freshness: Freshness | None
    unpromoted: tuple[str, ...] = ()
    notice: str = ""
    suggestions: tuple[str, ...] = ()


def answer_question(
    question: Question,
    database: Database,
    now: datetime,
    budget: Budget | None = None,
    freshness: Freshness | None = None,
) -> Answer:
    """Parse a question and run it; for the arguments and errors see `parse` and `run_plan`."""
    return run_plan(parse(question, now), database, budget, freshness)


def run_plan(
    plan: Plan,
    database: Database,
    budget: Budget | None = None,
    freshness: Freshness | None = None,
) -> Answer:
    """Answer what was asked; errors are what the database raises.

    Args:
        plan: What is asked.
        database: Where the feedback is.
        budget: What each statement may cost; a default one where None.
        freshness: As it was before this call, or it would tell of more than was read.
    """
    budget = budget or Budget()
    try:
        return _run(plan, database, budget, freshness)
    except RetryableError as error:
        if error.store_code != _UNKNOWN_IDENTIFIER:
            raise
        # A column that was demoted since it was looked up, or else it is missing the second time too.
        return _run(plan, database, budget, freshness)


def _run(plan: Plan, database: Database, budget: Budget, freshness: Freshness | None) -> Answer:
    storage = read_storage(plan, database, budget.settings())
    statements = tuple(compile_plan(plan, budget, storage))
    every = [_series(statement, plan, database) for statement in statements]
    series = tuple(each for each in every if each.rows)
    explain = find_unknown_path if series else explain_nothing
    notice, suggestions = explain(plan, database, storage, budget.settings())
    return Answer(
        plan,
        series,
        statements,
        freshness,
        unpromoted_paths(plan, storage),
        notice or _empty_side(series),
        tuple(suggestions),
    )


def _empty_side(series: tuple[Series, ...]) -> str:
    """Return a sentence on a side of a comparison that nothing is on; else an empty text."""
    for each in series:
        for at, column in enumerate(each.columns):
            if column.name in {"n_first", "n_second"} and not any(row[at] for row in each.rows):
                return f"There is nothing to compare: {column.label} is 0."
    return ""


def _series(statement: Statement, plan: Plan, database: Database) -> Series:
    table = database.query(statement.sql, statement.parameters, statement.settings)
    columns = output_columns(plan, statement.series)
    rows = tuple(
        _cells(
            complete(plan, statement.series, dict(zip(table.columns, row, strict=True))), columns
        )
        for row in table.rows
    )
    return Series(
        statement.series, columns, rows, statement, _note(plan, statement.series, columns, rows)
    )


def _cells(row: Row, columns: tuple[Column, ...]) -> tuple[Cell, ...]:
    return tuple(_finite(row[column.name]) for column in columns)


def _note(
    plan: Plan,
    series: SeriesType,
    columns: tuple[Column, ...],
    rows: tuple[tuple[Cell, ...], ...],
) -> str:
    notes = []
    if plan.approximate and series == SeriesType.NUMBER and not plan.comparison:
        notes.append("percentiles are approximate, within 0.8 % of the value at their rank")
    marks = [at for at, column in enumerate(columns) if column.name == "is_small"]
    if any(row[at] for at in marks for row in rows):
        of_a_kind = " or 5 of a kind" if plan.comparison else ""
        notes.append(f"few: fewer than {MIN_COMPARABLE}{of_a_kind}, too small to compare")
    return "; ".join(notes)


def _finite(cell: Cell) -> Cell:
    """Return a cell as JSON can hold it: sums beyond 64-bit floats have no number."""
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell
