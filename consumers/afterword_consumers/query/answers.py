"""Ask a database a question and hand back series with named, typed columns.

    found = answer(Question("feedback.score"), database, now)
    found.series[0].columns[0].name, found.series[0].rows[0][0]      # ("n", 1200)

A measure that holds several types gives one series for each. An answer without series says why in
`notice`, and offers the paths that may have been meant.
"""

import math
from dataclasses import dataclass
from datetime import datetime

from afterword_consumers.query.columns import Column
from afterword_consumers.query.database import Cell, Database
from afterword_consumers.query.diagnosis import explain_nothing
from afterword_consumers.query.measures import MIN_COMPARABLE, SeriesType
from afterword_consumers.query.parameters import Parameters
from afterword_consumers.query.question import Question
from afterword_consumers.query.statements import Budget, Statement, build


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
        question: What was asked.
        series: One for each type that the measure was found to have; empty without data.
        fresh_until: When the youngest feedback reached ClickHouse, RFC 3339 in UTC; None if none did.
        notice: Why there is nothing, or something odd about what there is; else empty.
        suggestions: Paths that may have been meant.
    """

    question: Question
    series: tuple[Series, ...]
    fresh_until: str | None
    notice: str = ""
    suggestions: tuple[str, ...] = ()


def answer(
    question: Question, database: Database, now: datetime, budget: Budget | None = None
) -> Answer:
    """Answer a question; arguments and errors as for `build`, and what the database raises."""
    budget = budget or Budget()
    statements = build(question, now, budget)
    found = [_run(statement, question, database) for statement in statements]
    series = tuple(each for each in found if each.rows)
    fresh_until = _fresh_until(question, database, budget)
    if series:
        return Answer(question, series, fresh_until)
    notice, suggestions = explain_nothing(question, database, budget)
    return Answer(question, (), fresh_until, notice, tuple(suggestions))


def _run(statement: Statement, question: Question, database: Database) -> Series:
    table = database.query(statement.sql, statement.parameters, statement.settings)
    rows = tuple(tuple(_finite(cell) for cell in row) for row in table.rows)
    return Series(
        statement.series, statement.columns, rows, statement, _note(question, statement, rows)
    )


def _note(question: Question, statement: Statement, rows: tuple[tuple[Cell, ...], ...]) -> str:
    notes = []
    if question.approximate and statement.series == SeriesType.NUMBER and not question.compare:
        notes.append("percentiles are approximate, with a rank error below 1 %")
    marks = [at for at, column in enumerate(statement.columns) if column.name == "is_small"]
    if any(row[at] for at in marks for row in rows):
        notes.append(f"few: fewer than {MIN_COMPARABLE}, too small to compare")
    return "; ".join(notes)


def _finite(cell: Cell) -> Cell:
    """Return a cell as JSON can hold it: sums beyond 64-bit floats have no number."""
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


def _fresh_until(question: Question, database: Database, budget: Budget) -> str | None:
    parameters = Parameters()
    where = (
        "" if question.project is None else f"\nWHERE project = {parameters.text(question.project)}"
    )
    time = "concat(replaceOne(toString(max(ingested_at)), ' ', 'T'), 'Z')"
    sql = f"SELECT {time} AS fresh_until\nFROM feedback{where}\nHAVING count() > 0"
    table = database.query(sql, parameters.values, budget.settings())
    return str(table.rows[0][0]) if table.rows else None
