"""`HttpTransport` against a gateway that is slow, wrong, cut off, or not there."""

import gzip
import json
import logging
import random
import socket
import ssl
import subprocess
import threading
import time
import uuid
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from afterword import (
    Client,
    ClosedError,
    Delivery,
    DeliveryError,
    HttpTransport,
    QueueFullError,
    RefusedError,
    StoreError,
)

SECRET = "aw_secret_7f3a_not-for-anybody"
TRACEPARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NOBODY = "http://127.0.0.1:1"
"""An address at which nothing listens."""

V7 = "019c12e9-8b3d-7000-8000-000000000000"


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


@dataclass(frozen=True)
class Gate:
    """A reply that waits until it is opened."""

    reached: threading.Event
    opened: threading.Event

    def __call__(self, exchange: Exchange) -> None:
        """Wait, then accept."""
        self.reached.set()
        self.opened.wait(20)
        accept(exchange)


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A reply that waits; it is opened at the end of the test at the latest."""
    gate = Gate(threading.Event(), threading.Event())
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


class Reports(list[StoreError | None]):
    """What was reported, by the name that each event was sent under."""

    def __init__(self, transport: HttpTransport) -> None:
        super().__init__()
        self._transport = transport
        self.by_id: dict[str, list[StoreError | None]] = defaultdict(list)

    def send(self, feedback_id: str | None = None, **fields: object) -> str:
        """Send an event, and return its id."""
        feedback_id = feedback_id or str(uuid.uuid4())
        event = make_event(feedback_id, **fields)

        def report(error: StoreError | None) -> None:
            self.append(error)
            self.by_id[feedback_id].append(error)

        self._transport.send(feedback_id.encode(), event, [("schema", b"feedback/v1")], report)
        return feedback_id


@pytest.fixture
def reports(transport: HttpTransport) -> Reports:
    """Sends to `transport`, and collects the reports."""
    return Reports(transport)


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


# What goes over the wire.


def test_events_travel_together_as_their_own_bytes(
    server: ScriptedGateway, transport: HttpTransport, gate: Gate
) -> None:
    """What comes while a request is under way goes in the next one, joined and not written anew."""
    server.script.append(gate)
    first, *rest = [str(uuid.uuid4()) for _ in range(4)]
    transport.send(first.encode(), make_event(first), (), lambda _: None)
    assert gate.reached.wait(20)
    events = [make_event(each, weight=1.0).replace(b": ", b" :\n") for each in rest]
    for key, event in zip(rest, events, strict=True):
        transport.send(key.encode(), event, (), lambda _: None)
    gate.opened.set()
    transport.flush(20)
    one, other = server.received
    assert (one.ids, one.path, other.path) == ([first], "/v1/feedback", "/v1/feedback")
    assert other.body == b"[" + b",".join(events) + b"]"
    assert other.headers["content-type"] == "application/json"
    assert other.headers["authorization"] == f"Bearer {SECRET}"


def test_large_requests_are_compressed(server: ScriptedGateway, reports: Reports) -> None:
    """Gzip where it saves a packet, and not below."""
    reports.send()
    reports._transport.flush(20)
    reports.send(feedback={"comment": "too long " * 1000})
    reports._transport.flush(20)
    small, large = server.received
    assert "content-encoding" not in small.headers
    assert large.headers["content-encoding"] == "gzip"
    assert int(large.headers["content-length"]) < 500 < len(large.body)


def test_a_batch_is_bounded(server: ScriptedGateway, reports: Reports, gate: Gate) -> None:
    """At most 500 events, and 1,000,000 bytes unless one alone has more."""
    server.script.append(gate)
    reports.send()
    assert gate.reached.wait(20)
    for _ in range(1100):
        reports.send()
    for _ in range(3):
        reports.send(feedback={"text": "x" * 400_000})
    reports.send(feedback={"text": "x" * 999_000})
    gate.opened.set()
    reports._transport.flush(20)
    assert [len(each.items) for each in server.received] == [1, 500, 500, 102, 1, 1]
    assert [len(each.body) // 100_000 for each in server.received[3:]] == [8, 4, 9]
    assert reports == [None] * 1105


def test_an_address_may_have_a_path(server: ScriptedGateway) -> None:
    """A gateway behind a path prefix is reached, with or without a slash at the end."""
    for prefix in ("/afterword", "/afterword/"):
        transport = HttpTransport(server.url + prefix)
        Reports(transport).send()
        transport.close(20)
    assert [each.path for each in server.received] == ["/afterword/v1/feedback"] * 2
    assert "authorization" not in server.received[0].headers


@pytest.mark.parametrize(
    "value", [b"", b"no JSON", b"[]", b"{}", b"1", b'{"feedback_id":"another"}', b'{"a":"\xff"}']
)
def test_what_is_no_event_is_not_taken(transport: HttpTransport, value: bytes) -> None:
    """One item that the gateway could not read would take the whole request with it."""
    with pytest.raises(StoreError, match="only an event can be sent, under its own id"):
        transport.send(V7.encode(), value, (), lambda _: None)


# What the gateway answers.


def test_a_refused_event_is_reported_for_what_it_is(
    server: ScriptedGateway, reports: Reports, gate: Gate
) -> None:
    """Of three events one is refused: the others are delivered, and none is sent again."""
    server.script.extend([gate, refuse(1)])
    reports.send()
    assert gate.reached.wait(20)
    ids = [reports.send(), reports.send(), reports.send()]
    gate.opened.set()
    reports._transport.flush(20)
    assert [reports.by_id[each][0] is None for each in ids] == [True, False, True]
    [error] = reports.by_id[ids[1]]
    assert isinstance(error, RefusedError)
    assert (error.code, error.path) == ("out_of_range", "$.value")
    assert str(error) == "value must be at most 10 [out_of_range at $.value]"
    assert len(server.received) == 2


def test_what_kafka_did_not_take_is_sent_again(
    server: ScriptedGateway, reports: Reports, gate: Gate
) -> None:
    """Of a 503 only the events that it calls unavailable come again, under the same ids."""
    server.script.extend([gate, refuse(0, 2, code="unavailable", status=503)])
    reports.send()
    assert gate.reached.wait(20)
    ids = [reports.send(), reports.send(), reports.send()]
    gate.opened.set()
    reports._transport.flush(20)
    assert [each.ids for each in server.received[1:]] == [ids, [ids[0], ids[2]]]
    assert reports == [None] * 4


@pytest.mark.parametrize(
    "reply",
    [
        whole(408, "The body took longer than 30 s."),
        whole(429, "Too many requests."),
        whole(503, "Too many large requests at once."),
        say(500),
        say(502),
        say(503, {"feedback_ids": "?"}),
        say(504, b""),
        whole(401, "The key is not known."),
        whole(403, "The key may read; this takes one that may write."),
        say(404),
        say(301, location="http://127.0.0.1:1/"),
        say(307, location="http://127.0.0.1:1/"),
        say(200),
        say(204, b""),
        say(200, {"feedback_ids": []}),
        say(200, {"feedback_ids": [V7]}),
        say(200, {"feedback_ids": None}),
        say(207, {"feedback_ids": [V7], "errors": [{"index": 1, "code": "x"}]}),
        refuse(0, code="unavailable", status=503, retry_after="soon"),
        refuse(0, code="unavailable", status=503, retry_after="9" * 5000),
        say(429, retry_after="Fri, 31 Jan 99999 09:30:00 GMT"),
        cut,
    ],
)
def test_an_answer_that_takes_nothing_loses_nothing(
    server: ScriptedGateway, reports: Reports, reply: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else comes back than that the events were taken or refused, they are sent again."""
    monkeypatch.setattr("afterword._http_post._MAX_RETRY_AFTER_S", 0.1)
    server.script.append(reply)
    feedback_id = reports.send()
    reports._transport.flush(20)
    assert reports == [None]
    assert [each.ids for each in server.received] == [[feedback_id]] * 2


