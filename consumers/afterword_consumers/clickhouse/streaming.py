"""Read an answer of ClickHouse's while it is being made, and see it when it breaks off.

    for piece in read_answer(response): ...

The status is sent before the first row, so an error after it comes inside the body: a block that
begins with `__exception__` and the tag of the header `X-ClickHouse-Exception-Tag`, which no row can know.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final, Protocol

from urllib3.exceptions import HTTPError, ProtocolError

from afterword_schemas import RetryableError

_PIECE_BYTES: Final = 1 << 18
_MAX_ERROR_BYTES: Final = 1 << 16


class StreamedResponse(Protocol):
    """What is needed of a response of urllib3."""

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, whatever its case."""

    def stream(self, amt: int) -> Iterator[bytes]:
        """Yield the body in pieces of at most so many bytes."""

    def close(self) -> None:
        """Let go of the connection."""


def read_answer(response: StreamedResponse) -> Iterator[bytes]:
    """Yield the body; the response is closed in the end, also where the reader stops early.

    Raises:
        RetryableError: The server failed on the way, or went away; what was yielded is a part.
        HTTPError: It did not answer in time.
    """
    tag = response.headers.get("X-ClickHouse-Exception-Tag", "")
    pieces = response.stream(_PIECE_BYTES)
    try:
        yield from _until_mark(pieces, f"__exception__\r\n{tag}\r\n".encode()) if tag else pieces
    except ProtocolError as error:
        raise RetryableError("ClickHouse broke off in the middle of its answer") from error
    finally:
        response.close()


def _until_mark(pieces: Iterator[bytes], mark: bytes) -> Iterator[bytes]:
    """Yield pieces, always keeping back what may be the beginning of the mark."""
    kept = b""
    for piece in pieces:
        kept += piece
        rows, found, error = kept.partition(mark)
        if found:
            yield rows
            raise RetryableError(_error(error, pieces))
        kept = rows[max(0, len(rows) - len(mark) + 1) :]
        yield rows[: len(rows) - len(kept)]
    yield kept


def _error(begun: bytes, pieces: Iterator[bytes]) -> str:
    """Return the first line of the error, of which some bytes were read."""
    with suppress(HTTPError):  # that the connection ends here is the server's way
        for piece in pieces:
            begun += piece
            if len(begun) > _MAX_ERROR_BYTES:
                break
    return begun.split(b"\n", 1)[0].decode(errors="replace").strip()[:500]
