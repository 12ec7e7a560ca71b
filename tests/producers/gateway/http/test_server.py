"""The gateway on real sockets, with clients that mean no good: each gets a 4xx or a closed connection.

After each, the next request is served.
"""

import gzip
import json
import socket
import sys
import threading
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from tests.waiting import wait_until

from afterword import ConfigurationError, MemoryTransport
from afterword.gateway import (
    BodyLimits,
    GatewayOptions,
    GatewayServer,
    KeyFile,
    ServerOptions,
    check_reach,
    create_app,
)
from afterword.gateway.http import server
from afterword.gateway.http.bodies import MAX_PARTS
from afterword_schemas.receipt import Receipt, ReceiptStatus

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

THUMB = b'{"trace_id": "tr-1", "value": 1}'


class NoReceipts:
    """Knows nothing."""

    def find(self, _: str, feedback_id: str) -> Receipt:
        """See `Receipts.find`."""
        return Receipt(feedback_id, ReceiptStatus.UNKNOWN)


class Running:
    """A gateway in a thread, and how to speak to it byte by byte."""

    def __init__(self, options: GatewayOptions) -> None:
        self.transport = MemoryTransport()
        app = create_app(
            self.transport,
            keys=KeyFile(Path("no-such-file")),
            receipts=NoReceipts(),
            ready=lambda: None,
            options=options,
        )
        self.server = GatewayServer(app, ServerOptions(host="127.0.0.1", port=0))
        self._thread = threading.Thread(target=self.server.run)
        self._thread.start()
        self.post()  # the socket listens from the start, so this waits until it serves

    def connect(self) -> socket.socket:
        """Open a connection."""
        address = urlsplit(self.server.address)
        return socket.create_connection((address.hostname, address.port), timeout=20)

    def say(self, *pieces: bytes) -> bytes:
        """Send pieces on a connection of their own and return all that comes until it is closed."""
        with self.connect() as connection:
            try:
                for piece in pieces:
                    connection.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it was closed on us, which is an answer too
            return listen(connection)

    def post(self, body: bytes = THUMB) -> int:
        """Send a good request and return the status."""
        request = urllib.request.Request(
            f"{self.server.address}/v1/feedback", body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)

    def stop(self) -> None:
        """Stop it in order."""
        self.server.should_exit = True
        self._thread.join()


def listen(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes."""
    heard = b""
    try:
        while piece := connection.recv(65_536):
            heard += piece
    except ConnectionResetError:
        pass
    return heard


@pytest.fixture(scope="module")
def running(module_mocks: None) -> Iterator[Running]:
    """One gateway with small limits for all tests here."""
    assert module_mocks is None
    gateway = Running(
        GatewayOptions(body=BodyLimits(max_bytes=200_000, timeout_s=0.3), memory_bytes=300_000)
    )
    yield gateway
    assert gateway.post() == 200
    gateway.stop()


@pytest.fixture(scope="module")
def module_mocks() -> Iterator[None]:
    """Let slow clients be found out in tenths of a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "_HEADER_TIMEOUT_S", 0.3)
        yield


def head(*lines: str, body: str = "") -> bytes:
    """Write the head of a request."""
    first = ("POST /v1/feedback HTTP/1.1", "host: 127.0.0.1", "content-type: application/json")
    return "\r\n".join([*first, *lines, "", body]).encode()


def status(answer: bytes) -> int:
    """Return the status of the first answer."""
    return int(answer.split(b" ", 2)[1])


def told(answer: bytes) -> dict[str, Any]:
    """Return the JSON of the first answer."""
    body: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return body