@pytest.mark.parametrize(
    "body",
    [
        {"errors": [{"index": 9, "code": "c", "path": "$", "detail": "d"}]},
        {"errors": [{"index": -1, "code": "c", "path": "$", "detail": "d"}]},
        {"errors": [{"code": "c", "path": "$", "detail": "d"}]},
        {"errors": [3]},
    ],
)
def test_errors_that_name_no_event_refuse_none(
    server: ScriptedGateway, reports: Reports, body: dict[str, object]
) -> None:
    """A refusal is final, so it counts only where it is clear which event it means."""
    server.script.append(
        lambda exchange: exchange.answer(207, {"feedback_ids": exchange.received.ids} | body)
    )
    reports.send()
    reports._transport.flush(20)
    assert reports == [None]
    assert len(server.received) == 2


def test_the_gateway_says_how_long_to_wait(server: ScriptedGateway, reports: Reports) -> None:
    """`Retry-After` goes before the backoff of a few tenths of a second."""
    server.script.append(refuse(0, code="unavailable", status=503, retry_after="1"))
    reports.send()
    reports._transport.flush(20)
    first, second = server.received
    assert second.at_s - first.at_s >= 1


def test_a_request_that_is_too_large_is_split(
    server: ScriptedGateway, reports: Reports, gate: Gate
) -> None:
    """On 413 half as many events are tried at once, down to one; that one is refused for good."""

    def small_only(exchange: Exchange) -> None:
        if len(exchange.received.items) > 2 or "text" in str(exchange.received.body):
            say(413)(exchange)
        else:
            accept(exchange)

    server.script.extend([gate, *[small_only] * 20])
    reports.send()
    assert gate.reached.wait(20)
    ids = [reports.send() for _ in range(7)]
    large = reports.send(feedback={"text": "x"})
    gate.opened.set()
    reports._transport.flush(20)
    assert [reports.by_id[each] for each in ids] == [[None]] * 7
    [error] = reports.by_id[large]
    assert isinstance(error, RefusedError)
    assert str(error) == (
        "something before the gateway takes no event of this size [too_large at $]"
    )
    assert [item["feedback_id"] for item in server.accepted[1:]] == ids


