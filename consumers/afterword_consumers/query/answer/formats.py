"""Write an answer for other programs: as JSON, or as CSV.

    as_json(answer)     one object, a series for each type, columns named and typed
    as_csv(answer)      the series one below the other, each under its header

Both hold every cell as it was computed; tables for people are the command line's business.
"""

import json
from typing import Any

from afterword_consumers.csv_text import CsvLine, csv_line
from afterword_consumers.query.answer.columns import Column, Kind, tell_apart
from afterword_consumers.query.answer.run import Answer, Freshness
from afterword_consumers.query.database import Cell
from afterword_consumers.rfc3339 import rfc3339


def as_object(answer: Answer) -> dict[str, Any]:
    """Return the answer as an object for JSON, which may be added to; missing numbers are None."""
    return {
        "measure": answer.plan.question.measure,
        "freshness": None if answer.freshness is None else freshness_fields(answer.freshness),
        "notice": answer.notice or None,
        "suggestions": answer.suggestions,
        "series": [
            {
                "type": series.type,
                "columns": [
                    {"name": c.name, "kind": c.kind, "label": c.label} for c in series.columns
                ],
                "rows": series.rows,
                "note": series.note or None,
            }
            for series in answer.series
        ],
    }


def as_json(answer: Answer) -> str:
    """Return the answer as one JSON object, laid out; missing numbers are null."""
    return json.dumps(as_object(answer), ensure_ascii=False, indent=2)


def as_csv(answer: Answer, line: CsvLine = csv_line) -> str:
    """Return the series one below the other, each under its header, with its type first.

    Numbers are called as in the SQL; groups and buckets as they were asked for. What is compared stands in
    columns of its own, `first` and `second`.
    """
    compared = answer.plan.comparison
    sides, names = ((), ()) if compared is None else (("first", "second"), compared.names)
    lines = []
    for series in answer.series:
        lines.append(line(["type", *sides, *map(_csv_name, tell_apart(series.columns))]))
        lines += [line([series.type, *names, *map(_csv_cell, row)]) for row in series.rows]
    return "".join(lines).rstrip("\n")


def freshness_fields(freshness: Freshness) -> dict[str, str | int | None]:
    """Return a freshness as JSON shows it."""
    until = freshness.complete_until
    return {
        "complete_until": None if until is None else rfc3339(until),
        "waiting": freshness.waiting,
        "note": freshness.note or None,
    }


def _csv_name(column: Column) -> str:
    return column.label if column.kind in {Kind.TEXT, Kind.TIME} else column.name


def _csv_cell(cell: Cell) -> Cell:
    return ("true" if cell else "false") if isinstance(cell, bool) else cell