@pytest.mark.parametrize(
    "request_line",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST /v1/feedback HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_http_is_400(running: Running, request_line: bytes) -> None:
    """Bytes that are no request get a clear answer and a closed connection."""
    answer = running.say(request_line)
    assert status(answer) == 400
    assert told(answer)["errors"][0]["code"] == "invalid_http"


@pytest.mark.parametrize(
    "lines",
    [
        ["content-length: 5", "content-length: 6"],
        ["content-length: 5", "content-length: 5"],
        ["content-length: 5, 5"],
        ["content-length: 5", "transfer-encoding: chunked"],
        ["transfer-encoding: chunked", "content-length: 5"],
        ["content-length: -1"],
        ["content-length: +5"],
        ["content-length: 0x5"],
        ["content-length: 1e3"],
        ["content-length: 5 5"],
        ["content-length: 99999999999999999999"],
        ["content-length : 5"],
        ["transfer-encoding : chunked"],
        ["transfer-encoding: chunked", "transfer-encoding: chunked"],
        ["transfer-encoding: chunked, chunked"],
        ["transfer-encoding: chunked, gzip"],
        ["transfer-encoding:"],
        ["x: a\r\n content-length: 5"],
        ["x: a\rcontent-length: 5"],
        ["x: a\0b"],
        ["bad header: x"],
        ["host: elsewhere", "content-length: 5"],
        ["authorization: Bearer a", "authorization: Bearer b", "content-length: 5"],
        ["origin: https://a.example", "origin: https://a.example", "content-length: 5"],
    ],
)
def test_requests_that_can_be_read_two_ways_are_400(running: Running, lines: list[str]) -> None:
    """What a proxy may read otherwise than this server is not guessed at."""
    answer = running.say(head(*lines), b"0\r\n\r\n")
    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1") == 1
    assert b"connection: close" in answer
    assert told(answer)["errors"][0]["code"] == "invalid_http"


def test_chunks_are_not_of_http_1_0(running: Running) -> None:
    """An old proxy passes them on without knowing where they end."""
    request = head("transfer-encoding: chunked").replace(b"HTTP/1.1", b"HTTP/1.0")
    answer = running.say(request + b"%x\r\n%s\r\n0\r\n\r\n" % (len(THUMB), THUMB))
    assert status(answer) == 400
    assert told(answer)["errors"][0]["code"] == "invalid_http"


@pytest.mark.parametrize("coding", ["chunked ", "\tchunked", " \t Chunked  "])
def test_white_space_around_a_transfer_coding_is_none_of_it(running: Running, coding: str) -> None:
    """HTTP says so of every header."""
    request = head(f"transfer-encoding:{coding}", "connection: close")
    answer = running.say(request + b"%x\r\n%s\r\n0\r\n\r\n" % (len(THUMB), THUMB))
    assert status(answer) == 200


@pytest.mark.parametrize("coding", ["gzip", "gzip, chunked", "identity", "xchunked", "chunked;a=b"])
def test_a_transfer_coding_that_is_not_known_is_501(running: Running, coding: str) -> None:
    """The body cannot be read, and the client can be told what to leave out."""
    answer = running.say(head(f"transfer-encoding: {coding}"), b"0\r\n\r\n")
    assert status(answer) == 501
    assert b"connection: close" in answer
    assert told(answer)["errors"][0]["code"] == "unsupported_encoding"


CHUNKED = ("transfer-encoding: chunked",)


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\n{}\r\n0\r\n\r\n",
        b"-2\r\n{}\r\n0\r\n\r\n",
        b"0x2\r\n{}\r\n0\r\n\r\n",
        b"2 \r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}0\r\n\r\n",
        b"2\r\n{}}}\r\n0\r\n\r\n",
        b"\r\n{}\r\n0\r\n\r\n",
        b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_broken_chunks_are_400(running: Running, body: bytes, *, together: bool) -> None:
    """A bad size or a missing end of line is told, before or after the app has begun to read."""
    before = len(running.transport.events)
    pieces = (head(*CHUNKED) + body,) if together else (head(*CHUNKED), body)
    answer = running.say(*pieces)
    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1") == 1
    assert told(answer)["errors"][0]["code"] == "invalid_http"
    assert len(running.transport.events) == before


@pytest.mark.parametrize(
    "broken",
    [b"no request at all\r\n\r\n", head(*CHUNKED) + b"zz\r\n", head("transfer-encoding: gzip")],
)
@pytest.mark.parametrize("half_closed", [False, True])
def test_requests_before_a_broken_one_are_answered_first(
    running: Running, broken: bytes, *, half_closed: bool
) -> None:
    """Of three requests in one packet the third is broken: its answer is the third one."""
    good = head(f"content-length: {len(THUMB)}") + THUMB
    running.transport.hold()
    with running.connect() as connection:
        connection.sendall(good + good + broken)
        if half_closed:
            connection.shutdown(socket.SHUT_WR)
        wait_until(lambda: running.transport._waiting)
        running.say(b"GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n")  # it has seen all of it
        running.transport.release()
        answer = listen(connection)
    first, second, third = (int(line[:3]) for line in answer.split(b"HTTP/1.1 ")[1:])
    assert (first, second) == (200, 200)
    assert third in {400, 501}


def test_a_half_closed_client_gets_its_answers(running: Running) -> None:
    """As `nc -N` and some HTTP/1.0 clients ask: a request, and the end of their side."""
    good = head(f"content-length: {len(THUMB)}") + THUMB
    running.transport.hold()
    with running.connect() as connection:
        connection.sendall(good * 3)
        connection.shutdown(socket.SHUT_WR)
        wait_until(lambda: running.transport._waiting)
        running.say(b"GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n")  # it has seen the end
        running.transport.release()
        heard = listen(connection)
    assert heard.count(b"HTTP/1.1 200") == 3
    assert heard.count(b"connection: close") == 1


@pytest.mark.parametrize("start", [b"POST /v1/feed", head("content-length: 100"), head(*CHUNKED)])
def test_a_half_closed_request_is_400(running: Running, start: bytes) -> None:
    """A client that stops sending within its request is told, and is not waited for."""
    with running.connect() as connection:
        connection.sendall(start)
        connection.shutdown(socket.SHUT_WR)
        answer = listen(connection)
    assert status(answer) == 400
    assert told(answer)["errors"][0]["code"] == "disconnected"


def test_a_half_closed_silence_is_let_go(running: Running) -> None:
    """Who has asked nothing waits for no answer."""
    with running.connect() as connection:
        connection.shutdown(socket.SHUT_WR)
        assert listen(connection) == b""


def test_headers_without_end_are_431(running: Running) -> None:
    """A flood of headers stops at 64 KiB."""
    flood = [f"x-{number}: {'y' * 1000}\r\n".encode() for number in range(200)]
    answer = running.say(b"GET /healthz HTTP/1.1\r\n", *flood)
    assert answer == b"" or status(answer) == 431  # a reset may overtake the answer


def test_a_header_that_never_ends_is_431(running: Running) -> None:
    """One line may be as long as all of them."""
    answer = running.say(b"GET / HTTP/1.1\r\nx: ", *[b"x" * 1000] * 200)
    assert answer == b"" or status(answer) == 431


def test_an_address_without_end_is_414(running: Running) -> None:
    """Its parts would be taken apart, one by one."""
    request = head(f"content-length: {len(THUMB)}") + THUMB
    fits = request.replace(b"/v1/feedback ", b"/v1/feedback?" + b"a&" * 4_000 + b" ")
    answer = running.say(fits.replace(b"\r\n", b"\r\nconnection: close\r\n", 1))
    assert status(answer) == 200
    answer = running.say(request.replace(b"/v1/feedback ", b"/v1/feedback?" + b"a&" * 4_100 + b" "))
    assert status(answer) == 414
    assert told(answer)["errors"][0]["code"] == "uri_too_long"


def test_headers_without_number_are_431(running: Running) -> None:
    """Small ones are as dear as large ones."""
    lines = [f"x-{number}: y" for number in range(252)]
    assert (
        status(running.say(head(*lines, "connection: close", "content-length: 2") + b"{}")) == 422
    )
    assert status(running.say(head(*lines, *lines) + b"{}")) == 431


def test_slow_headers_are_408(running: Running) -> None:
    """A client that does not come to the end of its headers loses its connection."""
    answer = running.say(b"POST /v1/feedback HTTP/1.1\r\nhost: x\r\n")
    assert status(answer) == 408


def test_silence_is_408(running: Running) -> None:
    """So does one that says nothing at all."""
    assert status(running.say()) == 408


def test_empty_lines_are_no_life(running: Running) -> None:
    """Nor do empty lines between two requests keep a connection open."""
    with running.connect() as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        assert status(connection.recv(65_536)) == 200
        connection.sendall(b"\r\n")
        assert status(listen(connection)) == 408


def test_slow_bodies_are_408(running: Running) -> None:
    """A body that does not come is not waited for."""
    answer = running.say(head("content-length: 100", body='{"trace_id"'))
    assert status(answer) == 408
    assert told(answer)["errors"][0]["code"] == "request_timeout"
    assert b"connection: close" in answer.lower()


def test_a_large_body_is_refused_before_it_comes(running: Running) -> None:
    """What is declared as too large is not read."""
    answer = running.say(head("content-length: 1000000000"))
    assert status(answer) == 413
    assert b"connection: close" in answer.lower()


def test_a_body_of_unknown_size_is_cut_off(running: Running) -> None:
    """Chunks are counted as they come."""
    chunk = b"ffff\r\n" + b" " * 0xFFFF + b"\r\n"
    answer = running.say(head("transfer-encoding: chunked"), *[chunk] * 100)
    assert answer == b"" or status(answer) == 413


def bomb(size: int) -> bytes:
    """Pack spaces a thousandfold."""
    packer = zlib.compressobj(9, wbits=31)
    return packer.compress(b" " * size) + packer.flush()


def test_bombs_expand_no_further_than_the_limit(running: Running) -> None:
    """A gigabyte in a megabyte of gzip costs what the limit is."""
    body = bomb(150_000_000)
    assert len(body) < 200_000
    process = psutil.Process()
    before = process.memory_info().rss

    answer = running.say(head(f"content-length: {len(body)}", "content-encoding: gzip"), body)

    assert status(answer) == 413
    assert process.memory_info().rss - before < 20_000_000


def test_bombs_in_bombs_are_not_opened(running: Running) -> None:
    """Two encodings at once are one too many."""
    body = gzip.compress(bomb(1_000_000))
    answer = running.say(head(f"content-length: {len(body)}", "content-encoding: gzip, gzip"), body)
    assert status(answer) == 415


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@pytest.mark.parametrize("body", [b"no such thing", b"\x1f\x8b\x08\x00", b"\x28\xb5\x2f\xfd\x04"])
def test_damaged_encodings_are_400(running: Running, encoding: str, body: bytes) -> None:
    """Bytes that are not what their header says, or end too soon, are told from no JSON."""
    answer = running.say(
        head(f"content-length: {len(body)}", f"content-encoding: {encoding}", "connection: close"),
        body,
    )
    assert status(answer) == 400
    assert told(answer)["errors"][0]["code"] == "damaged_encoding"


@pytest.mark.parametrize(
    ("encoding", "part"),
    [
        ("gzip", gzip.compress(b"", mtime=0)),
        ("gzip", gzip.compress(b" ", mtime=0)),
        ("zstd", zstd.compress(b"")),
        ("zstd", zstd.compress(b" ")),
        ("zstd", b"\x50\x2a\x4d\x18\0\0\0\0"),  # a frame to be skipped
    ],
)
def test_parts_that_hold_nothing_are_counted(running: Running, encoding: str, part: bytes) -> None:
    """Each costs what thousands of bytes do, for as long as somebody sends them."""
    pack = gzip.compress if encoding == "gzip" else zstd.compress
    lines = ("connection: close", f"content-encoding: {encoding}")
    most, too_many = (
        running.say(head(*lines, f"content-length: {len(body)}") + body)
        for body in (part * spare + pack(THUMB) for spare in (MAX_PARTS - 1, MAX_PARTS))
    )
    assert status(most) == 200
    assert status(too_many) == 413
    assert told(too_many)["errors"][0]["code"] == "too_large"


def test_memory_for_bodies_is_bounded(running: Running) -> None:
    """Two large bodies at a time do not both fit; the second is told to come again."""
    large = b'{"trace_id": "tr-1", "value": 1, "feedback": {"a": "' + b"x" * 160_000
    first = running.connect()
    first.sendall(head("content-length: 170000") + large)
    answers = [running.say(head("content-length: 170000") + large) for _ in range(3)]
    first.close()

    # The one that waits for the rest of its body holds the memory until it is too slow.
    assert {status(answer) for answer in answers} <= {408, 503}
    assert 503 in {status(answer) for answer in answers}
    assert running.post() == 200


def test_pipelined_requests_are_answered_in_order(running: Running) -> None:
    """Two requests in one packet get two answers."""
    request = head(f"content-length: {len(THUMB)}").decode() + THUMB.decode()
    last = head("connection: close", f"content-length: {len(THUMB)}").decode() + THUMB.decode()
    answer = running.say(request.encode(), last.encode())
    assert answer.count(b"HTTP/1.1 200") == 2


UPGRADE = ("connection: Upgrade, HTTP2-Settings", "upgrade: h2c", "http2-settings: AAEA")


@pytest.mark.parametrize("pieces", [1, 2, 40])
def test_an_upgrade_is_ignored_and_its_body_is_not(running: Running, pieces: int) -> None:
    """As Java's client asks for one: the request is served as it is, and so is the next."""
    whole = head(*UPGRADE, f"content-length: {len(THUMB)}") + THUMB
    size = -(-len(whole) // pieces)
    before = len(running.transport.events)
    last = head("connection: close", f"content-length: {len(THUMB)}") + THUMB

    answer = running.say(*(whole[at : at + size] for at in range(0, len(whole), size)), last)

    assert answer.count(b"HTTP/1.1 200") == 2
    assert len(running.transport.events) == before + 2


def test_a_body_behind_an_upgrade_is_no_request(running: Running) -> None:
    """What looks like a request in it is read as the body that it is."""
    hidden = b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
    request = head(*UPGRADE, "connection: close", f"content-length: {len(hidden)}")
    answer = running.say(request, hidden)
    assert answer.count(b"HTTP/1.1") == 1
    assert status(answer) == 400


def test_a_tunnel_is_refused(running: Running) -> None:
    """There is nothing to connect to."""
    assert status(running.say(b"CONNECT x:1 HTTP/1.1\r\nhost: x:1\r\n\r\n")) == 400


@pytest.mark.parametrize("trailer", [b"a: b\r\n" * 200, b"x" * 1_200])
def test_trailers_without_end_are_431(running: Running, trailer: bytes) -> None:
    """What follows the last chunk is as bounded as what precedes the first, in one line or many."""
    start = head("transfer-encoding: chunked") + b"2\r\n{}\r\n0\r\na: "
    answer = running.say(start, *[trailer] * 2_000)
    assert answer == b"" or status(answer) in {422, 431}


def test_chunks_of_one_byte_are_read(running: Running) -> None:
    """A body may come as slowly as its time allows."""
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in THUMB) + b"0\r\n\r\n"
    answer = running.say(head("transfer-encoding: chunked", "connection: close"), chunks)
    assert status(answer) == 200


@pytest.mark.parametrize("target", ["//v1/feedback/", "http://gateway.example.com//v1/feedback/"])
def test_spare_slashes_are_passed_over(running: Running, target: str) -> None:
    """Nor is the start of a path read as a host."""
    request = head("connection: close", f"content-length: {len(THUMB)}") + THUMB
    answer = running.say(request.replace(b" /v1/feedback ", f" {target} ".encode()))
    assert status(answer) == 200


def test_an_answer_without_the_body_ends_the_connection(running: Running) -> None:
    """Who is refused before the body was read cannot go on sending it for ever."""
    answer = running.say(
        b"POST /no-such-place HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000000\r\n\r\n"
    )
    assert status(answer) == 404
    assert b"connection: close" in answer.lower()


def test_a_connection_serves_request_after_request(running: Running) -> None:
    """Keep-alive holds through refusals of what was read."""
    with running.connect() as connection:
        for body, expected in ((THUMB, 200), (b"{", 400), (THUMB, 200)):
            connection.sendall(head(f"content-length: {len(body)}") + body)
            assert status(connection.recv(65_536)) == expected


def test_a_taken_port_says_what_to_set(running: Running) -> None:
    """Two gateways on one port is a fault of the set-up."""
    port = urlsplit(running.server.address).port or 0
    app = create_app(
        MemoryTransport(),
        keys=KeyFile(Path("no-such-file")),
        receipts=NoReceipts(),
        ready=lambda: None,
    )
    with pytest.raises(ConfigurationError, match="AFTERWORD_GATEWAY_PORT"):
        GatewayServer(app, ServerOptions(host="127.0.0.1", port=port))


@pytest.mark.parametrize(
    ("host", "keys", "allowed"),
    [
        ("127.0.0.1", False, True),
        ("localhost", False, True),
        ("::1", False, True),
        ("0.0.0.0", False, False),
        ("10.0.0.7", False, False),
        ("gateway.example.com", False, False),
        ("0.0.0.0", True, True),
    ],
)
def test_without_keys_it_refuses_to_serve_others(host: str, *, keys: bool, allowed: bool) -> None:
    """A gateway that lets everybody do everything stays on this machine."""
    if allowed:
        check_reach(host, keys_configured=keys)
    else:
        with pytest.raises(ConfigurationError, match="afterword keys create"):
            check_reach(host, keys_configured=keys)


def test_the_gateway_closes_the_transport_when_it_stops() -> None:
    """What was taken is flushed, and nothing is taken afterwards."""
    gateway = Running(GatewayOptions())
    gateway.stop()
    assert gateway.transport._closed
