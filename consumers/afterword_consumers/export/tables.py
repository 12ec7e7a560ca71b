"""Feedback as a table, a row each: CSV with a column for each path, or Parquet with three maps.

    for piece in export_csv(parse_selection(now, project="acme"), database): ...

CSV is opened in a spreadsheet or read into a data frame, where a path is a column; paths that no
feedback selected has get none. Parquet keeps the typed maps of the table `feedback`, as the programs
that read it can, so that a path is a number here and text there as it was sent.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from afterword_consumers.csv_text import BYTE_ORDER_MARK, CsvLine, csv_line, spreadsheet_line
from afterword_consumers.export.pieces import Piece, Row, read_rows
from afterword_consumers.export.selection import (
    ORDER,
    SETTINGS,
    StreamingDatabase,
    select,
)
from afterword_consumers.query import Plan, QuestionError
from afterword_consumers.query.compile.parameters import Parameters
from afterword_consumers.query.compile.source import rfc3339_sql
from afterword_consumers.query.compile.storage import MAPS
from afterword_consumers.query.language.fields import COLUMNS, Type
from afterword_schemas import RetryableError

MAX_CSV_PATHS: Final = 16_000
"""Columns of paths in a CSV; spreadsheets take 16,384 columns in all."""

_COLUMNS: Final = tuple(
    name for name, kind in COLUMNS.items() if kind not in {Type.UUID, Type.TIME}
)
_TIMES: Final = tuple(name for name, kind in COLUMNS.items() if kind == Type.TIME)
_MAPS: Final = tuple(MAPS.values())

_CSV_SQL: Final = ", ".join(["feedback_id", *_COLUMNS, *map(rfc3339_sql, _TIMES), *_MAPS])
# As text: in Parquet a UUID would be 16 bytes.
_PARQUET_SQL: Final = ", ".join(
    ["toString(feedback_id) AS feedback_id", *_COLUMNS, *_TIMES, *_MAPS]
)
_PARQUET_SETTINGS: Final = {
    "prefer_column_name_to_alias": 1,  # filters and order mean the UUID
    # A group of rows is held by whoever writes or reads it; the default is ten times as much.
    "output_format_parquet_row_group_size": 100_000,
}


def export_parquet(selection: Plan, database: StreamingDatabase) -> Iterator[Piece]:
    """Yield the feedback selected as a Parquet file, which ClickHouse writes; errors as for `select`."""
    parameters = Parameters()
    sql = f"{select(_PARQUET_SQL, selection, parameters)}\n{ORDER}"
    settings = {**SETTINGS, **_PARQUET_SETTINGS}
    for data in database.stream(sql, parameters.values, settings, "Parquet"):
        yield Piece(data, 0)


def export_csv(
    selection: Plan,
    database: StreamingDatabase,
    *,
    for_spreadsheets: bool = False,
) -> Iterator[Piece]:
    """Yield the feedback selected as CSV with a header, missing values empty.

    Args:
        selection: Which.
        database: Where it is.
        for_spreadsheets: Whether it begins with a byte order mark and holds nothing that is run as a
            formula.

    Raises:
        QuestionError: As for `select`; or the feedback has more paths than a table has columns.
        RetryableError: Feedback with a path that none had at the beginning arrived meanwhile.
    """
    paths = _paths(selection, database)
    parameters = Parameters()
    sql = f"{select(_CSV_SQL, selection, parameters)}\n{ORDER}"
    line = spreadsheet_line if for_spreadsheets else csv_line
    begin = BYTE_ORDER_MARK if for_spreadsheets else ""
    table = _Table(paths, line)
    yield Piece((begin + line(["feedback_id", *_COLUMNS, *_TIMES, *paths])).encode(), 0)
    yield from read_rows(
        database.stream(sql, parameters.values, SETTINGS, "JSONCompactEachRow"), table.row
    )


def _paths(selection: Plan, database: StreamingDatabase) -> list[str]:
    parameters = Parameters()
    keys = ", ".join(f"mapKeys({name})" for name in _MAPS)
    inner = select(f"arrayJoin(arrayConcat({keys})) AS path", selection, parameters)
    limit = parameters.count(MAX_CSV_PATHS + 1)
    sql = f"SELECT DISTINCT path FROM (\n{inner}\n) ORDER BY path LIMIT {limit}"
    rows = database.query(sql, parameters.values, SETTINGS).rows
    if len(rows) > MAX_CSV_PATHS:
        raise QuestionError(
            f"This feedback has more than {MAX_CSV_PATHS:,} paths, and a CSV a column for each.",
            "Narrow it with --where or --project, or write --format parquet or jsonl.",
        )
    return [str(path) for (path,) in rows]


class _Table:
    """Writes rows under the columns of a header."""

    def __init__(self, paths: Iterable[str], line: CsvLine) -> None:
        self._line = line
        self._at = {path: position for position, path in enumerate(paths)}

    def row(self, row: Row) -> bytes:
        """Write a row whose last three cells are the maps."""
        leaves: list[Any] = [None] * len(self._at)
        try:
            for found in row[-len(_MAPS) :]:
                for path, leaf in found.items():
                    leaves[self._at[path]] = _cell(leaf)
        except KeyError:
            raise RetryableError(
                "a path was seen for the first time while this was written: write it again"
            ) from None
        return self._line([*row[: -len(_MAPS)], *leaves]).encode()


def _cell(leaf: object) -> object:
    if isinstance(leaf, bool):
        return "true" if leaf else "false"
    return leaf