def test_a_wrong_key_is_said_and_can_be_mended(
    server: ScriptedGateway, reports: Reports, caplog: pytest.LogCaptureFixture
) -> None:
    """Events wait while the key is refused, the log says so once, and they arrive once it is known."""
    server.script.extend([whole(401, "The key is not known; see `afterword keys list`.")] * 5)
    reports.send()
    reports._transport.flush(20)
    assert reports == [None]
    said = "the answer was 401: The key is not known; see `afterword keys list`."
    assert caplog.messages == [
        f"Events wait and are sent again: {said}",
        "The gateway takes events again.",
    ]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (whole(401, "The key is not known."), "the answer was 401: The key is not known."),
        (say(404), "the answer was 404: no gateway answers so; see to the url"),
        (say(200), "the answer was 200: no gateway answers so; see to the url"),
        (say(308), "the answer was 308: it redirects; pass the url that it leads to"),
    ],
)
def test_closing_does_not_wait_for_a_person(
    server: ScriptedGateway, reports: Reports, reply: Reply, reason: str
) -> None:
    """Where URL or key are wrong, the end comes after one more try, and says what to do."""
    server.script.extend([reply] * 50)
    for _ in range(3):
        reports.send()
    began = time.monotonic()
    reports._transport.close(20)
    assert time.monotonic() - began < 10
    assert [str(each).startswith(reason) for each in reports] == [True] * 3
    assert not any(isinstance(each, RefusedError) for each in reports)


# What the network does.


def test_a_lost_answer_makes_no_double(server: ScriptedGateway, reports: Reports) -> None:
    """Where events were taken and the answer got lost, the same ids come again; reported once."""
    server.script.append(accept_and_cut)
    ids = {reports.send(), reports.send()}
    reports._transport.flush(20)
    assert Counter(item["feedback_id"] for item in server.accepted).keys() == ids
    assert reports == [None] * 2


def test_a_connection_is_kept(server: ScriptedGateway, reports: Reports) -> None:
    """One request after the other goes over the same connection."""
    for _ in range(3):
        reports.send()
        reports._transport.flush(20)
    assert len({each.connection for each in server.received}) == 1


