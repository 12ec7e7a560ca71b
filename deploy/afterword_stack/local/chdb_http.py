"""The HTTP side of the chDB server: connections, credentials, headers, errors.

    ChdbServer(("127.0.0.1", 8123), engine, Credentials("default", "")).serve_forever()

A request is read whole before it runs, and its answer is whole before it is sent: the status is always
the truth. Only who asks for it, by `wait_end_of_query=0`, gets the answer as it is made: an error on
the way then ends it, as a server of version 25.11 or later writes it.
"""

import contextlib
import hmac
import itertools
import json
import secrets
import socket
import sys
import threading
import uuid
from base64 import b64decode
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO, Final, cast
from urllib.parse import parse_qs

from afterword_schemas.errors import SetupError
from afterword_stack.local.chdb_engine import Answer, ChdbEngine
from afterword_stack.local.clickhouse_error import (
    ACCESS_DENIED,
    AUTHENTICATION_FAILED,
    ClickHouseError,
    broken_off,
)
from afterword_stack.local.clickhouse_request import Request, parse_request
from afterword_stack.local.http_body import IncompleteBodyError, read_body

_DRAIN_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """The one user that may log in."""

    user: str
    password: str

    def match(self, user: str, password: str) -> bool:
        """Compare without telling by the time it takes how much was right."""
        given, wanted = f"{user}\0{password}".encode(), f"{self.user}\0{self.password}".encode()
        return hmac.compare_digest(given, wanted)


