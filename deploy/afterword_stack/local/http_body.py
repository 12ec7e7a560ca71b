"""Read an HTTP request's body, whole or not at all.

    body = read_body(headers, rfile)

A body cut short must insert nothing, so it is complete before anybody looks at it.
"""

import sys
import zlib
from collections.abc import Callable
from email.message import Message
from importlib import import_module
from typing import Any, BinaryIO, Final, cast

from afterword_stack.local.clickhouse_error import (
    CANNOT_READ_ALL_DATA,
    NOT_IMPLEMENTED,
    QUERY_IS_TOO_LARGE,
    ClickHouseError,
)

MAX_BODY_BYTES: Final = 2 << 30
"""Of one request, before and after decompression."""

_MAX_LINE_BYTES: Final = 1024


class IncompleteBodyError(ClickHouseError):
    """The connection is of no more use: what follows is not known to be a request."""


def read_body(headers: Message, stream: BinaryIO) -> bytes | bytearray:
    """Return the body, decompressed.

    Raises:
        IncompleteBodyError: It ended early, is too long, or its framing is wrong.
        ClickHouseError: The encoding is unknown or the compressed data is damaged.
    """
    if headers.get("Transfer-Encoding", "").lower() == "chunked":
        raw = _read_chunked(stream)
    else:
        raw = bytearray(_length(headers.get("Content-Length", "0")))
        _fill(stream, memoryview(raw))
    return _decode(headers.get("Content-Encoding", "").lower(), raw)


def _length(text: str, base: int = 10) -> int:
    try:
        length = int(text, base)
    except ValueError:
        length = -1
    if length < 0:
        raise _incomplete("The length of the body is no number")
    if length > MAX_BODY_BYTES:
        raise IncompleteBodyError.of(
            QUERY_IS_TOO_LARGE,
            "QUERY_IS_TOO_LARGE",
            f"The body is longer than {MAX_BODY_BYTES} bytes",
        )
    return length


def _fill(stream: BinaryIO, target: memoryview) -> None:
    # `readinto` takes from the socket straight into the target, in few calls.
    filled = 0
    while filled < len(target):
        count = stream.readinto(target[filled:])  # type: ignore[attr-defined]  # BufferedReader's
        if not count:
            raise _incomplete(f"The body ended after {filled} of {len(target)} bytes")
        filled += count


def _read_chunked(stream: BinaryIO) -> bytearray:
    body = bytearray()
    while size := _length(
        stream.readline(_MAX_LINE_BYTES).split(b";")[0].strip().decode("latin-1"), 16
    ):
        _length(str(len(body) + size))  # the sum has the same limit
        chunk = bytearray(size)
        _fill(stream, memoryview(chunk))
        body += chunk
        if stream.readline(_MAX_LINE_BYTES).strip():
            raise _incomplete("A chunk of the body is longer than it says")
    while stream.readline(_MAX_LINE_BYTES).strip():
        pass  # trailers
    return body


def _decode(encoding: str, raw: bytearray) -> bytes | bytearray:
    if encoding in {"", "identity"}:
        return raw
    new_decompressor = _decompressor(encoding)
    parts: list[bytes] = []
    rest = bytes(raw)
    while rest:  # a body may be several frames
        one = new_decompressor()
        try:
            parts.append(one.decompress(rest))
        except Exception as error:  # each library has an error of its own
            raise _incomplete(f"The {encoding} data is damaged", ClickHouseError) from error
        if not one.eof:
            raise _incomplete(f"The {encoding} data is cut short", ClickHouseError)
        rest = one.unused_data or b""
    return b"".join(parts)


def _decompressor(encoding: str) -> Callable[[], Any]:
    if encoding in {"gzip", "deflate"}:
        return lambda: zlib.decompressobj(zlib.MAX_WBITS | 32)  # 32: either header
    try:
        if encoding == "lz4":
            return _attribute("lz4.frame", "LZ4FrameDecompressor")
        if encoding == "zstd":
            package = "compression" if sys.version_info >= (3, 14) else "backports"
            return _attribute(f"{package}.zstd", "ZstdDecompressor")
    except ImportError:
        pass
    raise ClickHouseError.of(
        NOT_IMPLEMENTED, "NOT_IMPLEMENTED", "This Content-Encoding is not supported here, use gzip"
    )


def _attribute(module: str, name: str) -> Callable[[], Any]:
    # Below 3.14 both libraries come with clickhouse-connect, which alone sends these encodings.
    return cast("Callable[[], Any]", getattr(import_module(module), name))


def _incomplete(detail: str, kind: type[ClickHouseError] = IncompleteBodyError) -> ClickHouseError:
    return kind.of(CANNOT_READ_ALL_DATA, "CANNOT_READ_ALL_DATA", detail)
