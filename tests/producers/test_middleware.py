"""`afterword.middleware` under Starlette and wsgiref: each request has its trace, and says so."""

import asyncio
import io
import json
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.types import StartResponse, WSGIEnvironment
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest
import urllib3
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket

from afterword import Client, MemoryTransport, current_trace_id
from afterword.middleware import TraceMiddleware, WsgiTraceMiddleware

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


# ASGI.


async def say_trace(_: Request) -> Response:
    """Answer with the current trace."""
    await asyncio.sleep(0)
    return PlainTextResponse(str(current_trace_id()))


def serve(*routes: Any, **options: Any) -> TestClient:
    """Return a client of an app with these routes, in the middleware."""
    app = Starlette(routes=list(routes), middleware=[Middleware(TraceMiddleware)], **options)
    return TestClient(app, raise_server_exceptions=False)


def test_a_request_has_a_trace_and_names_it() -> None:
    """The caller's id or a new one is the app's current trace, and in the answer's header."""
    http = serve(Route("/", say_trace))
    given = http.get("/", headers={"X-Trace-Id": "tr-1"})
    assert (given.text, given.headers.get_list("x-trace-id")) == ("tr-1", ["tr-1"])
    made = http.get("/")
    assert made.text == made.headers["x-trace-id"]
    assert len(bytes.fromhex(made.text)) == 16
    assert http.get("/").text != made.text
    assert current_trace_id() is None


def test_feedback_in_a_request_is_about_it(client: Client, memory: MemoryTransport) -> None:
    """Event and message have the request's trace id and trace context."""

    def rate(_: Request) -> Response:  # run in a thread, as Starlette does with what is not async
        client.feedback(value=1)
        return Response()

    http = serve(Route("/", rate, methods=["POST"]))
    http.post("/", headers={"traceparent": TRACEPARENT})
    [message] = memory.messages
    assert json.loads(message.value)["trace_id"] == TRACEPARENT[3:35]
    assert dict(message.headers)["traceparent"] == TRACEPARENT.encode()


@pytest.mark.parametrize("given", ["a b", "x" * 257, "tr\tx", "schl\xfcssel", ""])
def test_what_is_no_id_is_not_echoed(given: str) -> None:
    """A new id takes its place, in the app and in the header."""
    headers = {b"x-trace-id": given.encode("latin-1")}
    answer = serve(Route("/", say_trace)).get("/", headers=headers)
    assert len(bytes.fromhex(answer.headers["x-trace-id"])) == 16
    assert answer.text == answer.headers["x-trace-id"]


def test_an_id_that_comes_twice_is_one() -> None:
    """As in WSGI the two are joined, so both middlewares see the same; a doubled context is none."""
    answer = serve(Route("/", say_trace)).get(
        "/", headers=[("x-trace-id", "a"), ("x-trace-id", "b")]
    )
    assert answer.text == answer.headers["x-trace-id"] == "a,b"
    answer = serve(Route("/", say_trace)).get("/", headers=[("traceparent", TRACEPARENT)] * 2)
    assert answer.text != TRACEPARENT[3:35]


def test_the_apps_own_header_gives_way() -> None:
    """An app that passes on somebody else's answer names its own trace all the same."""

    async def pass_on(_: Request) -> Response:
        return Response(headers={"X-Trace-Id": "theirs", "x-other": "1"})

    answer = serve(Route("/", pass_on)).get("/", headers={"x-trace-id": "ours"})
    assert answer.headers.get_list("x-trace-id") == ["ours"]
    assert answer.headers["x-other"] == "1"


@pytest.mark.parametrize("kind", ["async", "threaded"])
def test_a_stream_is_in_its_trace_to_the_end(kind: str) -> None:
    """What an app says piece by piece is said in the request's trace, also in a thread."""

    async def pieces() -> AsyncIterator[str]:
        for _ in range(3):
            await asyncio.sleep(0)
            yield f"{current_trace_id()};"

    def threaded() -> Iterator[str]:
        for _ in range(3):
            yield f"{current_trace_id()};"

    async def stream(_: Request) -> Response:
        return StreamingResponse(pieces() if kind == "async" else threaded())

    answer = serve(Route("/", stream)).get("/", headers={"x-trace-id": "tr-1"})
    assert answer.text == "tr-1;tr-1;tr-1;"
    assert answer.headers["x-trace-id"] == "tr-1"


