"""Write an answer of the query builder as a table, for people."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from afterword_consumers.query import Answer, Cell, Column, Kind, Question, Series, tell_apart
from afterword_stack.terminal.console import decimal_places, table_lines, written_number


def as_table(answer: Answer, width: int | None = None, head: Callable[[str], str] = str) -> str:
    """Return every series as an aligned table, for people; width and head as for `table_lines`."""
    return "\n\n".join(
        "\n".join(
            [_title(answer.plan.question, series), *table_lines(rows_of(series), width, head)]
        )
        for series in answer.series
    )


def rows_of(series: Series) -> list[Mapping[str, object]]:
    """Return the rows of a series as a person reads them: percent signs, one cell an interval.

    How many groups "other" stands for is left out where nothing is "other", and a mark where no row has
    it.
    """
    columns = tell_apart(series.columns)
    idle = {
        column.label
        for at, column in enumerate(columns)
        if (column.name.startswith("other_") or column.kind is Kind.FLAG)
        and not any(row[at] for row in series.rows)
    }
    return [
        {label: cell for label, cell in _cells(columns, row) if label not in idle}
        for row in series.rows
    ]


def _title(question: Question, series: Series) -> str:
    compared = f", {question.compare}" if question.compare else ""
    note = f" ({series.note})" if series.note else ""
    kind = "" if series.type == question.measure else f", {series.type}"
    return f"{question.measure}{kind}{compared}{note}"


def _cells(columns: Sequence[Column], row: Sequence[Cell]) -> Iterator[tuple[str, object]]:
    cells = iter(zip(columns, row, strict=True))
    unit = ""
    for column, cell in cells:
        match column.kind:
            case Kind.INTERVAL:
                # The two ends follow each other, right behind what they are the interval of.
                yield "95 %", _interval(cell, next(cells)[1], unit)
            case Kind.PERCENT:
                unit = " %"
                yield column.label, None if cell is None else _percent(float(cell))
            case Kind.POINTS:
                unit = " pp"
                yield column.label, None if cell is None else f"{round(float(cell), 1) + 0:+.1f} pp"
            case Kind.PROBABILITY:
                yield column.label, None if cell is None else _probability(float(cell))
            case Kind.FLAG:
                yield column.label, column.label if cell else ""
            case Kind.TEXT:
                yield column.label, "(missing)" if cell is None else cell
            case _:
                unit = ""
                yield column.label, cell


def _interval(low: Cell, high: Cell, unit: str) -> str | None:
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return None
    places = 1 if unit else decimal_places(max(abs(low), abs(high)))
    return f"{written_number(low, places)} … {written_number(high, places)}{unit}"


def _percent(share: float) -> str:
    return "< 0.1 %" if 0 < share < 0.05 else f"{share:.1f} %"  # noqa: PLR2004  # what would be 0.0


def _probability(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"  # noqa: PLR2004  # less is no news
