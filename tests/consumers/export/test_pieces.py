"""Rows are read wherever a stream is cut, and a cut row is never dropped."""

import pytest

from afterword_consumers.export.pieces import Piece, Row, read_rows
from afterword_schemas import RetryableError


def written(row: Row) -> bytes:
    """Return a row as its sum."""
    return f"{sum(row)};".encode()


def test_rows_are_read_across_pieces() -> None:
    """A row counts with the piece that ends it; a piece that ends none yields nothing."""
    stream = [b"[1,2]\n[3", b"", b",4]\n", b"[5,6]\n[7,8]\n"]
    assert list(read_rows(stream, written)) == [
        Piece(b"3;", 1),
        Piece(b"7;", 1),
        Piece(b"11;15;", 2),
    ]


def test_a_stream_that_ends_within_a_row_is_an_error() -> None:
    """What came before it was yielded; the file is not taken for a whole one."""
    pieces = read_rows([b"[1,2]\n[3,4]"], written)
    assert next(pieces) == Piece(b"3;", 1)
    with pytest.raises(RetryableError, match="ended within a row"):
        next(pieces)
