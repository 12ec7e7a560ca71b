"""Any question answered in plain Python, to hold the SQL against.

    for series in expected(Question("feedback.score", group_by=("prompt",)), events, now):
        series.type, series.columns, series.rows

It shares with the product the readers of the question language (names, filters, moments) and nothing
that computes. What it has no answer to is a sketch: percentiles are always exact.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

from tests.consumers.query.reference_records import (
    Event,
    Record,
    Value,
    current,
    passes,
    to_text,
    type_of,
)
from tests.consumers.query.reference_statistics import (
    measure_booleans,
    measure_numbers,
    measure_share,
    measure_thumbs,
    measure_weighted,
)

from afterword_consumers.query import Cell, Plan, Question, SeriesType, parse
from afterword_consumers.query.language.fields import Field, Type
from afterword_consumers.query.language.parse import Total

__all__ = ["Event", "Expected", "expected"]

_BY_VALUE = {SeriesType.TEXT, SeriesType.PAIRS}


@dataclass(frozen=True, slots=True)
class Expected:
    """What a `Series` of the answer must be.

    Attributes:
        type: Of the measure's values.
        columns: The names, in order.
        rows: One cell a column, in order.
    """

    type: SeriesType
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class _Seen:
    """One value that the measure found.

    Attributes:
        bucket: The start of its bucket, and how that is written.
        groups: The values of `group_by` as text; None where missing.
        value: The value itself.
        weight: That of its feedback.
    """

    bucket: tuple[datetime, str] | None
    groups: tuple[str | None, ...]
    value: Value
    weight: float


def expected(question: Question, events: Iterable[Event], now: datetime) -> list[Expected]:
    """Answer a question over events in the order in which they were inserted.

    Args:
        question: Any, but `approximate` has no effect.
        events: Every state of every feedback, of any number of projects.
        now: What durations such as `7d` count from, aware.

    Returns:
        One for each type of the measure that has a value, in the order of an `Answer`.
    """
    plan = parse(question, now)
    records = [each for each in current(events) if _is_asked_for(each, plan)]
    found = [_series(plan, kind, _observe(plan, kind, records)) for kind in _types(plan)]
    return [series for series in found if series.rows]


def _types(plan: Plan) -> list[SeriesType]:
    match plan.measure:
        case Total.WEIGHTED:
            return [SeriesType.WEIGHTED, SeriesType.PAIRS]
        case Total.COUNT:
            return [SeriesType.COUNT]
        case field if field.name == "thumbs":
            return [SeriesType.THUMBS]
        case field if field.column is None:
            return [SeriesType.NUMBER, SeriesType.BOOLEAN, SeriesType.TEXT]
        case field:
            return [SeriesType.NUMBER if field.types == (Type.NUMBER,) else SeriesType.TEXT]


def _is_asked_for(record: Record, plan: Plan) -> bool:
    created_at = record.columns["created_at"]
    assert isinstance(created_at, datetime)
    since, until = (None if each is None else _cut(each.at) for each in (plan.since, plan.until))
    return (
        (plan.project is None or record.columns["project"] == plan.project)
        and (since is None or since <= created_at)
        and (until is None or created_at < until)
        and all(passes(record, each) for each in plan.filters)
    )


def _cut(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _observe(plan: Plan, kind: SeriesType, records: Sequence[Record]) -> list[_Seen]:
    return [
        _Seen(
            _bucket(record, plan),
            tuple(_as_group(field, record.get(field)) for field in plan.groups),
            value,
            float(record.columns["weight"]),  # type: ignore[arg-type]  # a weight is a number
        )
        for record in records
        for value in _values(record, plan.measure, kind)
    ]


def _as_group(field: Field, value: Value | None) -> str | None:
    if value is None:
        return None
    if field.name == "thumbs":
        return "up" if value else "down"
    return to_text(value)


def _values(record: Record, measure: Field | Total, kind: SeriesType) -> list[Value]:
    """Return what a measure finds in one feedback: one value, several under a wildcard, or none."""
    if kind == SeriesType.COUNT:
        return [1.0]
    if kind in {SeriesType.WEIGHTED, SeriesType.PAIRS}:
        vote, weight = record.columns.get("value"), record.columns["weight"]
        if vote is None:
            return []
        return [vote if kind == SeriesType.WEIGHTED else f"{to_text(vote)}:{to_text(weight)}"]
    assert isinstance(measure, Field)
    value = record.get(measure)
    if kind == SeriesType.THUMBS:
        return [] if value is None else [value]
    values = record.get_all(measure) if measure.is_wildcard else [] if value is None else [value]
    return [each for each in values if type_of(each) == kind.value]


def _bucket(record: Record, plan: Plan) -> tuple[datetime, str] | None:
    if plan.bucket is None:
        return None
    moment = record.columns["created_at"]
    assert isinstance(moment, datetime)
    zone = plan.zone
    day = moment.astimezone(zone).date()
    match plan.bucket:
        case "minute":
            return _moment(moment.replace(second=0, microsecond=0), zone)
        case "hour":
            midnight = datetime.combine(day, time(), zone).astimezone(UTC)
            hours = (moment - midnight) // timedelta(hours=1)
            return _moment(midnight + timedelta(hours=hours), zone)
        case "week":
            day -= timedelta(days=day.weekday())
        case "month":
            day = day.replace(day=1)
    return datetime.combine(day, time(), UTC), day.isoformat()


def _moment(start: datetime, zone: tzinfo) -> tuple[datetime, str]:
    return start, start.astimezone(zone).isoformat(timespec="seconds")


def _series(plan: Plan, kind: SeriesType, seen: Sequence[_Seen]) -> Expected:
    """Put what was seen in rows: by bucket, place of the group, and place of the value."""
    top = plan.top
    group_places = _places((each.groups for each in seen), top)
    order = _by_numbers if kind == SeriesType.PAIRS else _by_name
    value_places = _places(((_label(each.value),) for each in seen), top, order)
    rows = defaultdict(list)
    for each in seen:
        value_place = value_places[_label(each.value),] if kind in _BY_VALUE else 0
        rows[each.bucket, group_places[each.groups], value_place].append(each)
    beside = Counter({key[:2]: 0 for key in rows})
    for key, mine in rows.items():
        beside[key[:2]] += len(mine)
    cells = [
        _bucket_cells(bucket)
        | (_group_cells(mine, folded=group_place == top) if plan.groups else {})
        | (_value_cells(mine, folded=value_place == top) if kind in _BY_VALUE else {})
        | _statistics(kind, mine, beside[bucket, group_place])
        for (bucket, group_place, value_place), mine in sorted(
            rows.items(), key=lambda row: (row[0][0] or (), row[0][1:])
        )
    ]
    columns = tuple(cells[0]) if cells else ()
    return Expected(kind, columns, tuple(tuple(row.values()) for row in cells))


def _label(value: Value) -> str:
    return value if isinstance(value, str) else ""


def _by_name(part: str | None) -> tuple[bool, str]:
    return (part is None, part or "")


def _by_numbers(pair: str | None) -> tuple[float, ...]:
    assert pair is not None
    return tuple(float(number) for number in pair.split(":"))


def _places(
    keys: Iterable[tuple[str | None, ...]],
    top: int,
    order: Callable[[str | None], tuple[object, ...]] = _by_name,
) -> dict[tuple[str | None, ...], int]:
    """Number the keys from 0, the most frequent first, then in order; from `top` on all have its number."""
    ranked = sorted(
        Counter(keys).items(), key=lambda each: (-each[1], [order(part) for part in each[0]])
    )
    return {key: min(place, top) for place, (key, _) in enumerate(ranked)}


def _bucket_cells(bucket: tuple[datetime, str] | None) -> dict[str, Cell]:
    return {} if bucket is None else {"bucket": bucket[1]}


def _group_cells(mine: Sequence[_Seen], *, folded: bool) -> dict[str, Cell]:
    names: dict[str, Cell] = {
        f"group_{number}": "other" if folded else name
        for number, name in enumerate(mine[0].groups, start=1)
    }
    return names | {"other_groups": len({each.groups for each in mine}) if folded else 0}


def _value_cells(mine: Sequence[_Seen], *, folded: bool) -> dict[str, Cell]:
    values = {_label(each.value) for each in mine}
    return {
        "value": "other" if folded else _label(mine[0].value),
        "other_values": len(values) if folded else 0,
    }


def _statistics(kind: SeriesType, mine: Sequence[_Seen], beside: int) -> dict[str, Cell]:
    match kind:
        case SeriesType.COUNT:
            return {"n": len(mine)}
        case SeriesType.TEXT | SeriesType.PAIRS:
            return measure_share(len(mine), beside)
        case SeriesType.BOOLEAN:
            return measure_booleans([bool(each.value) for each in mine])
        case SeriesType.THUMBS:
            return measure_thumbs([bool(each.value) for each in mine])
    numbers = [float(each.value) for each in mine if not isinstance(each.value, datetime)]
    if kind == SeriesType.WEIGHTED:
        return measure_weighted(numbers, [each.weight for each in mine])
    return measure_numbers(numbers)
