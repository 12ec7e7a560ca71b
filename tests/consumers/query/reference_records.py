"""Feedback in plain Python: the latest state of each, its values by name, and what a filter says of it.

[record] = current([Event(feedback_id=one, version=1), Event(feedback_id=one, version=2)])
record.get(resolve("feedback.score"))       # 4.0, or None where it is missing
"""

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from afterword_consumers.query.language.fields import Field, Type
from afterword_consumers.query.language.filters import Filter, Operator
from afterword_consumers.query.language.periods import Moment
from afterword_schemas.event import RESERVED_METADATA
from afterword_schemas.flatten import flatten

Value = str | float | bool | datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One state of one feedback, as the worker inserts it.

    Attributes:
        feedback_id: With `project` what is replaced by a higher version.
        version: Of two states the higher one counts.
        cleared: Whether the feedback is taken back.
        metadata: With `_user`, `_organisation`, `_prompt` and `_environment` as producers send them.
    """

    feedback_id: UUID
    version: int = 1
    cleared: bool = False
    project: str = "acme"
    trace_id: str = ""
    session_id: str = ""
    span_id: str = ""
    source: str = "explicit"
    value: int | None = None
    weight: float = 1.0
    created_at: datetime = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    updated_at: datetime = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    ingested_at: datetime = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    feedback: Mapping[str, object] = field(default_factory=dict)
    metadata: Mapping[str, object] = field(default_factory=dict)
    metrics: Mapping[str, object] = field(default_factory=dict)

    def columns(self) -> dict[str, str]:
        """Return the reserved metadata as their columns hold them."""
        return {
            column: "" if (given := self.metadata.get(path.removeprefix("metadata."))) is None
            else str(given)
            for path, column in RESERVED_METADATA.items()
        }  # fmt: skip

    def roots(self) -> dict[str, Mapping[str, object]]:
        """Return the objects of the event without the reserved metadata."""
        kept = {
            key: value
            for key, value in self.metadata.items()
            if f"metadata.{key}" not in RESERVED_METADATA
        }
        return {"feedback": self.feedback, "metadata": kept, "metrics": self.metrics}

    def row(self) -> dict[str, Any]:
        """Return it as a row of table `feedback`."""
        leaves = flatten(self.roots())
        texts = ("project", "trace_id", "session_id", "span_id", "source")
        times = ("created_at", "updated_at", "ingested_at")
        return {
            "feedback_id": str(self.feedback_id),
            **{name: getattr(self, name) for name in (*texts, "value", "weight", "version")},
            **{name: getattr(self, name).timestamp() for name in times},
            **self.columns(),
            "numbers": leaves.numbers,
            "booleans": leaves.booleans,
            "strings": leaves.strings,
            "is_deleted": int(self.cleared),
        }


@dataclass(frozen=True, slots=True)
class Record:
    """A feedback in its latest state.

    Attributes:
        columns: What it has of them, `thumbs_up` among them where it is a vote.
        leaves: Its values by dotted path.
    """

    columns: Mapping[str, Value]
    leaves: Mapping[str, Value]

    def get(self, name: Field) -> Value | None:
        """Return the value of a column or path, None where it is missing."""
        return self.leaves.get(name.name) if name.column is None else self.columns.get(name.column)

    def get_all(self, name: Field) -> list[Value]:
        """Return the values at every position that a path with wildcards stands for."""
        steps = name.name.split(".")
        return [value for path, value in self.leaves.items() if _fits(path.split("."), steps)]


def current(events: Iterable[Event]) -> list[Record]:
    """Return each feedback that was not taken back, once."""
    latest: dict[tuple[str, UUID], Event] = {}
    for event in events:
        key = event.project, event.feedback_id
        if key not in latest or latest[key].version <= event.version:
            latest[key] = event
    return [_record(event) for event in latest.values() if not event.cleared]


def type_of(value: Value) -> Type:
    """Return the type of a value at a path."""
    if isinstance(value, bool):
        return Type.BOOLEAN
    return Type.TEXT if isinstance(value, str) else Type.NUMBER


def to_text(value: Value) -> str:
    """Write a value as groups are called: numbers as JavaScript writes them, but zero's sign.

    >>> [to_text(value) for value in (True, 4.0, 0.000001, 1e-7, -1.5e21, "4", -0.0)]
    ['true', '4', '0.000001', '1e-7', '-1.5e21', '4', '-0']
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, datetime)):
        return str(value)
    exact = Decimal(repr(float(value)))
    if exact == 0 or -6 <= exact.adjusted() < 21:
        plain = format(exact, "f")
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    digits = "".join(str(digit) for digit in exact.as_tuple().digits).rstrip("0")
    sign = "-" if exact < 0 else ""
    return f"{sign}{digits[0]}{'.' if digits[1:] else ''}{digits[1:]}e{exact.adjusted()}"


