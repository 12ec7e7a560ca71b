"""Find the values in a JSON text, each with its own text: one that cannot be read takes no other with it.

>>> [value.text for value in elements('[{"a": 1}, NaN]')]
['{"a": 1}', 'NaN']

What is not JSON between the values raises `json.JSONDecodeError`.
"""

import json
import re
from collections.abc import Iterator
from json import JSONDecodeError
from typing import Any, Final, NamedTuple

from afterword_schemas.json_text import is_text_too_deep, too_deep


class Value(NamedTuple):
    """A value of a JSON text.

    Attributes:
        given: The value, parsed, with floats for its integers; an `EventError` for one that is nested too
            deep, which is not parsed.
        text: Its JSON, without white space around it.
    """

    given: Any
    text: str


def read_value(text: str) -> Value:
    """Return the one value that a text holds."""
    at = _skip_white(text, 0)
    value, end = _decode(text, at, deep=is_text_too_deep(text))
    _expect_end(text, end)
    return value


def elements(text: str) -> Iterator[Value]:
    """Yield the elements of the array that a text holds."""
    at = _open(text, "[")
    more, deep = not text.startswith("]", at), is_text_too_deep(text)
    while more:
        value, end = _decode(text, at, deep=deep)
        yield value
        at, more = _next(text, end, "]")
    _expect_end(text, at + 1)


def members(text: str) -> Iterator[tuple[str, Value]]:
    """Yield the keys and values of the object that a text holds; a key that stands twice comes twice."""
    at = _open(text, "{")
    more, deep = not text.startswith("}", at), is_text_too_deep(text)
    while more:
        key, end = _decode(text, at, deep=deep)
        if not isinstance(key.given, str):
            raise JSONDecodeError("not a key", text, at)
        at = _skip_white(text, end)
        if not text.startswith(":", at):
            raise JSONDecodeError("not :", text, at)
        value, end = _decode(text, _skip_white(text, at + 1), deep=deep)
        yield key.given, value
        at, more = _next(text, end, "}")
    _expect_end(text, at + 1)


def bulk(text: str) -> Iterator[Value] | None:
    """Return the elements of an array; None for a text that holds no array.

    An object whose keys are 0, 1, 2 and so on is an array too: Portkey's Node SDK writes it so.
    """
    if text.startswith("[", _skip_white(text, 0)):
        return elements(text)
    if not _begins_with_zero(text):
        return None
    by_key = dict(members(text))
    if by_key.keys() != {str(position) for position in range(len(by_key))}:
        return None
    return (by_key[str(position)] for position in range(len(by_key)))


# Numbers, and NaN, are for `read_event` to judge; here they only must not cost much, as an int of 10,000
# digits would.
_decoder: Final = json.JSONDecoder(parse_int=float)
_structure: Final = re.compile(
    r'"(?:[^"\\]|\\.?)*+(?:"|\Z)|[\[\]{}]',  # a string without end goes to the end, at once
    re.DOTALL,
).finditer
_white: Final = re.compile(r"[ \t\n\r]*").match
_begins_with_zero: Final = re.compile(r'[ \t\n\r]*\{[ \t\n\r]*"0"').match


def _decode(text: str, at: int, *, deep: bool) -> tuple[Value, int]:
    """Return the value that begins here, and where it ends.

    Args:
        text: All of it.
        at: Where the value begins.
        deep: Whether any value of the text is too deep to be parsed.
    """
    if deep and text[at : at + 1] in {"[", "{"}:
        end = _end_of(text, at)
        if is_text_too_deep(text[at:end]):
            return Value(too_deep(), text[at:end]), end
    given, end = _decoder.raw_decode(text, at)
    return Value(given, text[at:end]), end


def _end_of(text: str, at: int) -> int:
    depth = 0
    for found in _structure(text, at):
        depth += (found[0] in "[{") - (found[0] in "]}")
        if not depth:
            return found.end()
    raise JSONDecodeError("no end", text, len(text))


def _open(text: str, bracket: str) -> int:
    """Return where the first value of a container may begin."""
    at = _skip_white(text, 0)
    if not text.startswith(bracket, at):
        raise JSONDecodeError(f"not {bracket}", text, at)
    return _skip_white(text, at + 1)


def _next(text: str, end: int, bracket: str) -> tuple[int, bool]:
    """Return where the next value begins, or the bracket that closes a container, and which it is."""
    at = _skip_white(text, end)
    if text.startswith(",", at):
        return _skip_white(text, at + 1), True
    if not text.startswith(bracket, at):
        raise JSONDecodeError(f"neither , nor {bracket}", text, at)
    return at, False


def _expect_end(text: str, at: int) -> None:
    if _skip_white(text, at) != len(text):
        raise JSONDecodeError("something after the end", text, at)


def _skip_white(text: str, at: int) -> int:
    white = _white(text, at)
    return white.end() if white else at