class ChdbServer(ThreadingHTTPServer):
    """Serves one engine; a thread a connection.

    Args:
        address: Host and port.
        engine: The engine.
        credentials: Who may use it.

    Raises:
        SetupError: The address is in use.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(
        self, address: tuple[str, int], engine: ChdbEngine, credentials: Credentials
    ) -> None:
        self.engine, self.credentials = engine, credentials
        self._connections: set[socket.socket] = set()
        self._changed = threading.Condition()
        try:
            super().__init__(address, _Connection)
        except OSError as error:
            raise SetupError(
                f"Cannot listen on {address[0]}:{address[1]}: {error.strerror}.",
                "Choose another port.",
            ) from error

    def drain(self) -> bool:
        """Let running requests end and idle connections go; return whether all did in time."""
        self.shutdown()
        with self._changed:
            for connection in self._connections:
                # Nothing more is read: an idle connection sees its end, a busy one still answers.
                with contextlib.suppress(OSError):  # it has gone already
                    connection.shutdown(socket.SHUT_RD)
            return self._changed.wait_for(lambda: not self._connections, _DRAIN_S)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Count the connection before its thread starts."""
        with self._changed:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Count the connection out."""
        super().shutdown_request(request)
        with self._changed:
            self._connections.discard(request)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up; the rest is worth a trace."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Connection(BaseHTTPRequestHandler):
    """One client's connection, request after request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rbufsize = 1 << 17
    wbufsize = -1
    server: ChdbServer

    def do_GET(self) -> None:
        self._serve(read_only=True)

    def do_POST(self) -> None:
        self._serve(read_only=False)

    def version_string(self) -> str:
        """Return what the `Server` header says."""
        return "ClickHouse-chDB"

    def log_message(self, *_: object) -> None:
        """Keep the log for what goes wrong."""

    def _serve(self, *, read_only: bool) -> None:
        path, _, url_query = self.path.partition("?")
        try:
            # The body first, whatever comes of it: the next request begins behind it.
            body = read_body(self.headers, cast("BinaryIO", self.rfile))
            if path == "/ping" or (path == "/" and not url_query and not body):
                self._send(HTTPStatus.OK, b"Ok.\n", {})
                return
            if path != "/":
                self._send(HTTPStatus.NOT_FOUND, b"There is nothing here but / and /ping.\n", {})
                return
            self._authorize(url_query)
            form_type = self.headers.get("Content-Type", "")
            request = parse_request(url_query, body, form_type=form_type, read_only=read_only)
            if request.streamed:
                self._stream(request)
                return
            answer = self.server.engine.run(request)
        except ClickHouseError as error:
            self._send_error(error)
        else:
            self._send(HTTPStatus.OK, answer.body, self._describe(request, answer))

    def _stream(self, request: Request) -> None:
        with contextlib.closing(self.server.engine.stream(request)) as pieces:
            first = next(pieces, b"")  # an error before it has a status of its own
            tag = secrets.token_hex(8)
            self._send_head(
                HTTPStatus.OK,
                {
                    "Transfer-Encoding": "chunked",
                    "X-ClickHouse-Format": request.output_format,
                    "X-ClickHouse-Query-Id": request.query_id or str(uuid.uuid4()),
                    "X-ClickHouse-Exception-Tag": tag,
                },
            )
            try:
                for piece in itertools.chain([first], pieces):
                    self._send_chunk(piece)
            except ClickHouseError as error:
                self._send_chunk(broken_off(error.text, tag))
                # Without a last chunk: who does not look for the tag sees an incomplete answer.
                self.close_connection = True
            else:
                self.wfile.write(b"0\r\n\r\n")

    def _send_chunk(self, data: bytes) -> None:
        if data:  # an empty chunk is the last one
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _authorize(self, url_query: str) -> None:
        # A web page must not reach the database through its visitor's browser.
        if "Origin" in self.headers:
            raise ClickHouseError.of(ACCESS_DENIED, "ACCESS_DENIED", "Not for web pages")
        user, password = self._credentials(url_query)
        if not self.server.credentials.match(user, password):
            raise ClickHouseError.of(
                AUTHENTICATION_FAILED,
                "AUTHENTICATION_FAILED",
                "Authentication failed: password is incorrect, or there is no such user",
            )

    def _credentials(self, url_query: str) -> tuple[str, str]:
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            with contextlib.suppress(ValueError):
                user, _, password = b64decode(value, validate=True).decode().partition(":")
                return user, password
            return "", ""
        fields = parse_qs(url_query)
        user = self.headers.get("X-ClickHouse-User") or fields.get("user", ["default"])[0]
        return user, self.headers.get("X-ClickHouse-Key") or fields.get("password", [""])[0]

    def _describe(self, request: Request, answer: Answer) -> dict[str, str]:
        summary = {
            "read_rows": answer.read_rows,
            "read_bytes": answer.read_bytes,
            "written_rows": answer.written_rows,
            "written_bytes": answer.written_bytes,
            "total_rows_to_read": answer.read_rows,
            "result_rows": answer.written_rows,
            "result_bytes": len(answer.body),
            "elapsed_ns": int(answer.elapsed_s * 1e9),
        }
        return {
            "X-ClickHouse-Format": request.output_format,
            "X-ClickHouse-Query-Id": request.query_id or str(uuid.uuid4()),
            "X-ClickHouse-Summary": json.dumps({name: str(n) for name, n in summary.items()}),
        }

    def _send_error(self, error: ClickHouseError) -> None:
        if isinstance(error, IncompleteBodyError):
            self.close_connection = True
        text = error.text if " (version " in error.text else f"{error.text} {self._version()}"
        headers = {"X-ClickHouse-Exception-Code": str(error.code)}
        self._send(error.status, f"{text}\n".encode(errors="surrogateescape"), headers)

    def _version(self) -> str:
        return f"(version {self.server.engine.version} (official build))"

    def _send(self, status: HTTPStatus, body: bytes, headers: dict[str, str]) -> None:
        self._send_head(status, {"Content-Length": str(len(body))} | headers)
        self.wfile.write(body)

    def _send_head(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        self.send_response(status)
        fixed = {
            "Content-Type": "text/plain; charset=UTF-8",
            "X-ClickHouse-Server-Display-Name": "afterword-local",
            "X-ClickHouse-Timezone": self.server.engine.timezone,
        }
        if self.close_connection:
            fixed["Connection"] = "close"
        for name, value in (fixed | headers).items():
            self.send_header(name, value)
        self.end_headers()
