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


class Database(Protocol):
    """A ClickHouse database that answers one query at a time."""

    def query(
        self, sql: str, parameters: Mapping[str, Parameter], settings: Mapping[str, int | float]
    ) -> Table:
        """Run a query with server-side parameters (`{name:Type}`) and settings for it alone."""


def whole(cell: Cell) -> int:
    """Return a cell that holds a whole number, 0 for NULL."""
    return int(cell or 0)
