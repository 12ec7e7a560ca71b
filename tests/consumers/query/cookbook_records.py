"""What the expected rows of the cookbook are made with: columns, leaves and groups of records."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from tests.consumers.query.reference_records import Record

Rows = list[list[Any]]


def column(record: Record, name: str) -> Any:
    """Return a column, '' or None where it is missing, as the table holds it."""
    return record.columns.get(name, None if name == "value" else "")


def leaf(record: Record, path: str, kind: type = float) -> Any:
    """Return the value at a path if it is of a type, else None."""
    value = record.leaves.get(path)
    return value if type(value) is kind else None


def by(records: Iterable[Record], key: Callable[[Record], Any]) -> dict[Any, list[Record]]:
    """Put records that have a key of their own together; None is a key like others."""
    found = defaultdict(list)
    for record in records:
        found[key(record)].append(record)
    return dict(found)


def vote(record: Record) -> bool | None:
    """Return what a person voted, None for no vote."""
    return None if (thumb := record.columns.get("thumbs_up")) is None else bool(thumb)


def voted(records: Iterable[Record]) -> list[Record]:
    """Return those that are votes."""
    return [each for each in records if vote(each) is not None]


def of(project: str, records: Iterable[Record]) -> list[Record]:
    """Return a project's."""
    return [each for each in records if each.columns["project"] == project]


def time(record: Record) -> datetime:
    """Return when feedback was given."""
    created_at = record.columns["created_at"]
    assert isinstance(created_at, datetime)
    return created_at
