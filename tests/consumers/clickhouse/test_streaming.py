"""An answer is read while it is made; one that breaks off is never taken for a whole one."""

from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import IncompleteRead

from afterword_consumers.clickhouse.client import ClickHouse, ClickHouseAddress
from afterword_consumers.clickhouse.streaming import read_answer
from afterword_schemas import RetryableError
from afterword_stack.local.clickhouse import ClickHouseNode

TAG = "abcdefghijklmnop"


class FakeResponse:
    """A response whose body arrives in pieces that end where a test wants it."""

    def __init__(self, body: bytes, ends: list[int], *, breaks: bool = False) -> None:
        self.headers: Mapping[str, str] = {"X-ClickHouse-Exception-Tag": TAG}
        self.body, self.ends, self.breaks, self.closed = body, ends, breaks, False

    def stream(self, amt: int) -> Iterator[bytes]:
        """See `StreamedResponse`."""
        assert amt > 0
        begin = 0
        for end in [*sorted(self.ends), len(self.body)]:
            yield self.body[begin:end]
            begin = end
        if self.breaks:
            raise IncompleteRead(len(self.body), 1)

    def close(self) -> None:
        """See `StreamedResponse`."""
        self.closed = True


def broken_off(text: str) -> bytes:
    """Return how ClickHouse ends an answer of which it had sent a part before the error."""
    said = f"{text}\n"
    return (
        f"\r\n__exception__\r\n{TAG}\r\n{said}\r\n{len(said)} {TAG}\r\n__exception__\r\n".encode()
    )


@pytest.fixture
def connection(clickhouse: ClickHouseNode, database: str) -> Iterator[ClickHouse]:
    """A connection to an empty database on the real ClickHouse."""
    one = ClickHouse(ClickHouseAddress(clickhouse.host, clickhouse.port, database))
    yield one
    one.close()


@given(
    st.lists(st.sampled_from([b"row\n", b"__exception__", b"\r\n", b"_", TAG.encode()])),
    st.lists(st.integers(0, 60)),
)
def test_any_pieces_give_the_body(parts: list[bytes], ends: list[int]) -> None:
    """Also where the rows hold what looks like the mark, but for the tag that follows it."""
    body = b"".join(parts)
    if f"__exception__\r\n{TAG}\r\n".encode() in body:
        return
    answer = FakeResponse(body, ends)
    assert b"".join(read_answer(answer)) == body
    assert answer.closed


@given(st.binary(max_size=80), st.lists(st.integers(0, 200)), st.booleans())
def test_an_error_in_any_pieces_is_seen(rows: bytes, ends: list[int], breaks: bool) -> None:  # noqa: FBT001  # made by Hypothesis
    """What came before it is yielded, nothing of it is, and the error is the server's."""
    body = rows + broken_off("Code: 241. DB::Exception: too much memory.\nStack")
    answer, read = FakeResponse(body, ends, breaks=breaks), list[bytes]()
    with pytest.raises(RetryableError, match=r"^Code: 241. DB::Exception: too much memory\.$"):
        read.extend(read_answer(answer))
    assert b"".join(read) == rows + b"\r\n"
    assert answer.closed


@pytest.mark.services
@pytest.mark.parametrize("form", ["JSONCompactEachRow", "CSVWithNames", "TabSeparated"])
def test_a_stream_is_the_whole_answer(connection: ClickHouse, form: str) -> None:
    """With or without a header, over several blocks, with bound parameters."""
    sql = "SELECT number, {text:String} AS text FROM numbers({rows:UInt32}) ORDER BY number"
    parameters = {"text": "it's\t{a}", "rows": 300_000}
    streamed = b"".join(connection.stream(sql, parameters, {}, form))
    whole = connection._client.raw_query(sql, parameters=parameters, fmt=form)
    assert streamed == whole
    assert streamed.count(b"\n") == 300_000 + (form == "CSVWithNames")


@pytest.mark.services
def test_a_streamed_parquet_file_is_one(connection: ClickHouse, tmp_path: Path) -> None:
    """With one footer for all rows, and readable by others."""
    path = tmp_path / "numbers.parquet"
    path.write_bytes(
        b"".join(connection.stream("SELECT number FROM numbers(300000)", {}, {}, "Parquet"))
    )
    numbers = pyarrow.parquet.read_table(path).column("number")
    assert sorted(numbers.to_pylist()) == list(range(300_000))


@pytest.mark.services
@pytest.mark.parametrize("form", ["JSONCompactEachRow", "CSV"])
def test_a_query_that_fails_half_way_is_an_error(connection: ClickHouse, form: str) -> None:
    """After a part of the rows; the connection serves the next query."""
    sql = "SELECT throwIf(number = 1500000) AS x, repeat('y', 10) AS y FROM numbers(2000000)"
    pieces = connection.stream(sql, {}, {"max_block_size": 10_000}, form)
    assert b"yyyyyyyyyy" in next(pieces)
    with pytest.raises(RetryableError, match=r"Code: 395.*'throwIf'"):
        deque(pieces)
    assert connection.select("SELECT 1") == ((1,),)


@pytest.mark.services
def test_a_query_that_cannot_begin_is_an_error(connection: ClickHouse) -> None:
    """With the server's own words, before anything is yielded."""
    for form in ("CSV", "Parquet"):
        with pytest.raises(RetryableError, match="UNKNOWN_TABLE"):
            next(connection.stream("SELECT * FROM nothing_here", {}, {}, form))


@pytest.mark.services
def test_a_reader_may_stop_early(connection: ClickHouse) -> None:
    """What was not read is not made either, and the next query is answered."""
    pieces = connection.stream("SELECT number FROM system.numbers", {}, {}, "CSV")
    assert next(pieces).startswith(b"0\n1\n")
    pieces.close()
    assert connection.select("SELECT 1") == ((1,),)


@pytest.mark.services
def test_a_server_that_stops_half_way_is_an_error(tmp_path: Path) -> None:
    """A part of the answer is no answer, though no error could be written into it."""
    with ClickHouseNode(tmp_path) as node:
        one = ClickHouse(ClickHouseAddress(node.host, node.port))
        pieces = one.stream("SELECT repeat('x', 1000) FROM system.numbers", {}, {}, "CSV")
        assert next(pieces).startswith(b'"xxx')
        node.kill()
        with pytest.raises(RetryableError, match="ClickHouse broke off in the middle"):
            deque(pieces)
        one.close()
