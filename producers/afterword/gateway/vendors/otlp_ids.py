"""Trace and span ids of OTLP, as 32 and 16 hexadecimal digits.

>>> trace_id(bytes.fromhex("0af7651916cd43dd8448eb211c80319c"))
'0af7651916cd43dd8448eb211c80319c'
>>> trace_id(b"0AF7651916CD43DD8448EB211C80319C")
'0af7651916cd43dd8448eb211c80319c'

The specification wants 16 and 8 bytes, in JSON as hexadecimal digits. Some exporters send the digits
where the bytes belong, and some send base64 in JSON, as protobuf's own mapping does. Both have another
length than the right form, so they are read as what they mean. Every other length is refused: feedback under
such an id would meet no trace.
"""

import re
from binascii import a2b_base64
from typing import Final

from afterword_schemas.errors import InvalidEventError, RejectCode

_TRACE_BYTES: Final = 16
_SPAN_BYTES: Final = 8
_DIGITS: Final = re.compile(rb"[0-9a-fA-F]*")
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_-]+={1,2}")


def trace_id(given: bytes | str) -> str:
    """Return a trace id in lower case; empty where there is none, which zeros mean too.

    Args:
        given: Bytes of protobuf, or text of JSON.

    Raises:
        InvalidEventError: `INVALID_FORMAT` at `$.traceId`.
    """
    return _read(given, _TRACE_BYTES, "traceId")


def span_id(given: bytes | str) -> str:
    """Return a span id, as `trace_id` does; the error is at `$.spanId`."""
    return _read(given, _SPAN_BYTES, "spanId")


def _read(given: bytes | str, size: int, name: str) -> str:
    raw = given if isinstance(given, bytes) else _from_text(given.encode(errors="replace"), size)
    if raw is not None and len(raw) == 2 * size and _DIGITS.fullmatch(raw):
        raw = bytes.fromhex(raw.decode())
    if raw is not None and not any(raw):
        return ""
    if raw is None or len(raw) != size:
        detail = f"{name} takes {size} bytes, which are {2 * size} hexadecimal digits"
        raise InvalidEventError(RejectCode.INVALID_FORMAT, f"$.{name}", detail)
    return raw.hex()


def _from_text(text: bytes, size: int) -> bytes | None:
    """Return the bytes that a text of JSON stands for; None where it is neither form."""
    if not text.strip(b"0"):
        return b""
    if _DIGITS.fullmatch(text) and len(text) % 2 == 0:
        return bytes.fromhex(text.decode())
    if len(text) == -(-size // 3) * 4 and _BASE64.fullmatch(text):
        return a2b_base64(text.translate(bytes.maketrans(b"-_", b"+/")))
    return None
