"""Turn a filter into a condition on `feedback_current`, its values bound as parameters.

    feedback.score >= 3      numbers[{p0:String}] >= {p1:Float64}
    metadata.model != m1     ifNull(strings[{p0:String}] != {p1:String}, true)

Values are compared by their type: a path that holds numbers in some feedback and text in other is
compared with a number where it is a number, and with text where it is text.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final
from uuid import UUID

from afterword_consumers.query.compile.parameters import Parameters
from afterword_consumers.query.language.errors import QuestionError
from afterword_consumers.query.language.fields import VOTES, Field, Type
from afterword_consumers.query.language.filters import Filter, Literal, Operator
from afterword_consumers.query.language.periods import date_in, parse_moment

_ORDER: Final = frozenset({Operator.LT, Operator.LE, Operator.GT, Operator.GE})
_NEGATIVE: Final = {Operator.NE: Operator.EQ, Operator.NOT_IN: Operator.IN}


@dataclass(frozen=True, slots=True)
class Scope:
    """What the values of filters depend on.

    Attributes:
        parameters: Where paths and values are bound.
        now: What durations such as `7d` count from.
        zone: Where a day begins.
    """

    parameters: Parameters
    now: datetime
    zone: tzinfo


def condition(what: Filter, scope: Scope) -> str:
    """Return the SQL of a filter.

    Raises:
        QuestionError: It compares with something that the field cannot be.
    """
    if what.operator in {Operator.EXISTS, Operator.MISSING}:
        return _existence(what, scope.parameters)
    _check(what)
    if positive := _NEGATIVE.get(what.operator):
        same = Filter(what.field, positive, what.values)
        return f"ifNull(NOT ({_any_type(same, scope)}), true)"
    return _any_type(what, scope)


def of_project(project: str | None, parameters: Parameters) -> str:
    """Return the condition that keeps to a project; `true` for None, which is all of them."""
    return "true" if project is None else f"project = {parameters.text(project)}"


def since_until(since: str | None, until: str | None, scope: Scope) -> list[str]:
    """Return the conditions that bound `created_at`, `until` excluded.

    Raises:
        QuestionError: One is no moment.
    """
    bounds = ((">=", since), ("<", until))
    return [
        f"created_at {sign} {_moment(text, scope)}" for sign, text in bounds if text is not None
    ]


def _existence(what: Filter, parameters: Parameters) -> str:
    values = [what.field.sql(kind, parameters) for kind in what.field.types_in(parameters.storage)]
    if what.operator == Operator.EXISTS:
        return _either([f"{value} IS NOT NULL" for value in values])
    return " AND ".join(f"{value} IS NULL" for value in values)


def _any_type(what: Filter, scope: Scope) -> str:
    """Compare with each value in the type that it has, or takes, for the field."""
    by_type: dict[Type, list[str]] = {}
    for literal in what.values:
        kind = _type(what, literal)
        bound = _bind(what.field, literal, kind, scope)
        by_type.setdefault(kind, []).append(bound)
    return _either(
        [_compare(what, kind, bound, scope.parameters) for kind, bound in by_type.items()]
    )


def _either(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})"


def _compare(what: Filter, kind: Type, bound: list[str], parameters: Parameters) -> str:
    left = _left(what, kind, parameters)
    if what.operator == Operator.CONTAINS:
        return f"positionCaseInsensitiveUTF8({left}, {bound[0]}) > 0"
    if what.operator == Operator.IN:
        return f"{left} IN ({', '.join(bound)})"
    return f"{left} {what.operator} {bound[0]}"


def _left(what: Filter, kind: Type, parameters: Parameters) -> str:
    column = what.field.column
    if kind == Type.UUID:
        return "toUInt128(feedback_id)"  # what the primary key holds
    if column is not None and kind == Type.TEXT and what.operator not in _ORDER:
        return column  # bare, so that its index serves; never compared with ''
    return what.field.sql(kind, parameters)


def _type(what: Filter, literal: Literal) -> Type:
    """The type in which a value is compared: a column's own, or the value's."""
    if what.field.column is not None:
        return what.field.types[0]
    return Type.TEXT if what.operator == Operator.CONTAINS else literal.type


def _bind(field: Field, literal: Literal, kind: Type, scope: Scope) -> str:
    parameters = scope.parameters
    match kind:
        case Type.TIME:
            return _moment(literal.text, scope)
        case Type.UUID:
            return f"toUInt128({parameters.uuid(_uuid(literal.text))})"
        case Type.BOOLEAN:
            value = _vote(literal.text) if field.is_thumbs else literal.value
            return "true" if value else "false"
        case Type.NUMBER:
            if not isinstance(literal.value, float):
                raise QuestionError(
                    f"{field.name} is a number, {literal.text!r} is none.",
                    f"Write for example {field.name} >= 3.",
                )
            return parameters.number(literal.value)
        case Type.TEXT:
            return parameters.text(literal.text)


def _moment(text: str, scope: Scope) -> str:
    """Return the expression for a moment; a day begins where ClickHouse's buckets of days do."""
    moment = parse_moment(text, now=scope.now, zone=scope.zone)
    if scope.zone is not UTC and (day := date_in(text)):
        bound = scope.parameters.text
        return f"toDateTime64(toDate32({bound(day)}), 3, {bound(str(scope.zone))})"
    return scope.parameters.moment(moment)


def _vote(text: str) -> bool:
    if text not in VOTES:
        raise QuestionError("thumbs is up or down.", "Write thumbs = up, or thumbs exists.")
    return VOTES[text]


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise QuestionError(
            f"{text!r} is not a feedback id.", "Write a UUID: 36 characters, with hyphens."
        ) from None


def _check(what: Filter) -> None:
    name, operator = what.field.name, what.operator
    kinds = {_type(what, literal) for literal in what.values}
    if operator == Operator.CONTAINS:
        if what.field.column is not None and kinds != {Type.TEXT}:
            raise QuestionError(f"{name} is not text.", f"Write for example {name} exists.")
        if not what.values[0].text:
            raise QuestionError("Every text contains ''.", f"Write {name} exists.")
    if operator in _ORDER and kinds & {Type.BOOLEAN, Type.UUID}:
        raise QuestionError(f"{name} has no order to compare by.", f"Write {name} = … instead.")
    is_column = what.field.column is not None and kinds == {Type.TEXT}
    if is_column and not all(literal.text for literal in what.values):
        raise QuestionError(f"{name} is never '': it is missing then.", f"Write {name} missing.")
