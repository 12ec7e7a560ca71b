"""What the network does: answers that get lost, connections that end, libraries that fail."""

import random
import socket
import ssl
import threading
from collections import Counter
from typing import Any

import pytest

from afterword import (
    HttpTransport,
    RefusedError,
)


def test_a_lost_answer_makes_no_double(server: Any, reports: Any, reply: Any) -> None:
    """Where events were taken and the answer got lost, the same ids come again; reported once."""
    server.script.append(reply.accept_and_cut)
    ids = {reports.send(), reports.send()}
    reports._transport.flush(20)
    assert Counter(item["feedback_id"] for item in server.accepted).keys() == ids
    assert reports == [None] * 2


def test_a_connection_is_kept(server: Any, reports: Any) -> None:
    """One request after the other goes over the same connection."""
    for _ in range(3):
        reports.send()
        reports._transport.flush(20)
    assert len({each.connection for each in server.received}) == 1


def test_a_connection_that_was_ended_is_replaced(
    server: Any, reports: Any, monkeypatch: pytest.MonkeyPatch, reply: Any
) -> None:
    """A gateway that ends an idle connection costs no failure: the next event finds another."""

    def accept_once(exchange: Any) -> None:
        reply.accept(exchange)
        exchange.cut()

    monkeypatch.setattr("afterword._http_backoff._FIRST_S", 30)
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


def test_a_slow_gateway_is_asked_again(server: Any, gate: Any, collect: Any) -> None:
    """Past `timeout_s` the request is given up and repeated, and its late answer is nobody's."""
    server.script.append(gate)
    transport = HttpTransport(server.url, timeout_s=0.1)
    reports = collect(transport)
    feedback_id = reports.send()
    transport.flush(20)
    gate.opened.set()
    transport.close(20)
    assert reports == [None]
    asked = len(server.received)  # 2, or more on a machine that is as slow itself
    assert asked >= 2
    assert [each.ids for each in server.received] == [[feedback_id]] * asked
    assert len({each.connection for each in server.received}) == asked


def test_an_answer_without_end_is_not_read(server: Any, reports: Any) -> None:
    """Of an answer at most 4 MiB come into memory; beyond, the connection is ended."""

    def flood(exchange: Any) -> None:
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


def test_an_answer_before_the_end_of_the_request_is_heard(collect: Any) -> None:
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
    reports = collect(transport)
    noise = random.Random(7).randbytes(4_000_000).hex()  # what gzip cannot shrink
    reports.send(feedback={"text": noise})
    transport.close(20)
    thread.join()
    listener.close()
    assert [type(each) for each in reports] == [RefusedError]


def test_the_thread_survives_what_it_calls(server: Any, collect: Any) -> None:
    """A fault in a library, here in a TLS context of the user's own, is a failure like any other."""

    class Moody(ssl.SSLContext):
        def wrap_socket(self, *_: object, **__: object) -> Any:
            raise KeyError("its own")

    transport = HttpTransport(
        server.url.replace("http", "https"),
        ssl_context=Moody(ssl.PROTOCOL_TLS_CLIENT),
        message_timeout_s=0.2,
    )
    reports = collect(transport)
    reports.send()
    transport.flush(20)
    assert [str(each) for each in reports] == [
        "not taken within 0.2 s; the gateway is not reached: 'its own'"
    ]
    transport.close(20)
