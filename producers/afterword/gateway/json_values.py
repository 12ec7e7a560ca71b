"""Find the values in a JSON text, each with its own text: one that cannot be read takes no other with it.

>>> [value.text for value in elements('[{"a": 1}, NaN]')]
['{"a": 1}', 'NaN']

What is not JSON between the values raises `json.JSONDecodeError`. To find where the values end takes its time, once
one of them is nested too deep: a text that has too much in it then is refused as a whole, with an `InvalidEventError`.
"""

import json
import re
from collections.abc import Iterator
from itertools import islice
from json import JSONDecodeError
from typing import Any, Final, NamedTuple

from afterword.gateway.http.responses import RequestError
from afterword_schemas.errors import InvalidEventError, RejectCode
from afterword_schemas.json_text import is_text_too_deep, too_deep

MAX_CONTAINERS: Final = 500_000
"""Arrays and objects of one body. In the largest body that leaves 16 bytes to each."""


class Value(NamedTuple):
    """A value of a JSON text.

    Attributes:
        given: The value, parsed, with floats for its integers; an `InvalidEventError` for one that is nested too
            deep, which is not parsed.
        text: Its JSON, without white space around it.
    """

    given: Any
    text: str


def check_containers(raw: bytes) -> None:
    """Refuse a body of more arrays and objects than any real one has: each costs a hundred bytes and more.

    Raises:
        RequestError: 413.
    """
    if raw.count(b"[") + raw.count(b"{") > MAX_CONTAINERS:
        detail = f"More than {MAX_CONTAINERS:,} arrays and objects; send smaller batches."
        raise RequestError(413, "too_large", detail)


def read_value(text: str) -> Value:
    """Return the one value that a text holds."""
    at = _skip_white(text, 0)
    value, end = _Decoder(text).decode(at)
    _expect_end(text, end)
    return value


def elements(text: str) -> Iterator[Value]:
    """Yield the elements of the array that a text holds."""
    at, decoder = _open(text, "["), _Decoder(text)
    more = not text.startswith("]", at)
    while more:
        value, end = decoder.decode(at)
        yield value
        at, more = _next(text, end, "]")
    _expect_end(text, at + 1)


def members(text: str) -> Iterator[tuple[str, Value]]:
    """Yield the keys and values of the object that a text holds; a key that stands twice comes twice."""
    at, decoder = _open(text, "{"), _Decoder(text)
    more = not text.startswith("}", at)
    while more:
        key, end = decoder.decode(at)
        if not isinstance(key.given, str):
            raise JSONDecodeError("not a key", text, at)
        at = _skip_white(text, end)
        if not text.startswith(":", at):
            raise JSONDecodeError("not :", text, at)
        value, end = decoder.decode(_skip_white(text, at + 1))
        yield key.given, value
        at, more = _next(text, end, "}")
    _expect_end(text, at + 1)


def bulk(text: str, most: int) -> Iterator[Value] | None:
    """Return the elements of an array; None for a text that holds no array.

    An object whose keys are 0, 1, 2 and so on, each once, is an array too: Portkey's Node SDK writes it so.

    Args:
        text: Of a body, or of a part of it.
        most: How many elements are allowed; of more, at least one more is returned.
    """
    if text.startswith("[", _skip_white(text, 0)):
        return elements(text)
    if not _begins_with_zero(text):
        return None
    pairs = list(islice(members(text), most + 1))
    if len(pairs) > most:
        return (value for _, value in pairs)
    by_key = dict(pairs)  # in which the last of two values under one key would stand for both
    if by_key.keys() != {str(position) for position in range(len(pairs))}:
        return None
    return (by_key[str(position)] for position in range(len(pairs)))


# Numbers, and NaN, are for `read_event` to judge; here they only must not cost much, as an int of 10,000
# digits would.
_decoder: Final = json.JSONDecoder(parse_int=float)
_structure: Final = re.compile(
    r'"(?:[^"\\]|\\.?)*+(?:"|\Z)|[\[\]{}]',  # a string without end goes to the end, at once
    re.DOTALL,
).finditer
_white: Final = re.compile(r"[ \t\n\r]*").match
_begins_with_zero: Final = re.compile(r'[ \t\n\r]*\{[ \t\n\r]*"0"').match


_MAX_TOKENS: Final = 300_000


class _Decoder:
    """Reads the values of one text, and bounds what it looks through for their ends."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._is_deep = is_text_too_deep(text)
        self._tokens = 0

    def decode(self, at: int) -> tuple[Value, int]:
        """Return the value that begins here, and where it ends."""
        text = self._text
        if self._is_deep and text[at : at + 1] in {"[", "{"}:
            end = self._end_of(at)
            if is_text_too_deep(text[at:end]):
                return Value(too_deep(), text[at:end]), end
        given, end = _decoder.raw_decode(text, at)
        return Value(given, text[at:end]), end

    def _end_of(self, at: int) -> int:
        depth = 0
        for found in _structure(self._text, at):
            depth += (found[0] in "[{") - (found[0] in "]}")
            if not depth:
                return found.end()
            self._tokens += 1
            if self._tokens > _MAX_TOKENS:
                detail = f"{too_deep().detail}, and there is too much beside it"
                raise InvalidEventError(RejectCode.TOO_DEEP, "$", detail)
        raise JSONDecodeError("no end", self._text, len(self._text))


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
