r"""Read a filter, such as `feedback.score >= 3` or `metadata.model in (gpt-5, "claude 5")`.

    filter  :=  name  =  value          also != < <= > >=
             |  name  in (value, …)     also not in
             |  name  contains value    text within text, whatever its case
             |  name  exists            also missing, is missing
    name    :=  a path or a column, in quotes where it holds spaces or one of = ! < > ( ) ,
    value   :=  true | false | a number | a plain word | 'text' | "text"

In quotes a value is always text, with `\` before a quote or a `\`. On the columns that hold times a
value is a moment: `created_at >= 7d`. `!=`, `not in` and `missing` match exactly what `=`, `in` and
`exists` do not; so `!=` also matches feedback that lacks the path.

A comparison is two filters: one for each group of `name = value, value`, or for each of two periods.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final
from uuid import UUID

from afterword_consumers.query.language.fields import VOTES, Field, Type, is_utf8, resolve
from afterword_consumers.query.language.periods import Clock, Moment, parse_moment
from afterword_consumers.query.language.question import BEFORE, QuestionError

MAX_LIST: Final = 1000
"""Values that one `in (…)` may hold."""


class Operator(StrEnum):
    """How a filter compares."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    IN = "in"
    NOT_IN = "not in"
    CONTAINS = "contains"
    EXISTS = "exists"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Literal:
    """A value in a filter.

    Attributes:
        text: As it was written, without quotes.
        type: In which it is compared: that of a column, or for a path the value's own.
        value: The value in that type; a UUID in its usual form.
    """

    text: str
    type: Type
    value: str | float | bool | Moment


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter as read.

    Attributes:
        field: What is compared.
        operator: How.
        values: With what; none for `exists` and `missing`, one for all others but the lists.
    """

    field: Field
    operator: Operator
    values: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two groups of feedback, told apart by what one path or column is, or by when they were given.

    Attributes:
        first: The filter that finds the one that the other is set against.
        second: The filter that finds the other.
    """

    first: Filter
    second: Filter

    @property
    def names(self) -> tuple[str, str]:
        """What the two are called: the values, as they were written."""
        first, second = (side.values[0].text for side in (self.first, self.second))
        return (first, second) if first != second else (f"{first} (1st)", f"{second} (2nd)")


_QUOTED: Final = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_WORD: Final = r"[^\s=!<>(),'\"]+"
_TOKEN: Final = re.compile(
    rf"\s*(?:(?P<token>{_QUOTED}|==|[<>!]=|[=<>(),]|{_WORD})|(?P<bad>\S))", re.DOTALL
)
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_SYMBOLS: Final = frozenset({"=", "==", "!=", "<", "<=", ">", ">=", "(", ")", ","})
_ORDER: Final = frozenset({Operator.LT, Operator.LE, Operator.GT, Operator.GE})
_HOW: Final = (
    "Write for example: feedback.score >= 3, metadata.model = gpt-5, prompt in (a, 'b c'), "
    "feedback.comment contains slow, feedback.rating exists. "
    "Text with spaces or signs goes in quotes, and each condition is a filter of its own."
)
_HOW_TO_COMPARE: Final = "Write a path and two of its values: metadata._prompt = v1, v2."


def parse_filter(text: str, clock: Clock) -> Filter:
    """Read one filter.

    Raises:
        QuestionError: The text is not a filter, names nothing that a question may name, or compares a
            column with what it cannot be.
    """
    tokens = _tokens(text)
    if not tokens or tokens[0] in _SYMBOLS:
        raise _error(text)
    field = _field(tokens[0])
    operator, rest = _operator(tokens[1:], text)
    words = [_word(token) for token in _values(operator, rest, text)]
    return _filter(field, operator, words, clock)


def parse_comparison(text: str, clock: Clock) -> Comparison:
    """Read `name = value, value`: two groups to set against each other.

    Raises:
        QuestionError: It is not of this form, names nothing that a question may name, or both
            values are the same.
    """
    field, words = _alternatives(text)
    if len(words) != 2:  # noqa: PLR2004
        raise QuestionError(
            f"A comparison has two groups; {text!r} names {len(words)}.", _HOW_TO_COMPARE
        )
    if field.types == (Type.TIME,):
        raise QuestionError(f"{field.name} is a time.", _HOW_TO_COMPARE)
    first, second = (_filter(field, Operator.EQ, [word], clock) for word in words)
    (one,), (other,) = first.values, second.values
    if (one.type, one.value) == (other.type, other.value):
        raise QuestionError(f"Both groups are {one.text!r}.", _HOW_TO_COMPARE)
    return Comparison(first, second)


def compare_with_before(since: Moment) -> Comparison:
    """Return the comparison of what was given since a moment with what was given before it."""
    field = resolve("created_at")
    before = Literal(BEFORE, Type.TIME, since)
    return Comparison(
        Filter(field, Operator.LT, (before,)),
        Filter(field, Operator.GE, (replace(before, text="now"),)),
    )


@dataclass(frozen=True, slots=True)
class _Word:
    """A value as it was written.

    Attributes:
        text: Without quotes.
        value: What it means by itself: text, a number or a boolean.
    """

    text: str
    value: str | float | bool

    @property
    def type(self) -> Type:
        if isinstance(self.value, bool):
            return Type.BOOLEAN
        return Type.NUMBER if isinstance(self.value, float) else Type.TEXT