def test_a_connection_that_was_ended_is_replaced(
    server: ScriptedGateway, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that ends an idle connection costs no failure: the next event finds another."""

    def accept_once(exchange: Exchange) -> None:
        accept(exchange)
        exchange.cut()

    monkeypatch.setattr("afterword._http_line._FIRST_BACKOFF_S", 30)
    server.script.append(accept_once)
    reports.send()
    reports._transport.flush(20)
    assert reports._transport._line is not None
    while reports._transport._line._gateway._connection.is_connected:
        pass
    reports.send()
    reports._transport.flush(4)  # a failure would cost 5 seconds at least
    assert reports == [None] * 2
    assert len({each.connection for each in server.received}) == 2


def test_a_slow_gateway_is_asked_again(server: ScriptedGateway, gate: Gate) -> None:
    """Past `timeout_s` the request is given up and repeated, and its late answer is nobody's."""
    server.script.append(gate)
    transport = HttpTransport(server.url, timeout_s=0.1)
    reports = Reports(transport)
    feedback_id = reports.send()
    transport.flush(20)
    gate.opened.set()
    transport.close(20)
    assert reports == [None]
    assert [each.ids for each in server.received] == [[feedback_id]] * 2
    assert len({each.connection for each in server.received}) == 2


def test_an_answer_without_end_is_not_read(server: ScriptedGateway, reports: Reports) -> None:
    """Of an answer at most 4 MiB come into memory; beyond, the connection is ended."""

    def flood(exchange: Exchange) -> None:
        exchange.send_response(200)
        exchange.send_header("content-length", str(2**40))
        exchange.end_headers()
        while True:
            exchange.wfile.write(b" " * 2**20)

    server.script.append(flood)
    reports.send()
    reports._transport.flush(20)
    assert reports == [None]
    assert len(server.received) == 2


def test_an_answer_before_the_end_of_the_request_is_heard() -> None:
    """A proxy that refuses a large body unread, and ends the connection, is understood."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    def refuse_unread() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 413 no\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

    thread = threading.Thread(target=refuse_unread)
    thread.start()
    transport = HttpTransport(f"http://127.0.0.1:{listener.getsockname()[1]}")
    reports = Reports(transport)
    noise = random.Random(7).randbytes(4_000_000).hex()  # what gzip cannot shrink
    reports.send(feedback={"text": noise})
    transport.close(20)
    thread.join()
    listener.close()
    assert [type(each) for each in reports] == [RefusedError]


def test_the_thread_survives_what_it_calls(server: ScriptedGateway) -> None:
    """A fault in a library, here in a TLS context of the user's own, is a failure like any other."""

    class Moody(ssl.SSLContext):
        def wrap_socket(self, *_: object, **__: object) -> Any:
            raise KeyError("its own")

    transport = HttpTransport(
        server.url.replace("http", "https"),
        ssl_context=Moody(ssl.PROTOCOL_TLS_CLIENT),
        message_timeout_s=0.2,
    )
    reports = Reports(transport)
    reports.send()
    transport.flush(20)
    assert [str(each) for each in reports] == [
        "not taken within 0.2 s; the gateway is not reached: 'its own'"
    ]
    transport.close(20)


def test_sending_never_waits() -> None:
    """With the gateway away a thousand events are taken in far less than one network timeout."""
    transport = HttpTransport(NOBODY)
    reports = Reports(transport)
    began = time.monotonic()
    for _ in range(1000):
        reports.send()
    assert time.monotonic() - began < 1
    transport.close(0)
    assert len(reports) == 1000


def test_closing_reports_what_could_not_be_delivered() -> None:
    """Each event that is given up at the end is reported once, with the reason; it may be sent again."""
    transport = HttpTransport(NOBODY)
    reports = Reports(transport)
    for _ in range(3):
        reports.send()
    began = time.monotonic()
    transport.close(0.3)
    assert time.monotonic() - began < 5
    assert len(reports) == 3
    for error in reports:
        assert str(error).startswith(
            "closed before the gateway took it; the gateway is not reached"
        )
        assert type(error) is StoreError


def test_closing_does_not_wait_for_a_hanging_request(server: ScriptedGateway, gate: Gate) -> None:
    """What is under way is reported failed at the timeout, and no second time when the answer comes."""
    server.script.append(gate)
    transport = HttpTransport(server.url)
    reports = Reports(transport)
    reports.send()
    assert gate.reached.wait(20)
    reports.send()
    thread = transport._line._thread if transport._line else None
    began = time.monotonic()
    transport.close(0.1)
    assert time.monotonic() - began < 5
    assert [str(each) for each in reports] == ["closed before the gateway took it"] * 2
    gate.opened.set()
    assert thread is not None
    thread.join(20)
    assert not thread.is_alive()
    assert len(reports) == 2
    assert len(server.received) == 1


def test_closing_ends_the_thread(server: ScriptedGateway) -> None:
    """A transport that delivered everything leaves no thread behind."""
    transport = HttpTransport(server.url)
    thread = transport._line._thread if transport._line else threading.current_thread()
    Reports(transport).send()
    transport.close(20)
    assert not thread.is_alive()


def test_a_flush_ends_with_the_transport(server: ScriptedGateway, gate: Gate) -> None:
    """Who waits in another thread is let go when what it waits for is given up."""
    server.script.append(gate)
    transport = HttpTransport(server.url)
    reports = Reports(transport)
    reports.send()
    assert gate.reached.wait(20)
    line = transport._line
    assert line is not None
    flushing = threading.Thread(target=transport.flush, args=(60,))
    flushing.start()
    while not line._flushing:
        pass
    began = time.monotonic()
    transport.close(0.1)
    flushing.join()
    assert time.monotonic() - began < 10
    assert len(reports) == 1


def test_closing_tries_at_once_whatever_was_agreed(
    server: ScriptedGateway, reports: Reports
) -> None:
    """A gateway that asked for a minute is asked once more at the end."""
    answered = threading.Event()

    def later(exchange: Exchange) -> None:
        refuse(0, code="unavailable", status=503, retry_after="60")(exchange)
        answered.set()

    server.script.append(later)
    reports.send()
    assert answered.wait(20)
    reports._transport.close(20)
    assert reports == [None]


def test_an_event_that_expires_is_reported(server: ScriptedGateway) -> None:
    """Past `message_timeout_s` the reason names what kept it."""
    server.script.extend([say(502)] * 100)
    transport = HttpTransport(server.url, message_timeout_s=0.2)
    reports = Reports(transport)
    reports.send()
    transport.flush(20)
    said = "something before the gateway does not let requests through now"
    expected = f"not taken within 0.2 s; the answer was 502: {said}"
    assert [str(each) for each in reports] == [expected]
    assert type(reports[0]) is StoreError
    transport.close(0)


def test_an_outage_of_days_ends(server: ScriptedGateway, reports: Reports) -> None:
    """However often it failed, the wait stays bounded and the next try comes."""
    line = reports._transport._line
    assert line is not None
    line._failures = 5000
    line._back_off(type("", (), {"retry_after_s": 0.0, "misdirected": False})())
    assert 5 <= line._not_before_s - time.monotonic() + 0.1 <= 10.1


@pytest.mark.parametrize("limits", [{"max_events": 3}, {"max_bytes": 3 * len(make_event(V7))}])
def test_a_full_queue_refuses_at_once(
    server: ScriptedGateway, gate: Gate, limits: dict[str, Any]
) -> None:
    """Memory is bounded: one event too many raises, those before it stay, and room comes back."""
    server.script.append(gate)
    transport = HttpTransport(server.url, **limits)
    reports = Reports(transport)
    for _ in range(3):
        reports.send()
    with pytest.raises(QueueFullError, match="the queue is full"):
        reports.send()
    gate.opened.set()
    transport.flush(20)
    for _ in range(3):
        reports.send()
    transport.close(20)
    assert reports == [None] * 6


def test_after_closing_nothing_is_taken(transport: HttpTransport, reports: Reports) -> None:
    """An event after the end is refused loudly."""
    transport.close(20)
    with pytest.raises(ClosedError):
        reports.send()


# In which order.


def test_no_event_overtakes_one_of_its_id(
    server: ScriptedGateway, reports: Reports, gate: Gate
) -> None:
    """What is sent again goes before what came later under its id; others need not wait for it."""
    server.script.extend([gate, refuse(0, code="unavailable", status=503)])
    reports.send()
    assert gate.reached.wait(20)
    one, other = str(uuid.uuid4()), str(uuid.uuid4())
    for number, each in enumerate([one, one, other, one, other]):
        reports.send(each, value=number)
    gate.opened.set()
    reports._transport.flush(20)
    sent = [[item["value"] for item in each.items] for each in server.received]
    assert sent == [[1], [0, 2], [0, 4], [1], [3]]
    assert [item["value"] for item in server.accepted] == [1, 2, 0, 4, 1, 3]


def test_order_and_number_hold_in_a_storm(
    server: ScriptedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four threads, forty ids, a gateway that mostly fails: each event is taken, reported once, in turn."""
    monkeypatch.setattr("afterword._http_line._FIRST_BACKOFF_S", 0.001)
    monkeypatch.setattr("afterword._http_line._MAX_BACKOFF_S", 0.005)
    dice = random.Random(7)  # a storm that can be repeated

    def some_unavailable(exchange: Exchange) -> None:
        count = len(exchange.received.items)
        kept = dice.sample(range(count), dice.randint(1, count))
        refuse(*kept, code="unavailable", status=503)(exchange)

    def too_large(exchange: Exchange) -> None:
        (accept if len(exchange.received.items) == 1 else say(413))(exchange)

    replies: list[Reply] = [accept, accept_and_cut, cut, say(500), too_large, whole(429, "")]
    replies += [some_unavailable] * 2
    server.script.extend(dice.choices(replies, k=300))
    transport = HttpTransport(server.url)
    reports = Reports(transport)

    def send(thread: int) -> None:
        ids = [str(uuid.UUID(int=thread * 10 + number)) for number in range(10)]
        for number in range(250):
            reports.send(ids[number % 10], value=1, weight=number / 1000)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    transport.flush(60)
    transport.close(20)
    assert reports == [None] * 1000
    by_id: dict[str, list[float]] = defaultdict(list)
    for item in server.accepted:
        if item["weight"] not in by_id[item["feedback_id"]]:
            by_id[item["feedback_id"]].append(item["weight"])
    assert sum(len(weights) for weights in by_id.values()) == 1000
    assert all(weights == sorted(weights) for weights in by_id.values())


# Through the client.


def test_a_client_sends_to_the_gateway(server: ScriptedGateway) -> None:
    """From the call to the request: the event, with its trace context."""
    with Client(url=server.url, api_key=SECRET, project="acme") as client:
        feedback_id = client.feedback(trace_id="t", value=1, traceparent=TRACEPARENT.decode())
        assert client.flush(20) == 0
        assert (client.stats.sent, client.stats.delivered) == (1, 1)
    [item] = server.received[0].items
    assert item.pop("updated_at")
    assert item == {
        "feedback_id": feedback_id,
        "project": "acme",
        "op": "set",
        "trace_id": "t",
        "value": 1,
        "traceparent": TRACEPARENT.decode(),
    }


def test_a_refusal_reaches_the_callback(server: ScriptedGateway) -> None:
    """`on_delivery` can tell an event that never will be taken from one that may be sent again."""
    heard: list[Delivery] = []
    server.script.append(refuse(0, code="not_allowed", status=422))
    client = Client(url=server.url, project="acme", on_delivery=heard.append)
    feedback_id = client.feedback(trace_id="t", value=1)
    with pytest.raises(DeliveryError, match="not_allowed"):
        client.close()
    [delivery] = heard
    assert delivery.feedback_id == feedback_id
    assert isinstance(delivery.error, RefusedError)


# Keys and addresses.


def test_the_key_shows_nowhere(server: ScriptedGateway, caplog: pytest.LogCaptureFixture) -> None:
    """Not in a repr, a log or an error, even where the other end sends it back."""
    caplog.set_level(logging.DEBUG)
    server.script.extend([whole(401, f"Bearer {SECRET} is not known")] * 50)
    transport = HttpTransport(server.url, SECRET)
    reports = Reports(transport)
    reports.send()
    assert transport._line is not None
    shown = [repr(transport), repr(transport._line), repr(transport._line._gateway._target)]
    transport.close(20)
    assert [str(each) for each in reports] == ["the answer was 401: Bearer * is not known"]
    assert SECRET not in " ".join([*shown, caplog.text, *map(str, reports)])


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody vouches for, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=gateway", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", folder / "key.pem", "-out", folder / "certificate.pem"),
        ],
        check=True,
        capture_output=True,
    )
    return folder


def test_a_certificate_is_verified(server: ScriptedGateway, certificate: Path) -> None:
    """A gateway that nobody vouches for gets no event; `ssl_context` is how to vouch for it."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate / "certificate.pem", certificate / "key.pem")
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.scheme = "https"
    transport = HttpTransport(server.url, SECRET)
    reports = Reports(transport)
    reports.send()
    transport.close(0.5)
    assert "certificate verify failed" in str(reports[0])
    assert server.received == []
    trusting = ssl.create_default_context(cafile=certificate / "certificate.pem")
    transport = HttpTransport(server.url, SECRET, ssl_context=trusting)
    reports = Reports(transport)
    reports.send()
    transport.close(20)
    assert reports == [None]