def test_background_work_is_in_the_trace() -> None:
    """What runs after the answer, and a task that outlives the request, still know its trace."""
    found: list[str | None] = []
    tasks: list[asyncio.Task[None]] = []

    async def note() -> None:
        await asyncio.sleep(0)
        found.append(current_trace_id())

    async def answer(_: Request) -> Response:
        tasks.append(asyncio.create_task(note()))
        return Response(background=BackgroundTask(note))

    with serve(Route("/", answer)) as http:
        http.get("/", headers={"x-trace-id": "tr-1"})
    assert found == ["tr-1", "tr-1"]


def test_requests_at_one_time_do_not_mix() -> None:
    """A hundred requests in one event loop, all under way together, each see their own trace."""

    async def ask_all() -> list[tuple[str, bytes]]:
        under_way = asyncio.Barrier(100)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await under_way.wait()
            await send({"type": "http.response.start", "status": 200})
            await under_way.wait()
            await send({"type": "http.response.body", "body": str(current_trace_id()).encode()})

        async def ask(trace_id: str) -> tuple[str, bytes]:
            sent: list[Any] = []

            async def send(message: Any) -> None:
                sent.append(message)

            scope = {"type": "http", "headers": [(b"x-trace-id", trace_id.encode())]}
            await TraceMiddleware(app)(scope, _nothing_comes, send)
            [(_, named)] = sent[0]["headers"]
            assert named == sent[1]["body"]
            return trace_id, named

        return await asyncio.gather(*(ask(f"tr-{number}") for number in range(100)))

    assert asyncio.run(ask_all()) == [(f"tr-{n}", f"tr-{n}".encode()) for n in range(100)]


def test_an_error_is_answered_under_its_trace() -> None:
    """A request that fails names its trace, is raised on, and leaves nothing behind."""

    async def fail(_: Request) -> Response:
        raise KeyError("the app's own")

    app = TraceMiddleware(Starlette(routes=[Route("/", fail)]))
    answer = TestClient(app, raise_server_exceptions=False).get("/", headers={"x-trace-id": "t"})
    assert (answer.status_code, answer.headers["x-trace-id"]) == (500, "t")
    with pytest.raises(KeyError, match="the app's own"):
        TestClient(app).get("/")
    assert current_trace_id() is None


def test_an_app_within_an_app_shares_the_trace() -> None:
    """Where both have the middleware the outer one decides, and the header is there once."""
    inner = Starlette(routes=[Route("/x", say_trace)], middleware=[Middleware(TraceMiddleware)])
    answer = serve(Mount("/in", inner)).get("/in/x")
    assert answer.headers.get_list("x-trace-id") == [answer.text]


def test_other_middleware_sees_what_the_app_leaves_in_the_scope() -> None:
    """The scope is handed on and not copied, and a middleware that makes tasks changes nothing."""
    seen: list[object] = []

    class Observer(BaseHTTPMiddleware):
        async def dispatch(self, request: Request, call_next: Any) -> Response:
            response: Response = await call_next(request)
            seen.append(request.scope.get("endpoint"))
            return response

    middleware = [Middleware(Observer), Middleware(TraceMiddleware), Middleware(Observer)]
    app = Starlette(routes=[Route("/", say_trace)], middleware=middleware)
    answer = TestClient(app).get("/", headers={"x-trace-id": "tr-1"})
    assert (answer.text, answer.headers["x-trace-id"]) == ("tr-1", "tr-1")
    assert seen == [say_trace, say_trace]