def _filter(field: Field, operator: Operator, words: Sequence[_Word], clock: Clock) -> Filter:
    """Return the filter, each value in the type in which it is compared."""
    types = [_type(field, operator, word) for word in words]
    _check(field, operator, words, set(types))
    return Filter(
        field,
        operator,
        tuple(
            Literal(word.text, kind, _meant(field, word, kind, clock))
            for word, kind in zip(words, types, strict=True)
        ),
    )


def _type(field: Field, operator: Operator, word: _Word) -> Type:
    """The type in which a value is compared: a column's own, or the value's."""
    if field.column is not None:
        return field.types[0]
    return Type.TEXT if operator == Operator.CONTAINS else word.type


def _check(field: Field, operator: Operator, words: Sequence[_Word], types: set[Type]) -> None:
    name, is_column = field.name, field.column is not None
    if operator == Operator.CONTAINS:
        if is_column and types != {Type.TEXT}:
            raise QuestionError(f"{name} is not text.", f"Write for example {name} exists.")
        if not words[0].text:
            raise QuestionError("Every text contains ''.", f"Write {name} exists.")
    if operator in _ORDER and types & {Type.BOOLEAN, Type.UUID}:
        raise QuestionError(f"{name} has no order to compare by.", f"Write {name} = … instead.")
    if is_column and types == {Type.TEXT} and not all(word.text for word in words):
        raise QuestionError(f"{name} is never '': it is missing then.", f"Write {name} missing.")


def _meant(field: Field, word: _Word, kind: Type, clock: Clock) -> str | float | bool | Moment:
    match kind:
        case Type.TIME:
            return parse_moment(word.text, clock)
        case Type.UUID:
            return _uuid(word.text)
        case Type.BOOLEAN:
            return _vote(word.text) if field.is_thumbs else word.value
        case Type.NUMBER:
            if not isinstance(word.value, float):
                raise QuestionError(
                    f"{field.name} is a number, {word.text!r} is none.",
                    f"Write for example {field.name} >= 3.",
                )
            return word.value
        case Type.TEXT:
            return word.text


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


def _alternatives(text: str) -> tuple[Field, list[_Word]]:
    """Read `name = value, value, …`: a field and values to tell feedback apart by."""
    name, *rest = _tokens(text) or [""]
    listed = rest[1::2]
    form = ["=", *[","] * (len(listed) - 1)]
    if not listed or rest[::2] != form or _SYMBOLS.intersection([name, *listed]):
        raise QuestionError(f"{text!r} names no values to compare.", _HOW_TO_COMPARE)
    return _field(name), [_word(token) for token in listed]


def _field(token: str) -> Field:
    field = resolve(_unquote(token))
    if field.is_wildcard:
        raise QuestionError(
            f"The path {field.name!r} has a wildcard, which only a measure may have.",
            "Name one position, such as feedback.edits.0.value.",
        )
    return field


def _tokens(text: str) -> list[str]:
    if not is_utf8(text):
        raise _error(text)
    found = list(_TOKEN.finditer(text.rstrip()))
    if any(match["bad"] for match in found):
        raise _error(text)
    return [match["token"] for match in found]


def _operator(tokens: list[str], text: str) -> tuple[Operator, list[str]]:
    words = [token.lower() for token in tokens[:2]]
    if words == ["is", "missing"]:
        return Operator.MISSING, tokens[2:]
    if words == ["not", "in"]:
        return Operator.NOT_IN, tokens[2:]
    if words[:1] == ["=="]:
        return Operator.EQ, tokens[1:]
    if words and words[0] in set(Operator):
        return Operator(words[0]), tokens[1:]
    raise _error(text)


def _values(operator: Operator, tokens: list[str], text: str) -> list[str]:
    if operator in {Operator.EXISTS, Operator.MISSING}:
        expected: list[str] = []
    elif operator in {Operator.IN, Operator.NOT_IN}:
        expected = tokens[1:-1:2]
        separators = [tokens[:1], *([token] for token in tokens[2:-1:2]), tokens[-1:]]
        if separators != [["("], *[[","]] * (len(expected) - 1), [")"]] or not expected:
            raise _error(text)
        if len(expected) > MAX_LIST:
            raise QuestionError(f"A list of more than {MAX_LIST} values.", "Split the question.")
        tokens = expected
    else:
        expected = tokens[:1]
        if not expected:
            raise _error(text)
    if tokens != expected or _SYMBOLS.intersection(expected):
        raise _error(text)
    return expected


def _word(token: str) -> _Word:
    text = _unquote(token)
    if text != token:
        return _Word(text, text)
    if token.lower() in {"true", "false"}:
        return _Word(text, token.lower() == "true")
    if _NUMBER.fullmatch(token):
        number = float(token)
        if not math.isfinite(number):
            raise QuestionError(f"{token} is beyond what a number can be.", _HOW)
        return _Word(text, number)
    return _Word(text, text)


def _unquote(token: str) -> str:
    if token[0] not in "'\"":
        return token
    return re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.DOTALL)


def _error(text: str) -> QuestionError:
    return QuestionError(f"{text!r} is not a filter.", _HOW)
