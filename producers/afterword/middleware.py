"""Middleware that gives each request of an app a trace id, which feedback then is about.

    app = TraceMiddleware(app)                          # ASGI: Starlette, FastAPI, Litestar, Django…
    app.wsgi_app = WsgiTraceMiddleware(app.wsgi_app)    # WSGI: Flask, Django, Bottle…

    client.rate(up=True, user="u-19")                   # in a request: about its trace

The id is the caller's (`x-trace-id`, `x-portkey-trace-id`, or that of its `traceparent`) or a new one, and
every answer names it in `x-trace-id`. A caller's id is echoed only if it is visible ASCII, and no longer
than an event may hold: nothing else gets into a header.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, Final

from afterword._trace import READ_HEADERS, TRACE_HEADER, Trace, bound, read_trace

if TYPE_CHECKING:  # it exists for type checkers only
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["TraceMiddleware", "WsgiTraceMiddleware"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Message, Receive, Send], Awaitable[None]]

_ANSWERED: Final = "afterword.trace_id"
"""Where a request says that a middleware further out looks after it."""

_BEGINS: Final = {"http.response.start", "websocket.accept", "websocket.http.response.start"}


class TraceMiddleware:
    """For ASGI apps: HTTP, also streamed, and WebSockets, which name their trace where they are accepted.

    Args:
        app: The app within.
    """

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request, or what else a server has to say."""
        if scope["type"] not in {"http", "websocket"} or _ANSWERED in scope:
            await self._app(scope, receive, send)
            return
        trace = read_trace(_asgi_headers(scope))
        scope[_ANSWERED] = trace.trace_id

        async def answer(message: Message) -> None:
            if message["type"] in _BEGINS:
                name = TRACE_HEADER.encode()
                others = [each for each in message.get("headers", ()) if each[0].lower() != name]
                message = {**message, "headers": [*others, (name, trace.trace_id.encode())]}
            await send(message)

        with bound(trace):
            await self._app(scope, receive, answer)


class WsgiTraceMiddleware:
    """For WSGI apps, also those that answer with a generator.

    Args:
        app: The app within.
    """

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Serve one request."""
        if _ANSWERED in environ:
            return self._app(environ, start_response)
        trace = read_trace(_wsgi_headers(environ))
        environ[_ANSWERED] = trace.trace_id

        def answer(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
        ) -> Callable[[bytes], object]:
            others = [each for each in headers if each[0].lower() != TRACE_HEADER]
            return start_response(status, [*others, (TRACE_HEADER, trace.trace_id)], exc_info)

        with bound(trace):
            body = self._app(environ, answer)
            return body if _is_finished(body, environ) else _Body(body, trace)


class _Body:
    """An answer whose code runs while the server reads it, and so is in the trace piece by piece."""

    def __init__(self, body: Iterable[bytes], trace: Trace) -> None:
        self._body, self._trace = body, trace
        self._pieces = iter(body)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with bound(self._trace):
            return next(self._pieces)

    def close(self) -> None:
        """End the answer, as WSGI has it, whether or not it was read to its end."""
        if hasattr(self._body, "close"):
            with bound(self._trace):
                self._body.close()


def _is_finished(body: Iterable[bytes], environ: "WSGIEnvironment") -> bool:
    """Whether no code of the app is left to run; servers know how to send lists and files fast."""
    wrapper = environ.get("wsgi.file_wrapper")
    files = (wrapper,) if isinstance(wrapper, type) else ()
    return isinstance(body, (list, tuple, *files))


def _asgi_headers(scope: Message) -> dict[str, str]:
    """Return a request's headers; one that came more than once is joined, as WSGI has it."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name in READ_HEADERS:
            headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def _wsgi_headers(environ: "WSGIEnvironment") -> dict[str, str]:
    names = {name: "HTTP_" + name.upper().replace("-", "_") for name in READ_HEADERS}
    return {name: environ.get(key, "") for name, key in names.items()}
