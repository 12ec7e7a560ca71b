r"""A row of CSV as everything here writes it: RFC 4180, but for the newline alone that ends a line.

    csv_line(["one\rtwo", 3, None])     the text, quoted; 3; an empty field
    spreadsheet_line(["=1+1", -3])      the text with an apostrophe, so that it is no formula; -3

A field is quoted that holds a carriage return too, at which spreadsheets end a line.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable
from typing import Final

CsvLine = Callable[[Iterable[object]], str]
"""Writes a row with the newline that ends it: `csv_line` or `spreadsheet_line`."""

BYTE_ORDER_MARK: Final = "\ufeff"
"""What makes a spreadsheet read a file as UTF-8, at its beginning."""

_END: Final = "\r\n"
"""What the writer quotes is what stands in its line terminator."""

_FORMULA: Final = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How a cell begins that a spreadsheet may run; the last four are the full-width forms."""

_NUMBER: Final = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?([eE][+-]?[0-9]+)?")


def csv_line(cells: Iterable[object]) -> str:
    r"""Return a row with the newline that ends it; None is an empty field.

    >>> csv_line(["plain", "a,b", 0.5, None])
    'plain,"a,b",0.5,\n'
    """
    text = io.StringIO()
    csv.writer(text, lineterminator=_END).writerow(cells)
    return text.getvalue().removesuffix(_END) + "\n"


def spreadsheet_line(cells: Iterable[object]) -> str:
    r"""Return a row that runs no formula when a spreadsheet opens it.

    A text that begins as a formula does gets an apostrophe in front, unless it is a number. Every text is
    quoted, because some spreadsheets split at semicolons or tabs.

    >>> print(spreadsheet_line(["=1+1", "-5", "-a", "plain", -0.5, None]), end="")
    "'=1+1","-5","'-a","plain",-0.5,
    """
    return ",".join(map(_spreadsheet_cell, cells)) + "\n"


def _spreadsheet_cell(cell: object) -> str:
    if not isinstance(cell, str):
        return "" if cell is None else str(cell)
    runs = _FORMULA.match(cell) and not _NUMBER.fullmatch(cell)
    quoted = cell.replace('"', '""')
    return f'"\'{quoted}"' if runs else f'"{quoted}"'
