"""A file on its way: bytes to write, and how many rows they finish.

    for piece in read_rows(stream, to_line): file.write(piece.data); advance(piece.rows)

Whatever the size of an answer, no more of it is held than one piece and the row it cuts.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import orjson

from afterword_schemas import RetryableError

Row = list[Any]
"""A row of JSONCompactEachRow."""


class Piece(NamedTuple):
    """A part of a file.

    Attributes:
        data: To be written as it is.
        rows: How many are complete with it; 0 where the format does not show it.
    """

    data: bytes
    rows: int


def read_rows(stream: Iterable[bytes], write: Callable[[Row], bytes]) -> Iterator[Piece]:
    """Write each row of a stream of JSONCompactEachRow in another form, row by row.

    Raises:
        RetryableError: The stream ends within a row.
    """
    rest = b""
    for read in stream:
        *lines, rest = (rest + read).split(b"\n")
        if lines:
            yield Piece(b"".join([write(orjson.loads(line)) for line in lines]), len(lines))
    if rest:
        raise RetryableError("the answer ended within a row")