def test_a_websocket_names_its_trace_where_it_is_accepted() -> None:
    """All that is said on it is in the trace, and so is a refusal."""

    async def talk(socket: WebSocket) -> None:
        await socket.accept(headers=[(b"x-other", b"1")])
        await socket.receive_text()
        await socket.send_json(current_trace_id())
        await socket.close()

    async def deny(socket: WebSocket) -> None:
        await socket.send_denial_response(JSONResponse({}, status_code=403))

    http = serve(WebSocketRoute("/", talk), WebSocketRoute("/denied", deny))
    with http.websocket_connect("/", headers={"x-trace-id": "tr-1"}) as socket:
        socket.send_text("?")
        assert socket.receive_json() == "tr-1"
        assert socket.extra_headers == [(b"x-other", b"1"), (b"x-trace-id", b"tr-1")]
    with (
        pytest.raises(WebSocketDenialResponse) as denied,
        http.websocket_connect("/denied", headers={"x-trace-id": "tr-2"}),
    ):
        pass
    assert denied.value.headers["x-trace-id"] == "tr-2"


def test_startup_and_shutdown_pass_through() -> None:
    """What is no request is handed on as it is, in no trace."""
    seen: list[object] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend([scope, receive, send, current_trace_id()])

    asyncio.run(TraceMiddleware(app)({"type": "lifespan"}, _nothing_comes, _nothing_goes))
    assert seen == [{"type": "lifespan"}, _nothing_comes, _nothing_goes, None]


async def _nothing_comes() -> Any:
    raise AssertionError


async def _nothing_goes(_: Any) -> None:
    raise AssertionError


# WSGI.


def ask(app: Any, **environ: str) -> tuple[str, list[tuple[str, str]], bytes]:
    """Ask an app as a server would, in the middleware, and hold both sides to the specification."""
    environ = {"QUERY_STRING": "", **environ}
    setup_testing_defaults(environ)
    started: list[Any] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        started[:] = [status, headers]
        return lambda _: None

    body = validator(WsgiTraceMiddleware(validator(app)))(environ, start_response)
    try:
        said = b"".join(body)
    finally:
        body.close()  # type: ignore[attr-defined]  # the validator's answers have it
    return started[0], started[1], said


def say_trace_in_wsgi(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with the current trace."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(current_trace_id()).encode()]


def test_a_wsgi_request_has_a_trace_and_names_it() -> None:
    """The caller's id or a new one is the app's current trace, and in the answer's header."""
    status, headers, said = ask(say_trace_in_wsgi, HTTP_X_TRACE_ID="tr-1")
    assert (status, said) == ("200 OK", b"tr-1")
    assert headers == [("Content-Type", "text/plain"), ("x-trace-id", "tr-1")]
    _, headers, said = ask(say_trace_in_wsgi, HTTP_TRACEPARENT=TRACEPARENT)
    assert dict(headers)["x-trace-id"] == said.decode() == TRACEPARENT[3:35]
    _, headers, said = ask(say_trace_in_wsgi, HTTP_X_TRACE_ID="x\r\ninjected: 1")
    assert dict(headers)["x-trace-id"] == said.decode()
    assert len(bytes.fromhex(said.decode())) == 16
    assert current_trace_id() is None


def test_a_wsgi_apps_own_header_gives_way() -> None:
    """An app that passes on somebody else's answer names its own trace all the same."""

    def pass_on(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("X-Trace-Id", "theirs"), ("Content-Type", "text/plain")])
        return [b""]

    _, headers, _ = ask(pass_on, HTTP_X_TRACE_ID="ours")
    assert headers == [("Content-Type", "text/plain"), ("x-trace-id", "ours")]


def test_a_generator_is_in_its_trace_to_the_end(client: Client, memory: MemoryTransport) -> None:
    """Each piece, and what runs when the answer is closed, is in the trace; the server's code is not."""
    outside: list[str | None] = []

    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            yield str(current_trace_id()).encode()
            yield str(current_trace_id()).encode()
        finally:
            client.feedback(value=1)

    environ = {"HTTP_X_TRACE_ID": "tr-1"}
    body = iter(WsgiTraceMiddleware(app)(environ, lambda *_: lambda _: None))
    for expected in [b"tr-1", b"tr-1"]:
        assert next(body) == expected
        outside.append(current_trace_id())
    body.close()  # type: ignore[attr-defined]  # as a server does whose client has gone
    assert outside == [None, None]
    assert [event["trace_id"] for event in memory.events] == ["tr-1"]


