"""A gateway that answers as it is told, and a way to send to it and to collect what is reported."""

import gzip
import json
import socket
import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from afterword import DeliveryFailure, HttpTransport

SECRET = "aw_secret_7f3a_not-for-anybody"


@dataclass(frozen=True)
class Received:
    """One request.

    Attributes:
        path: As it was asked for.
        headers: With names in lower case.
        body: Expanded.
        connection: A number for the connection it came on.
        at_s: When, on the monotonic clock.
    """

    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int
    at_s: float

    @property
    def items(self) -> list[dict[str, Any]]:
        """The events in it."""
        return list(json.loads(self.body))

    @property
    def ids(self) -> list[str]:
        """The events' ids."""
        return [item["feedback_id"] for item in self.items]


class Exchange(BaseHTTPRequestHandler):
    """One connection to a `ScriptedGateway`, and the ways in which it can answer."""

    server: "ScriptedGateway"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    received: Received

    def do_POST(self) -> None:
        """Answer as the script says next; accept everything at its end."""
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        connection = self.client_address[1]
        self.received = Received(self.path, headers, body, connection, time.monotonic())
        with self.server.lock:
            self.server.received.append(self.received)
            reply = self.server.script.popleft() if self.server.script else accept
        reply(self)

    def answer(self, status: int, body: object, **headers: str) -> None:
        """Send an answer, JSON unless it is bytes."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def cut(self) -> None:
        """End the connection here and now."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
        """Say nothing."""


Reply = Callable[[Exchange], None]


class ScriptedGateway(ThreadingHTTPServer):
    """A server that answers its requests one by one as it is told, and then accepts everything."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.lock = threading.Lock()
        self.script: deque[Reply] = deque()
        self.received: list[Received] = []
        self.accepted: list[dict[str, Any]] = []
        self.scheme = "http"

    @property
    def url(self) -> str:
        """Its address."""
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that is gone is what half of the tests are about."""


def accept(exchange: Exchange) -> None:
    """Take all events."""
    items = exchange.received.items
    with exchange.server.lock:
        exchange.server.accepted.extend(items)
    ids = [item["feedback_id"] for item in items]
    exchange.answer(200, {"status": "success", "message": "", "feedback_ids": ids})


def refuse(*indexes: int, code: str = "out_of_range", status: int = 207, **headers: str) -> Reply:
    """Take all events but those at the given places."""

    def reply(exchange: Exchange) -> None:
        ids = exchange.received.ids
        with exchange.server.lock:
            exchange.server.accepted.extend(
                item for at, item in enumerate(exchange.received.items) if at not in indexes
            )
        errors = [
            {
                "index": at,
                "feedback_id": ids[at],
                "code": code,
                "path": "$.value",
                "detail": "value must be at most 10",
            }
            for at in indexes
        ]
        body = {"status": "partial", "message": "", "feedback_ids": ids, "errors": errors}
        exchange.answer(status, body, **headers)

    return reply


def say(status: int, body: object = b"<h1>proxy</h1>", **headers: str) -> Reply:
    """Answer thus."""
    return lambda exchange: exchange.answer(status, body, **headers)


def whole(status: int, message: str) -> Reply:
    """Answer as the gateway does to a request that it does not look into."""
    error = {"code": "some_code", "path": "$", "detail": message}
    body = {"status": "failure", "message": message, "feedback_ids": [], "errors": [error]}
    return say(status, body)


def cut(exchange: Exchange) -> None:
    """End the connection without an answer."""
    exchange.cut()


def accept_and_cut(exchange: Exchange) -> None:
    """Take all events, and let the answer get lost."""
    with exchange.server.lock:
        exchange.server.accepted.extend(exchange.received.items)
    exchange.cut()


@pytest.fixture
def reply() -> SimpleNamespace:
    """The ways in which a `ScriptedGateway` can answer, by name."""
    return SimpleNamespace(
        accept=accept,
        refuse=refuse,
        say=say,
        whole=whole,
        cut=cut,
        accept_and_cut=accept_and_cut,
    )


@dataclass(frozen=True)
class HeldReply:
    """A reply that waits until it is opened."""

    reached: threading.Event
    opened: threading.Event

    def __call__(self, exchange: Exchange) -> None:
        """Wait, then accept."""
        self.reached.set()
        self.opened.wait(20)
        accept(exchange)


@pytest.fixture
def held_reply() -> Iterator[HeldReply]:
    """A reply that waits; it is opened at the end of the test at the latest."""
    gate = HeldReply(threading.Event(), threading.Event())
    yield gate
    gate.opened.set()


@pytest.fixture
def server() -> Iterator[ScriptedGateway]:
    """A gateway that does what it is told."""
    with ScriptedGateway() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def transport(server: ScriptedGateway) -> Iterator[HttpTransport]:
    """A transport to `server`, closed at the end."""
    transport = HttpTransport(server.url, SECRET)
    yield transport
    transport.close(0)


class Reports(list[DeliveryFailure | None]):
    """What was reported, by the name that each event was sent under."""

    def __init__(self, transport: HttpTransport) -> None:
        super().__init__()
        self._transport = transport
        self.by_id: dict[str, list[DeliveryFailure | None]] = defaultdict(list)

    def send(self, feedback_id: str | None = None, **fields: object) -> str:
        """Send an event, and return its id."""
        feedback_id = feedback_id or str(uuid.uuid4())
        event = make_event(feedback_id, **fields)

        def report(error: DeliveryFailure | None) -> None:
            self.append(error)
            self.by_id[feedback_id].append(error)

        self._transport.send(feedback_id.encode(), event, [("schema", b"feedback/v1")], report)
        return feedback_id


@pytest.fixture
def collect() -> type[Reports]:
    """What sends to a transport, and collects the reports: `collect(transport)`."""
    return Reports


@pytest.fixture
def reports(transport: HttpTransport) -> Reports:
    """Sends to `transport`, and collects the reports."""
    return Reports(transport)


@pytest.fixture(name="make_event")
def fixture_make_event() -> Callable[..., bytes]:
    """`make_event`, for tests."""
    return make_event


def make_event(feedback_id: str, **fields: object) -> bytes:
    """Return the bytes of an event that leaves no time to be filled in."""
    event = {
        "feedback_id": feedback_id,
        "project": "acme",
        "trace_id": "tr-1",
        "value": 1,
        "created_at": "2026-01-31T09:30:00.125Z",
        "updated_at": "2026-01-31T09:30:00.125Z",
    }
    return json.dumps(event | fields).encode()
