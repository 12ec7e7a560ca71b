"""What the network does: answers that get lost, connections that end, libraries that fail."""

import random
import socket
import ssl
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.deploy.tls_proxy import TlsProxy, make_certificate
from tests.waiting import wait_until

from afterword import (
    HttpTransport,
    RefusedError,
)
from afterword_schemas.backoff import Backoff


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

    monkeypatch.setattr("afterword._http.retry_schedule._BACKOFF", Backoff(first_s=30))
    server.script.append(accept_once)
    reports.send()
    reports._transport.flush(20)
    assert reports._transport._queue is not None
    wait_until(lambda: not reports._transport._queue._gateway._connection.is_connected)
    reports.send()
    reports._transport.flush(4)  # a failure would cost 5 seconds at least
    assert reports == [None] * 2
    assert len({each.connection for each in server.received}) == 2


def test_a_slow_gateway_is_asked_again(server: Any, held_reply: Any, collect: Any) -> None:
    """Past `timeout_s` the request is given up and repeated, and its late answer is nobody's."""
    server.script.append(held_reply)
    transport = HttpTransport(server.url, timeout_s=0.1)
    reports = collect(transport)
    feedback_id = reports.send()
    transport.flush(20)
    held_reply.opened.set()
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

    class FailingContext(ssl.SSLContext):
        def wrap_socket(self, *_: object, **__: object) -> Any:
            raise KeyError("its own")

    transport = HttpTransport(
        server.url.replace("http", "https"),
        ssl_context=FailingContext(ssl.PROTOCOL_TLS_CLIENT),
        message_timeout_s=0.2,
    )
    reports = collect(transport)
    reports.send()
    transport.flush(20)
    assert [str(each) for each in reports] == [
        "not taken within 0.2 s; the gateway is not reached: 'its own'"
    ]
    transport.close(20)


@pytest.mark.parametrize("sent", [b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n", b""])
def test_an_answer_that_comes_in_drops_is_given_up(server: Any, collect: Any, sent: bytes) -> None:
    """`timeout_s` bounds the whole answer, head and body, not each of its bytes."""

    def drip(exchange: Any) -> None:
        exchange.wfile.write(sent)
        while True:
            exchange.wfile.write(b" ")
            time.sleep(0.01)

    server.script.append(drip)
    transport = HttpTransport(server.url, timeout_s=0.3)
    reports = collect(transport)
    reports.send()
    transport.flush(20)
    transport.close(0)
    assert reports == [None]
    assert len(server.received) == 2


def test_interim_answers_are_skipped(server: Any, reports: Any, reply: Any) -> None:
    """What a proxy says before the answer, as 100 or 103, is not the answer."""

    def hint(exchange: Any) -> None:
        for status in (b"100 Continue", b"103 Early Hints\r\nlink: </x>", b"102 Processing"):
            exchange.wfile.write(b"HTTP/1.1 " + status + b"\r\n\r\n")
        reply.accept(exchange)

    server.script.append(hint)
    for _ in range(2):
        reports.send()
        reports._transport.flush(20)
    assert reports == [None] * 2
    assert len(server.received) == 2


def test_the_reason_says_what_to_look_at(server: Any, collect: Any, tmp_path: Path) -> None:
    """A wrong name, port, scheme or certificate each have their sentence, with host and port."""

    def reason(url: str) -> str:
        transport = HttpTransport(url, timeout_s=0.2)
        reports = collect(transport)
        reports.send()
        wait_until(lambda: transport._queue is not None and transport._queue._schedule.reason)
        transport.close(0)
        return str(reports[0]).removeprefix(
            "closed before the gateway took it; the gateway is not reached: "
        )

    port = server.server_address[1]
    assert reason("http://nowhere.invalid") == "the host name nowhere.invalid is not known"
    assert reason("http://127.0.0.1:1") == (
        "127.0.0.1:1 refuses the connection: does the gateway run there?"
    )
    assert reason(f"https://127.0.0.1:{port}") == (
        f"127.0.0.1:{port} does not speak TLS: is the url http://?"
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert reason(f"http://127.0.0.1:{port}") == (
            f"127.0.0.1:{port} gave no answer within 0.2 s"
        )
    certificate = make_certificate(tmp_path, "here", "IP:127.0.0.1")
    with TlsProxy(certificate, server.server_address[1]) as proxy:
        assert reason(f"https://127.0.0.1:{proxy.port}") == (
            f"the certificate of 127.0.0.1:{proxy.port} is not trusted: self-signed certificate; "
            "HttpTransport(ssl_context=…) takes your own authority"
        )