def test_answers_read_in_turns_do_not_mix() -> None:
    """One thread that reads two streams piece by piece keeps each in its own trace."""

    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        while True:
            yield str(current_trace_id()).encode()

    one, other = (
        iter(WsgiTraceMiddleware(app)({"HTTP_X_TRACE_ID": trace_id}, lambda *_: lambda _: None))
        for trace_id in ("tr-1", "tr-2")
    )
    assert [next(one), next(other), next(one), next(other)] == [b"tr-1", b"tr-2"] * 2


def test_what_servers_send_fast_stays_what_it_is() -> None:
    """A list has its length and a file its wrapper: neither is hidden in an iterator."""
    for given in ([b"a"], (b"a",), FileWrapper(io.BytesIO(b"a"))):
        app = WsgiTraceMiddleware(lambda *_, given=given: given)
        assert app({"wsgi.file_wrapper": FileWrapper}, lambda *_: lambda _: None) is given


def test_a_wsgi_error_leaves_nothing_behind() -> None:
    """An error before or within the answer is raised on, and ends the trace."""

    def fail_late(_: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield b"a"
        raise KeyError("the app's own")

    def fail_at_once(*_: object) -> Iterable[bytes]:
        raise KeyError("the app's own")

    for app in (fail_late, fail_at_once):
        with pytest.raises(KeyError, match="the app's own"):
            ask(app)
        assert current_trace_id() is None


def test_an_error_page_names_the_trace() -> None:
    """A second `start_response` with the error replaces the first, as WSGI has it."""
    with pytest.raises(KeyError) as caught:
        raise KeyError
    exc_info = (caught.type, caught.value, caught.tb)

    def app(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        start_response("500 No", [("Content-Type", "text/plain")], exc_info)
        return [b"no"]

    status, headers, said = ask(app, HTTP_X_TRACE_ID="tr-1")
    assert (status, dict(headers)["x-trace-id"], said) == ("500 No", "tr-1", b"no")


def test_a_wsgi_app_within_an_app_shares_the_trace() -> None:
    """Where both have the middleware the outer one decides, and the header is there once."""
    _, headers, said = ask(WsgiTraceMiddleware(say_trace_in_wsgi))
    assert [value for name, value in headers if name == "x-trace-id"] == [said.decode()]


def test_threads_of_a_server_do_not_mix() -> None:
    """Forty requests in eight threads at one time each see their own trace."""
    under_way = threading.Barrier(8)
    found: list[tuple[str, bytes]] = []

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        under_way.wait(20)
        return [str(current_trace_id()).encode()]

    def serve_some(thread: int) -> None:
        for number in range(5):
            trace_id = f"tr-{thread}-{number}"
            found.append((trace_id, ask(app, HTTP_X_TRACE_ID=trace_id)[2]))

    threads = [threading.Thread(target=serve_some, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    assert all(trace_id.encode() == said for trace_id, said in found)


def test_wsgiref_serves_it() -> None:
    """Over a socket: a list keeps its length, a generator is streamed, both name their trace."""

    def stream(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/list":
            return say_trace_in_wsgi(environ, start_response)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (f"{current_trace_id()};".encode() for _ in range(3))

    class Quiet(WSGIRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name there
            """Say nothing."""

    with make_server("127.0.0.1", 0, WsgiTraceMiddleware(stream), handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        listed = urllib3.request("GET", f"{url}/list", headers={"x-trace-id": "tr-1"})
        streamed = urllib3.request("GET", url, headers={"x-trace-id": "tr-2"})
        server.shutdown()
        thread.join()
    assert (listed.data, listed.headers["content-length"]) == (b"tr-1", "4")
    assert (streamed.data, streamed.headers["x-trace-id"]) == (b"tr-2;tr-2;tr-2;", "tr-2")