def passes(record: Record, what: Filter) -> bool:
    """Say whether feedback passes a filter."""
    value = record.get(what.field)
    match what.operator:
        case Operator.EXISTS:
            return value is not None
        case Operator.MISSING:
            return value is None
        case Operator.NE | Operator.NOT_IN:
            return not any(_equal(value, each) for each in _meant(what))
        case Operator.EQ | Operator.IN:
            return any(_equal(value, each) for each in _meant(what))
        case Operator.CONTAINS:
            return isinstance(value, str) and what.values[0].text.lower() in value.lower()
        case _:
            (bound,) = _meant(what)
            return (
                value is not None
                and _kind(value) is _kind(bound)
                and _ORDER[what.operator](value, bound)
            )


_ORDER: Final[Mapping[Operator, Callable[[Any, Any], bool]]] = {
    Operator.LT: operator.lt,
    Operator.LE: operator.le,
    Operator.GT: operator.gt,
    Operator.GE: operator.ge,
}


def _record(event: Event) -> Record:
    texts = {name: getattr(event, name) for name in ("trace_id", "session_id", "span_id")}
    texts |= {"project": event.project, "source": event.source} | event.columns()
    columns: dict[str, Value] = {name: text for name, text in texts.items() if text}
    if event.value is not None:
        columns["value"] = float(event.value)
    columns["weight"] = event.weight
    columns["feedback_id"] = str(event.feedback_id)
    columns |= {
        name: _in_milliseconds(getattr(event, name))
        for name in ("created_at", "updated_at", "ingested_at")
    }
    leaves = flatten(event.roots())
    values: dict[str, Value] = {path: float(number) for path, number in leaves.numbers.items()}
    leaves_by_path = values | leaves.booleans | leaves.strings
    if (vote := _vote(event, leaves_by_path)) is not None:
        columns["thumbs_up"] = vote
    return Record(columns, leaves_by_path)


def _vote(event: Event, leaves: Mapping[str, Value]) -> bool | None:
    """Return what a person voted, None for no vote."""
    if event.source == "implicit" or event.value == 0:
        return None
    if event.value is not None:
        return event.value > 0
    rating = leaves.get("feedback.rating")
    return rating if isinstance(rating, bool) else None


def _fits(path: list[str], steps: list[str]) -> bool:
    return len(path) == len(steps) and all(
        here.isascii() and here.isdigit() if step == "*" else here == step
        for here, step in zip(path, steps, strict=True)
    )


def _meant(what: Filter) -> list[Value]:
    """Return the values of a filter in the types in which they are compared."""
    return [
        _in_milliseconds(each.value.at) if isinstance(each.value, Moment) else each.value
        for each in what.values
    ]


def _equal(value: Value | None, wanted: Value) -> bool:
    return value is not None and _kind(value) is _kind(wanted) and value == wanted


def _kind(value: Value) -> type:
    """Tell true from 1."""
    return type(value)


def _in_milliseconds(moment: datetime) -> datetime:
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
