"""Turn what a plan keeps to into conditions on `feedback_current`, their values bound as parameters.

    feedback.score >= 3      numbers[{p0:String}] >= {p1:Float64}
    metadata.model != m1     ifNull(strings[{p0:String}] != {p1:String}, true)

Values are compared by their type: a path that holds numbers in some feedback and text in other is
compared with a number where it is a number, and with text where it is text.
"""

from typing import Final

from afterword_consumers.query.compile.parameters import Parameters, of_project
from afterword_consumers.query.compile.source import Source
from afterword_consumers.query.language.fields import Type
from afterword_consumers.query.language.filters import Filter, Literal, Operator
from afterword_consumers.query.language.parse import Plan
from afterword_consumers.query.language.periods import Moment

_ORDER: Final = frozenset({Operator.LT, Operator.LE, Operator.GT, Operator.GE})
_NEGATIVE: Final = {Operator.NE: Operator.EQ, Operator.NOT_IN: Operator.IN}


def conditions(plan: Plan, source: Source) -> list[str]:
    """Return what a plan asks of each feedback, whatever it measures."""
    project = [] if plan.project is None else [of_project(plan.project, source.parameters)]
    return [
        *project,
        *_period(plan, source.parameters),
        *(condition(each, source) for each in plan.filters),
    ]


def condition(what: Filter, source: Source) -> str:
    """Return the SQL of a filter."""
    if what.operator in {Operator.EXISTS, Operator.MISSING}:
        return _existence(what, source)
    if positive := _NEGATIVE.get(what.operator):
        same = Filter(what.field, positive, what.values)
        return f"ifNull(NOT ({_any_type(same, source)}), true)"
    return _any_type(what, source)


def _period(plan: Plan, parameters: Parameters) -> list[str]:
    bounds = ((">=", plan.since), ("<", plan.until))
    return [
        f"created_at {sign} {_moment(moment, parameters)}"
        for sign, moment in bounds
        if moment is not None
    ]


def _existence(what: Filter, source: Source) -> str:
    values = [source.value(what.field, kind) for kind in source.storage.types(what.field)]
    if what.operator == Operator.EXISTS:
        return _either([f"{value} IS NOT NULL" for value in values])
    return " AND ".join(f"{value} IS NULL" for value in values)


def _any_type(what: Filter, source: Source) -> str:
    """Compare with each value in its type."""
    by_type: dict[Type, list[str]] = {}
    for literal in what.values:
        by_type.setdefault(literal.type, []).append(_bind(literal, source.parameters))
    return _either([_compare(what, kind, bound, source) for kind, bound in by_type.items()])


def _either(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})"


def _compare(what: Filter, kind: Type, bound: list[str], source: Source) -> str:
    left = _left(what, kind, source)
    if what.operator == Operator.CONTAINS:
        return f"positionCaseInsensitiveUTF8({left}, {bound[0]}) > 0"
    if what.operator == Operator.IN:
        return f"{left} IN ({', '.join(bound)})"
    return f"{left} {what.operator} {bound[0]}"


def _left(what: Filter, kind: Type, source: Source) -> str:
    column = what.field.column
    if kind == Type.UUID:
        return "toUInt128(feedback_id)"  # what the primary key holds
    if column is not None and kind == Type.TEXT and what.operator not in _ORDER:
        return column  # bare, so that its index serves; never compared with ''
    return source.value(what.field, kind)


def _bind(literal: Literal, parameters: Parameters) -> str:
    match literal.value:
        case Moment() as moment:
            return _moment(moment, parameters)
        case bool(value):
            return "true" if value else "false"
        case str(text) if literal.type == Type.UUID:
            return f"toUInt128({parameters.uuid(text)})"
        case str(text):
            return parameters.text(text)
        case number:
            return parameters.number(number)


def _moment(moment: Moment, parameters: Parameters) -> str:
    """Return the expression for a moment; a day begins where ClickHouse's buckets of days do."""
    if moment.day is not None and moment.zone != "UTC":
        day, zone = parameters.text(moment.day), parameters.text(moment.zone)
        return f"toDateTime64(toDate32({day}), 3, {zone})"
    return parameters.moment(moment.at)
