r"""What is wrong with bytes that should be JSON: one verdict, for the gateway and the worker.

>>> print(text_error(b'{"a": "\\ud83d"}'))
half of a surrogate pair at line 1 column 14 [invalid_unicode at $]

The limit of nesting is ours, and is looked for before anything is parsed: how deep the parsers of Python go
depends on its version. https://docs.python.org/3/library/json.html#implementation-limitations
"""

from array import array
from itertools import accumulate
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from afterword_schemas.errors import InvalidEventError, RejectCode
from afterword_schemas.limits import MAX_JSON_LEVELS

_PIECE_BYTES: Final = 64 * 1024
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # as signed bytes, 1 and -1
_OTHERS: Final = bytes(set(range(256)) - set(b'"[{]}'))


def is_too_deep(raw: bytes) -> bool:
    """Return whether more than `MAX_JSON_LEVELS` brackets are open anywhere in a text, valid or not."""
    if raw.count(b"[") + raw.count(b"{") <= MAX_JSON_LEVELS:
        return False
    if b"\\" in raw:
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    # A string without brackets leaves two quotes, and most are such strings.
    marks = raw.translate(_STEPS, _OTHERS).replace(b'""', b"")
    depths, in_string = [0], False
    for start in range(0, len(marks), _PIECE_BYTES):
        parts = marks[start : start + _PIECE_BYTES].split(b'"')
        steps = array("b", b"".join(parts[in_string::2]))
        depths = list(accumulate(steps, initial=depths[-1]))
        if max(depths) > MAX_JSON_LEVELS:
            return True
        in_string ^= len(parts) % 2 == 0
    return False


def is_text_too_deep(text: str) -> bool:
    """Return the same of a text, which may hold halves of surrogate pairs."""
    if text.count("[") + text.count("{") <= MAX_JSON_LEVELS:
        return False
    return is_too_deep(text.encode(errors="surrogatepass"))


def too_deep(path: str = "$") -> InvalidEventError:
    """Return the error for a text that is too deep."""
    detail = f"objects or arrays are nested more than {MAX_JSON_LEVELS} levels deep"
    return InvalidEventError(RejectCode.TOO_DEEP, path, detail)


def text_error(raw: bytes) -> InvalidEventError | None:
    """Return why bytes cannot be read as JSON; None where they can."""
    if not raw:
        return InvalidEventError(RejectCode.EMPTY_MESSAGE, "$", "the message has no payload")
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return InvalidEventError(
            RejectCode.INVALID_UTF8, "$", f"byte {error.start} is not valid UTF-8"
        )
    if is_too_deep(raw):
        return too_deep()
    try:
        _validate_json(raw)
    except ValidationError as error:
        code, detail = _judge(str(error.errors()[0]["ctx"]["error"]), raw)
        return InvalidEventError(code, "$", detail)
    return None


# The parser that reads events, so that both say the same of a text.
_validate_json: Final = TypeAdapter(Any).validator.validate_json


def _judge(message: str, raw: bytes) -> tuple[RejectCode, str]:
    if "surrogate" in message or "hex escape" in message:
        _, at, place = message.partition(" at line ")
        return RejectCode.INVALID_UNICODE, f"half of a surrogate pair{at}{place}"
    if "number out of range" in message:
        return RejectCode.OUT_OF_RANGE, "a number of thousands of digits"
    if raw.startswith(b"\xef\xbb\xbf"):
        return RejectCode.INVALID_JSON, "the text begins with a byte order mark; send it without"
    return RejectCode.INVALID_JSON, f"not JSON: {message}"
