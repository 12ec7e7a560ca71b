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
"""

import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from afterword_consumers.query.compile.parameters import is_utf8
from afterword_consumers.query.language.errors import QuestionError
from afterword_consumers.query.language.fields import Field, Type, resolve

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
        value: What it means by itself: text, a number or a boolean.
    """

    text: str
    value: str | float | bool

    @property
    def type(self) -> Type:
        """The type of `value`."""
        if isinstance(self.value, bool):
            return Type.BOOLEAN
        return Type.NUMBER if isinstance(self.value, float) else Type.TEXT


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


_QUOTED: Final = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_WORD: Final = r"[^\s=!<>(),'\"]+"
_TOKEN: Final = re.compile(
    rf"\s*(?:(?P<token>{_QUOTED}|==|[<>!]=|[=<>(),]|{_WORD})|(?P<bad>\S))", re.DOTALL
)
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_SYMBOLS: Final = frozenset({"=", "==", "!=", "<", "<=", ">", ">=", "(", ")", ","})
_HOW: Final = (
    "Write for example: feedback.score >= 3, metadata.model = gpt-5, prompt in (a, 'b c'), "
    "feedback.comment contains slow, feedback.rating exists. "
    "Text with spaces or signs goes in quotes, and each condition is a filter of its own."
)


def parse_filter(text: str) -> Filter:
    """Read one filter.

    Raises:
        QuestionError: The text is not a filter, or names nothing that a question may name.
    """
    tokens = _tokens(text)
    if not tokens or tokens[0] in _SYMBOLS:
        raise _error(text)
    field = _field(tokens[0])
    operator, rest = _operator(tokens[1:], text)
    return Filter(
        field, operator, tuple(_literal(token) for token in _values(operator, rest, text))
    )


def parse_alternatives(text: str) -> tuple[Field, tuple[Literal, ...]]:
    """Read `name = value, value, …`: a field and values to tell feedback apart by.

    Raises:
        QuestionError: The text is not of this form, or names nothing that a question may name.
    """
    name, *rest = _tokens(text) or [""]
    listed = rest[1::2]
    form = ["=", *[","] * (len(listed) - 1)]
    if not listed or rest[::2] != form or _SYMBOLS.intersection([name, *listed]):
        raise QuestionError(
            f"{text!r} names no values to compare.", "Write for example: metadata._prompt = v1, v2."
        )
    return _field(name), tuple(_literal(token) for token in listed)


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


def _literal(token: str) -> Literal:
    text = _unquote(token)
    if text != token:
        return Literal(text, text)
    if token.lower() in {"true", "false"}:
        return Literal(text, token.lower() == "true")
    if _NUMBER.fullmatch(token):
        number = float(token)
        if not math.isfinite(number):
            raise QuestionError(f"{token} is beyond what a number can be.", _HOW)
        return Literal(text, number)
    return Literal(text, text)


def _unquote(token: str) -> str:
    if token[0] not in "'\"":
        return token
    return re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.DOTALL)


def _error(text: str) -> QuestionError:
    return QuestionError(f"{text!r} is not a filter.", _HOW)
