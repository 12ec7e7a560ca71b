"""Write an answer for other programs: as JSON, or as CSV.

    as_json(answer)     one object, a series for each type, columns named and typed
    as_csv(answer)      the series one below the other, each under its header

Both hold every cell as it was computed; tables for people are the command line's business.
"""

import csv
import io
import json

from afterword_consumers.query.answers import Answer
from afterword_consumers.query.columns import Column, Kind, tell_apart


def as_json(answer: Answer) -> str:
    """Return the answer as one JSON object; missing numbers are null."""
    return json.dumps(
        {
            "measure": answer.question.measure,
            "fresh_until": answer.fresh_until,
            "notice": answer.notice or None,
            "suggestions": answer.suggestions,
            "series": [
                {
                    "type": series.type,
                    "columns": [
                        {"name": c.name, "kind": c.kind, "label": c.label} for c in series.columns
                    ],
                    "rows": series.rows,
                }
                for series in answer.series
            ],
        },
        ensure_ascii=False,
        indent=2,
    )


def as_csv(answer: Answer) -> str:
    """Return the series one below the other, each under its header, with its type first.

    Numbers are called as in the SQL; groups and buckets as they were asked for.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for series in answer.series:
        writer.writerow(["type", *map(_csv_name, tell_apart(series.columns))])
        writer.writerows([series.type, *row] for row in series.rows)
    return text.getvalue().rstrip("\n")


def _csv_name(column: Column) -> str:
    return column.label if column.kind in {Kind.TEXT, Kind.TIME} else column.name
