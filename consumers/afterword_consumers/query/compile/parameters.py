"""Collects what users wrote, so that SQL carries only a placeholder for it.

    parameters = Parameters()
    parameters.text("gpt-5")                       # "{p0:String}"
    parameters.leaf("numbers", "feedback.score")   # "numbers[{p1:String}]", or a promoted column
    parameters.values                              # {"p0": "gpt-5", "p1": "feedback.score"}

No text of a user's reaches the SQL in any other way.
"""

from datetime import datetime

from afterword_consumers.query.compile.storage import UNKNOWN, Storage
from afterword_consumers.query.database import Parameter
from afterword_consumers.query.language.periods import to_clickhouse


class Parameters:
    """The parameters of one statement; the same value of the same type is bound once.

    Args:
        storage: Where the values of paths are.
    """

    def __init__(self, storage: Storage = UNKNOWN) -> None:
        self.storage = storage
        self._names: dict[tuple[str, Parameter], str] = {}
        self._columns: dict[str, None] = {}
        self._derived: dict[str, None] = {}

    @property
    def values(self) -> dict[str, Parameter]:
        """Each parameter's value by name."""
        return {name: value for (_, value), name in self._names.items()}

    @property
    def columns_beside(self) -> list[str]:
        """What the table must be read with, in place of the view; empty where the view has it all.

        That is each promoted column that was used and, beside them, what the view would derive.
        """
        return [*self._columns, *self._derived] if self._columns else []

    def leaf(self, kept_in: str, path: str) -> str:
        """Return the expression for a path's value in a map, NULL where it is missing."""
        return self.promoted(kept_in, path) or f"{kept_in}[{self.text(path)}]"

    def promoted(self, kept_in: str, path: str) -> str | None:
        """Return the promoted column of a path, if it has one."""
        column = self.storage.promoted.get((kept_in, path))
        if column is not None:
            self._columns[column] = None
        return column

    def derived(self, name: str, sql: str) -> str:
        """Return the name of a column that the view makes of others.

        Args:
            name: As in the view.
            sql: What it is, for a source other than the view.
        """
        self._derived[f"{sql} AS {name}"] = None
        return name

    def text(self, value: str) -> str:
        """Bind text and return its placeholder."""
        return self._bind("String", value)

    def number(self, value: float) -> str:
        """Bind a finite number and return its placeholder."""
        return self._bind("Float64", value)

    def count(self, value: int) -> str:
        """Bind a whole number in [0, 2**32) and return its placeholder."""
        return self._bind("UInt32", value)

    def integer(self, value: int) -> str:
        """Bind a whole number in [-2**63, 2**63) and return its placeholder."""
        return self._bind("Int64", value)

    def moment(self, value: datetime) -> str:
        """Bind an aware time, cut off to milliseconds, and return the expression for it."""
        return f"toDateTime64({self.text(to_clickhouse(value))}, 3, 'UTC')"

    def uuid(self, value: str) -> str:
        """Bind a UUID in its usual form and return its placeholder."""
        return self._bind("UUID", value)

    def _bind(self, kind: str, value: Parameter) -> str:
        name = self._names.setdefault((kind, value), f"p{len(self._names)}")
        return f"{{{name}:{kind}}}"


def is_utf8(text: str) -> bool:
    """Whether text can be bound: half of a surrogate pair, as bytes of no UTF-8 become, can not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
