"""The connection to ClickHouse: the one module that knows the client library.

    clickhouse = ClickHouse(ClickHouseAddress(host="127.0.0.1", port=8123, database="afterword"))
    clickhouse.query("SELECT {x:UInt8} AS x", {"x": 1})

Every failure comes out as `RetryableError`; `faults` has the words. Nothing of the client library's crosses
this module.
"""

import logging
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

import clickhouse_connect
import urllib3
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3.exceptions import HTTPError, InsecureRequestWarning
from urllib3.util import Timeout

from afterword_consumers.clickhouse.faults import explain_failure
from afterword_consumers.clickhouse.streaming import StreamedResponse, read_answer
from afterword_consumers.query.database import Table

if TYPE_CHECKING:
    from clickhouse_connect.driver.httpclient import HttpClient

logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)

_CONNECT_S: Final = 10
_FIRST_ANSWER_S: Final = 30

_STREAMED: Final = {
    "wait_end_of_query": 0,
    # Else an error may be written as if it were one of the rows.
    "http_write_exception_in_output_format": 0,
}


@dataclass(frozen=True, slots=True)
class ClickHouseAddress:
    """Where a database is, and how to enter it.

    Attributes:
        port: Of the HTTP interface.
        password: Never shown.
        timeout_s: For one request, the server's work included.
        ca_file: Certificates of the authorities that are trusted, in PEM; by default the machine's.
        client_cert_file: Of this client, in PEM. It takes the place of the password where that is empty.
        client_key_file: Its key; None where that is in the same file.
        verify: Whether the server's certificate is looked at. Without, anyone in between can read and
            change what is sent.
    """

    host: str = "127.0.0.1"
    port: int = 8123
    database: str = "default"
    user: str = "default"
    password: str = field(default="", repr=False)
    secure: bool = False
    timeout_s: int = 300
    ca_file: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None
    verify: bool = True

    @property
    def server(self) -> str:
        """The address without the database."""
        return f"{'https' if self.secure else 'http'}://{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.server}/?database={self.database}"


class ClickHouse:
    """A database on a ClickHouse server, connected at first use; safe across threads."""

    def __init__(self, address: ClickHouseAddress) -> None:
        self.address = address
        self._opening = threading.Lock()
        self._opened: Client | None = None

    def command(self, sql: str) -> None:
        """Run a statement that answers nothing."""
        with self._translated():
            self._client.command(sql)

    def select(self, sql: str) -> Sequence[Sequence[object]]:
        """Run a query and return its rows."""
        return self.query(sql).rows

    def query(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Table:
        """Run a query with parameters that the server binds, as in `{name:String}`."""
        with self._translated():
            result = self._client.query(
                sql, parameters=dict(parameters or {}), settings=dict(settings or {})
            )
        return Table(columns=tuple(result.column_names), rows=tuple(map(tuple, result.result_rows)))

    def stream(
        self,
        sql: str,
        parameters: Mapping[str, Any],
        settings: Mapping[str, Any],
        form: str,
    ) -> Generator[bytes, None, None]:
        """Run a query and yield its answer in ClickHouse's own format, piece by piece.

        Args:
            sql: Without a FORMAT clause.
            parameters: What the server binds, as in `{name:String}`.
            settings: For this query alone.
            form: The format, such as `Parquet`. Pieces end anywhere, not at the ends of lines.

        Raises:
            RetryableError: The query failed, perhaps after a part of its answer was yielded.
        """
        with self._translated():
            response = self._client.raw_stream(
                sql,
                parameters=dict(parameters),
                settings=_STREAMED | dict(settings),
                fmt=form,
            )
            yield from read_answer(cast("StreamedResponse", response))

    def stream_lines(
        self, sql: str, settings: Mapping[str, Any] | None = None
    ) -> Generator[bytes, None, None]:
        """Run a query and yield each row as a line of JSONCompactEachRow, while they come.

        Raises:
            RetryableError: The query failed, perhaps after some rows were yielded.
        """
        rest = b""
        with closing(self.stream(sql, {}, settings or {}, "JSONCompactEachRow")) as pieces:
            for piece in pieces:
                *lines, rest = (rest + piece).split(b"\n")
                yield from lines

    def insert_lines(
        self,
        table: str,
        columns: Sequence[str],
        lines: bytes,
        settings: Mapping[str, Any],
        form: str = "JSONCompactEachRow",
    ) -> None:
        """Insert rows that are lines of a text format, each with its newline, in one request."""
        with self._translated():
            self._client.raw_insert(
                table,
                column_names=list(columns),
                insert_block=lines,
                settings=dict(settings),
                fmt=form,
            )

    def close(self) -> None:
        """Close the connections, if any were opened."""
        with self._opening:
            client, self._opened = self._opened, None
        if client is not None:
            client.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (ClickHouseError, HTTPError, OSError) as error:
            raise explain_failure(error, self.address) from error

    @property
    def _client(self) -> Client:
        if self._opened is not None:
            return self._opened
        # Not under the lock, or of threads that ask what hangs each would wait for those before it.
        client = _connect(self.address)
        with self._opening:
            if self._opened is None:
                self._opened = client
                return client
            kept = self._opened
        client.close()
        return kept


def _connect(address: ClickHouseAddress) -> Client:
    """Return a client that has asked the server who it is.

    That question waits less than a request may take: a server that hangs is noticed by it.
    """
    if not address.verify:
        urllib3.disable_warnings(InsecureRequestWarning)  # whoever set it so knows
    first_s = min(_FIRST_ANSWER_S, address.timeout_s)
    client = clickhouse_connect.get_client(
        host=address.host,
        port=address.port,
        database=address.database,
        username=address.user,
        password=address.password,
        secure=address.secure,
        verify=address.verify,
        ca_cert=address.ca_file,
        client_cert=address.client_cert_file,
        client_cert_key=address.client_key_file,
        # A certificate is the login where there is no password; else both are sent.
        tls_mode="strict" if address.password else None,
        connect_timeout=min(_CONNECT_S, address.timeout_s),
        send_receive_timeout=first_s,
        autogenerate_session_id=False,
        query_retries=0,
        compress=False,
    )
    cast("HttpClient", client).timeout = Timeout(
        connect=min(_CONNECT_S, address.timeout_s), read=address.timeout_s
    )
    return client
