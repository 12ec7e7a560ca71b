"""The seam to ClickHouse: what a question needs of a database, and nothing else.

    table = database.query("SELECT {p0:String} AS x", {"p0": "a"}, {"max_execution_time": 30})

Whatever implements `Database` must hand each parameter to the server as it is, whatever characters
it holds, and never write it into the SQL.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

Parameter = str | float
"""Text for `String` and `UUID`, a finite number for `Float64` and `UInt32`."""

Cell = str | float | bool | None
"""What a statement of this package answers with: never a date object, never an array."""


@dataclass(frozen=True, slots=True)
class Table:
    """What a query answered.

    Attributes:
        columns: Their names, in order.
        rows: One cell a column; numbers as int or float, NULL as None.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


class Database(Protocol):
    """A ClickHouse database that answers one query at a time."""

    def query(
        self, sql: str, parameters: Mapping[str, Parameter], settings: Mapping[str, int | float]
    ) -> Table:
        """Run a query with server-side parameters (`{name:Type}`) and settings for it alone."""


def whole(cell: Cell) -> int:
    """Return a cell that holds a whole number, 0 for NULL."""
    return int(cell or 0)
