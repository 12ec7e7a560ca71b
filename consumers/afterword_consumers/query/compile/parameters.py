"""Collects what users wrote, so that SQL carries only a placeholder for it.

    parameters = Parameters()
    parameters.text("gpt-5")                 # "{p0:String}"
    parameters.values                        # {"p0": "gpt-5"}
    inline("x = {p0:String}", parameters.values)      # "x = 'gpt-5'", to be pasted into a client

No text of a user's reaches the SQL in any other way.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from afterword_consumers.query.database import Parameter

_PLACEHOLDER: Final = re.compile(r"\{(\w+):(\w+)\}")
_SPECIAL: Final = re.compile(r"['\\\x00-\x1f\x7f]")


class Parameters:
    """The parameters of one statement; the same value of the same type is bound once."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, Parameter], str] = {}

    @property
    def values(self) -> dict[str, Parameter]:
        """Each parameter's value by name."""
        return {name: value for (_, value), name in self._names.items()}

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
        return f"toDateTime64({self.text(_written(value))}, 3, 'UTC')"

    def uuid(self, value: str) -> str:
        """Bind a UUID in its usual form and return its placeholder."""
        return self._bind("UUID", value)

    def _bind(self, kind: str, value: Parameter) -> str:
        name = self._names.setdefault((kind, value), f"p{len(self._names)}")
        return f"{{{name}:{kind}}}"


def of_project(project: str | None, parameters: Parameters) -> str:
    """Return the condition that keeps to a project; `true` for None, which is all of them."""
    return "true" if project is None else f"project = {parameters.text(project)}"


def inline(sql: str, parameters: Mapping[str, Parameter]) -> str:
    """Replace each placeholder of some SQL of ours by its value."""
    return _PLACEHOLDER.sub(lambda match: _literal(parameters[match[1]], match[2]), sql)


def quote(text: str) -> str:
    r"""Return text as a ClickHouse string literal.

    >>> print(quote("it's a \\ and a \n"))
    'it\x27s a \x5C and a \x0A'
    """
    return "'" + _SPECIAL.sub(lambda match: f"\\x{ord(match[0]):02X}", text) + "'"


def _literal(value: Parameter, kind: str) -> str:
    if not isinstance(value, str):
        return repr(value)
    quoted = quote(value)
    return f"toUUID({quoted})" if kind == "UUID" else quoted


def _written(moment: datetime) -> str:
    """Write a moment as ClickHouse reads it, in UTC, cut off to milliseconds.

    >>> _written(datetime(2026, 1, 31, 9, 30, 0, 125999, tzinfo=UTC))
    '2026-01-31 09:30:00.125'
    """
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "milliseconds")
