"""The columns of an answer: what each one is called, means and is written like."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class Kind(StrEnum):
    """How the cells of a column are to be read and written."""

    COUNT = "count"
    """A whole number of something."""

    NUMBER = "number"
    """A number in the measure's own unit."""

    PERCENT = "percent"
    """0 to 100."""

    POINTS = "points"
    """Percentage points, -100 to 100: a difference of percentages."""

    INTERVAL = "interval"
    """One end of the 95 % confidence interval of the column before it, in that column's unit."""

    PROBABILITY = "probability"
    """0 to 1: a p-value."""

    FLAG = "flag"
    """True or false: a remark about the row, which is worth showing only where it is true."""

    TEXT = "text"
    """Text; None is feedback that lacks the path."""

    TIME = "time"
    """The start of a bucket: a date, or for minutes and hours a time with its offset."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: As in the SQL.
        kind: How to read the cells.
        label: What a person calls it.
    """

    name: str
    kind: Kind
    label: str


def tell_apart(columns: Sequence[Column]) -> list[Column]:
    """Return the columns, a group that is called like another column marked as the group."""
    labels = Counter(column.label for column in columns)
    return [
        replace(column, label=f"{column.label} (group)")
        if labels[column.label] > 1 and column.name.startswith("group_")
        else column
        for column in columns
    ]
