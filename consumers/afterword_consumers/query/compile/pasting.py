"""Write a statement so that it can be pasted into any ClickHouse client.

    to_sql(statement)      # … WHERE project = 'acme' AND numbers['feedback.score'] >= 3.0 …

It answers what the statement does. The budget is left out: settings may be locked for the analyst.
"""

import re
from collections.abc import Mapping
from typing import Final

from afterword_consumers.query.compile.statements import Statement
from afterword_consumers.query.database import Parameter

_PLACEHOLDER: Final = re.compile(r"\{(\w+):(\w+)\}")
_SPECIAL: Final = re.compile(r"['\\\x00-\x1f\x7f]")


def to_sql(statement: Statement) -> str:
    """Return the SQL with its parameters written into it, quoted."""
    return inline(statement.sql, statement.parameters)


def inline(sql: str, parameters: Mapping[str, Parameter]) -> str:
    """Replace each placeholder of some SQL of ours by its value."""
    return _PLACEHOLDER.sub(lambda match: _literal(parameters[match[1]], match[2]), sql)


def _literal(value: Parameter, kind: str) -> str:
    if not isinstance(value, str):
        return repr(value)
    quoted = quote(value)
    return f"toUUID({quoted})" if kind == "UUID" else quoted


def quote(text: str) -> str:
    r"""Return text as a ClickHouse string literal.

    >>> print(quote("it's a \\ and a \n"))
    'it\x27s a \x5C and a \x0A'
    """
    return "'" + _SPECIAL.sub(lambda match: f"\\x{ord(match[0]):02X}", text) + "'"
