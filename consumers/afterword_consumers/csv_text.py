r"""A row of CSV as everything here writes it: RFC 4180, but for the newline alone that ends a line.

    csv_line(["one\rtwo", 3, None])     the text, quoted; 3; an empty field

A field is quoted that holds a carriage return too, at which spreadsheets end a line.
"""

import csv
import io
from collections.abc import Iterable
from typing import Final

_END: Final = "\r\n"
"""What the writer quotes is what stands in its line terminator."""


def csv_line(cells: Iterable[object]) -> str:
    r"""Return a row with the newline that ends it; None is an empty field.

    >>> csv_line(["plain", "a,b", 0.5, None])
    'plain,"a,b",0.5,\n'
    """
    text = io.StringIO()
    csv.writer(text, lineterminator=_END).writerow(cells)
    return text.getvalue().removesuffix(_END) + "\n"
