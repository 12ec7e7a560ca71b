"""Read a request's body: bounded in size, in time, in what it expands to, and in the work that takes.

    raw = await read_body(request, BodyLimits(), memory)

A body that breaks a limit is refused at the byte that breaks it; the rest is not read. Other requests are served
between two pieces of what a body expands to.
"""

import asyncio
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from starlette.requests import ClientDisconnect, Request

from afterword.gateway.http.headers import headers_of
from afterword.gateway.http.responses import RETRY_AFTER_S, RequestError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_MEBIBYTE: Final = 1024 * 1024
_ZSTD_WINDOW_LOG: Final = 23  # 8 MiB: what RFC 8878 asks every decoder to take
_PIECE_BYTES: Final = 64 * 1024

MAX_PARTS: Final = 256
"""Gzip members or zstd frames of one body. Each costs what a good deal of text does, also if it is empty.
Compressors that work in blocks of 64 KiB make 128 of the largest body."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """What is too large, and what too slow.

    Attributes:
        max_bytes: Of one body, on the wire and expanded.
        timeout_s: From its first byte to its last.
    """

    max_bytes: int = 8 * _MEBIBYTE
    timeout_s: float = 30.0


class BodyMemory:
    """Bounds what all bodies that are being read, or worked on, hold together."""

    def __init__(self, max_bytes: int) -> None:
        self._free = max_bytes

    @contextmanager
    def share(self) -> Iterator[Callable[[int], None]]:
        """Give a function that takes bytes from the whole; they go back at the end of the block.

        The function raises `RequestError` 503 where too little is left.
        """
        taken = 0

        def take(size: int) -> None:
            nonlocal taken
            if size > self._free:
                headers = {"retry-after": str(RETRY_AFTER_S)}
                detail = "Too many large requests at once; send it again soon."
                raise RequestError(503, "unavailable", detail, headers)
            self._free -= size
            taken += size

        try:
            yield take
        finally:
            self._free += taken


async def read_body(request: Request, limits: BodyLimits, take: Callable[[int], None]) -> bytes:
    """Return the body of a request, expanded if it is compressed.

    Args:
        request: Its body was not read yet.
        limits: What is too large or too slow.
        take: Of `BodyMemory.share`, told of all bytes that are held.

    Raises:
        RequestError: 400 damaged, 408 too slow, 413 too large, 415 compressed in another way than
            gzip or zstd, 503 no memory for it now.
    """
    headers = headers_of(request)
    expand = _expander(headers.get("content-encoding", ""))
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limits.max_bytes:
        raise _too_large(limits)
    body = bytearray()
    try:
        async with asyncio.timeout(limits.timeout_s):
            wire_bytes = 0
            async for chunk in request.stream():
                wire_bytes += len(chunk)
                for piece in expand.feed(chunk):
                    if len(body) + len(piece) > limits.max_bytes:
                        raise _too_large(limits)
                    take(len(piece))
                    body += piece
                    if not 0 < len(piece) < _PIECE_BYTES:  # one of many, full or empty
                        await asyncio.sleep(0)
                if wire_bytes > limits.max_bytes:  # empty members expand to nothing, for ever
                    raise _too_large(limits)
    except TimeoutError:
        detail = f"The body took longer than {limits.timeout_s:g} s."
        raise RequestError(408, "request_timeout", detail) from None
    except ClientDisconnect:
        raise RequestError(400, "disconnected", "The connection ended within the body.") from None
    except (zlib.error, zstd.ZstdError, EOFError):
        raise _damaged() from None
    if not expand.complete:
        raise _damaged()
    return bytes(body)


class _Expander(Protocol):
    """Undoes one content encoding."""

    @property
    def complete(self) -> bool:
        """Whether what was fed ends where the encoding may end."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what a chunk expands to, piece by bounded piece, among them empty ones."""


class _Identity:
    complete = True

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        if chunk:
            yield chunk


class _Gzip:
    """Gzip, several members one after the other as RFC 1952 allows."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._members = 1
        self._fed = False

    @property
    def complete(self) -> bool:
        return self._member.eof or not self._fed

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        full = False
        while chunk or full:
            self._fed = True
            if self._member.eof:
                self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
                self._members = _count_part(self._members)
            piece = self._member.decompress(chunk, _PIECE_BYTES)
            chunk = self._member.unused_data or self._member.unconsumed_tail
            full = len(piece) == _PIECE_BYTES and not self._member.eof  # more may be to come
            yield piece


class _Zstd:
    """Zstandard, several frames one after the other as RFC 8878 allows."""

    def __init__(self) -> None:
        self._frame = _frame()
        self._frames = 1
        self._fed = False

    @property
    def complete(self) -> bool:
        return self._frame.eof or not self._fed

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        while chunk or (self._fed and not self._frame.needs_input and not self._frame.eof):
            self._fed = True
            if self._frame.eof:
                self._frame = _frame()
                self._frames = _count_part(self._frames)
            piece = self._frame.decompress(chunk, _PIECE_BYTES)
            chunk = self._frame.unused_data
            yield piece


def _frame() -> zstd.ZstdDecompressor:
    return zstd.ZstdDecompressor(
        options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
    )


def _count_part(parts: int) -> int:
    """Return how many parts there are with one more."""
    if parts == MAX_PARTS:
        detail = f"The body has more than {MAX_PARTS} compressed parts; compress it as one."
        raise RequestError(413, "too_large", detail)
    return parts + 1


def _expander(encoding: str) -> _Expander:
    match encoding.strip().lower():
        case "" | "identity":
            return _Identity()
        case "gzip" | "x-gzip":
            return _Gzip()
        case "zstd":
            return _Zstd()
        case _:
            detail = "Content-Encoding takes gzip, zstd or identity."
            raise RequestError(
                415, "unsupported_encoding", detail, {"accept-encoding": "gzip, zstd"}
            )


def _too_large(limits: BodyLimits) -> RequestError:
    detail = f"The body is larger than {limits.max_bytes:,} bytes, which is the most after expansion; send smaller batches."
    return RequestError(413, "too_large", detail)


def _damaged() -> RequestError:
    return RequestError(400, "damaged_encoding", "The body is not what Content-Encoding says.")
