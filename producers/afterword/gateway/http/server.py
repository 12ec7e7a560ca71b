"""Serve an app with uvicorn, on sockets that hostile clients cannot hold for ever.

    server = GatewayServer(app, ServerOptions(host="127.0.0.1", port=8080))
    server.run()        # until SIGTERM or SIGINT

uvicorn bounds neither how long a client takes for its headers nor how many it sends; `_Guarded` does. It also
answers what is not valid HTTP, wherever in a request that shows, and clients that close their side once they have
asked. What bounds bodies is `bodies`.
"""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Final, NoReturn

import httptools
import uvicorn
from starlette.responses import Response
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from afterword.gateway.http.responses import RequestError
from afterword_schemas.errors import ConfigurationError

_MAX_URL_BYTES: Final = 8 * 1024
_MAX_HEADERS: Final = 256
_MAX_HEADER_BYTES: Final = 64 * 1024
_MAX_FRAMING_BYTES: Final = 1024 * 1024
_HEADER_TIMEOUT_S: Final = 15.0
_BACKLOG: Final = 2048
_ONCE: Final = frozenset({b"host", b"authorization", b"origin"})
"""What a proxy in front may decide by: of two it may take the one, and the app the other."""


_NOT_HTTP: Final = 400, "invalid_http", "The request is not valid HTTP."
_UNKNOWN_CODING: Final = (
    501,
    "unsupported_encoding",
    "Transfer-Encoding takes chunked and nothing else.",
)

ErrorAnswer = Callable[[int, str, str], Response]
"""Makes the answer to what is no request of the app's: of a status, a code and a sentence."""


def _refuse(status: int, code: str, detail: str) -> Response:
    return RequestError(status, code, detail).response()


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where a server listens, and what it tells whoever breaks HTTP's rules.

    Attributes:
        host: Address or name.
        port: 0 for any that is free.
        trusted_proxies: Addresses, with commas, whose `X-Forwarded-For` names the client; `*` for all.
        keep_alive_s: How long an idle connection stays; longer than a load balancer in front keeps it.
        shutdown_s: How long requests may finish when it stops.
        part: The part of Afterword that is served, as in `AFTERWORD_GATEWAY_PORT`.
        refusal: Makes errors of the shape that the app's have.
        at_shutdown: Called as it begins to stop: what answers without an end must end then.
        answers_half_closed: Whether a client that closes its side after a request gets its answer. A client that
            has left looks the same, so without it the app is told that nobody waits any more.
    """

    host: str
    port: int
    trusted_proxies: str = "127.0.0.1,::1"
    keep_alive_s: int = 75
    shutdown_s: int = 45
    part: str = "gateway"
    refusal: ErrorAnswer = _refuse
    answers_half_closed: bool = True
    at_shutdown: Callable[[], None] = lambda: None


class GatewayServer(uvicorn.Server):
    """A server for one app in one process.

    Args:
        app: Of `create_app`.
        options: Where it listens.

    Raises:
        ConfigurationError: The address cannot be had.
    """

    def __init__(self, app: ASGIApp, options: ServerOptions) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=partial(_Guarded, options=options),  # type: ignore[arg-type]  # is called only
                ws="none",
                lifespan="on",
                access_log=False,
                log_config=None,
                server_header=False,
                backlog=_BACKLOG,
                timeout_keep_alive=options.keep_alive_s,
                timeout_graceful_shutdown=options.shutdown_s,
                proxy_headers=True,
                forwarded_allow_ips=options.trusted_proxies,
            )
        )
        self._socket = _listen(options)
        self._at_shutdown = options.at_shutdown

    @property
    def address(self) -> str:
        """The URL it serves, with the port it got."""
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop in order."""
        self._at_shutdown()
        await super().shutdown(sockets)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal, or until `should_exit` is set."""
        super().run(sockets or [self._socket])


def _listen(options: ServerOptions) -> socket.socket:
    host, port, name = options.host, options.port, f"AFTERWORD_{options.part.upper()}"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"{host}:{port} cannot be listened on: {error.strerror}.",
            f"Set {name}_HOST and {name}_PORT to others.",
        ) from None
    listener.setblocking(False)  # noqa: FBT003  # the socket API
    return listener


class _Guarded(HttpToolsProtocol):
    """uvicorn's HTTP with limits on all that is no body, in bytes and in seconds, and without upgrades.

    An upgrade may be ignored by a server; uvicorn ignores the body that came with it instead.
    """

    def __init__(self, *args: Any, options: ServerOptions, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._options = options
        self._overhead_bytes = 0
        self._body_bytes = 0
        self._in_head = True
        self._in_request = False
        self._fault = _NOT_HTTP
        self._refusal_bytes = b""
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_are_complete()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._overhead_bytes += len(data)
        if not self._is_refused:
            try:
                self._feed(data)
            except httptools.HttpParserError:
                self._refuse(*self._fault)
        if self._is_refused or self.transport.is_closing():
            return
        if self._deadline is None and self._is_idle() and self.timeout_keep_alive_task is None:
            self._expect_headers()  # empty lines before a request begin none, and end the idling
        # The framing of the smallest chunks is five bytes for each of a body.
        framing_bytes = min(5 * self._body_bytes, _MAX_FRAMING_BYTES)
        if self._overhead_bytes > _MAX_HEADER_BYTES + framing_bytes:
            self._refuse(431, "too_large", "Headers or trailers are larger than 64 KiB.")

    def eof_received(self) -> bool:  # type: ignore[override]  # as asyncio has it
        """Return whether the connection stays open, for a client that waits for its answers."""
        if self._in_request and not self._is_refused:
            self._refuse(400, "disconnected", "The connection ended within the request.")
        elif not self._options.answers_half_closed:
            return False
        elif not self._is_idle() and not self._is_refused:
            self.cycle.keep_alive = False  # the last of those that wait
        return not self._is_idle() and not self.transport.is_closing()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._in_request, self._body_bytes = True, True, 0
        self._fault = _NOT_HTTP
        if self._deadline is None:  # the next request of a connection
            self._expect_headers()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > _MAX_URL_BYTES:
            self._raise(
                414, "uri_too_long", f"The address is longer than {_MAX_URL_BYTES:,} bytes."
            )

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # a trailer says nothing here
            super().on_header(name, value)
            if len(self.headers) > _MAX_HEADERS:
                self._raise(431, "too_large", f"There are more than {_MAX_HEADERS} headers.")
            name = self.headers[-1][0]
            if name in _ONCE and any(name == before for before, _ in self.headers[:-1]):
                self._raise(400, "invalid_http", f"The header {name.decode()} came twice.")
            if name == b"transfer-encoding":
                self._check_coding(value.strip(b" \t").lower())

    def _check_coding(self, coding: bytes) -> None:
        if self.parser.get_http_version() == "1.0":
            self._raise(*_NOT_HTTP)
        if coding != b"chunked":
            self._fault = _UNKNOWN_CODING

    def on_headers_complete(self) -> None:
        if self._fault is _UNKNOWN_CODING:
            raise httptools.HttpParserError
        if not self.parser.should_upgrade():
            self._in_head = False
            self._headers_are_complete()
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        self._overhead_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            self._in_request = False
            super().on_message_complete()

    def on_response_complete(self) -> None:
        if self._is_refused and not self.pipeline:
            self._say_refusal()
        else:
            super().on_response_complete()

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            method = self.parser.get_method()
            if method == b"CONNECT":
                raise httptools.HttpParserError from None
            self._feed_without_upgrade(method, data[upgrade.args[0] :])

    def _feed_without_upgrade(self, method: bytes, rest: bytes) -> None:
        """Read the request once more as one that asks for no upgrade, and then its body."""
        head = [method + b" " + self.url + b" HTTP/1.1"]
        for name, value in self.headers:
            if name == b"connection":
                head += [b"connection: close"] if b"close" in value.lower() else []
            elif name not in {b"upgrade", b"http2-settings"}:
                head.append(name + b": " + value)
        self.parser = httptools.HttpRequestParser(self)
        self._feed(b"\r\n".join([*head, b"", b""]) + rest)

    def _expect_headers(self) -> None:
        self._overhead_bytes = 0
        self._deadline = self.loop.call_later(_HEADER_TIMEOUT_S, self._give_up)

    def _headers_are_complete(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            detail = f"The headers took longer than {_HEADER_TIMEOUT_S:g} s."
            self._refuse(408, "request_timeout", detail)

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    @property
    def _is_refused(self) -> bool:
        return bool(self._refusal_bytes)

    def _raise(self, status: int, code: str, detail: str) -> NoReturn:
        """End the parsing of a request for a reason of ours."""
        self._fault = status, code, detail
        raise httptools.HttpParserError

    def _refuse(self, status: int, code: str, detail: str) -> None:
        """Answer what is not a request, after those before it, and read nothing more."""
        self._headers_are_complete()
        body = bytes(self._options.refusal(status, code, detail).body)
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self._refusal_bytes = head.encode() + body
        if self._is_idle():
            self._say_refusal()
        elif self.cycle.more_body:
            self._give_up_cycle()

    def _give_up_cycle(self) -> None:
        """End a request that broke off within its body, whether it waits for its turn or has it."""
        cycle = self.cycle
        cycle.disconnected = True
        cycle.message_event.set()
        if self.pipeline:
            self.pipeline.popleft()  # the newest: its turn has not come
        elif cycle.response_started:
            self.transport.close()
        else:
            self._say_refusal()

    def _say_refusal(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(self._refusal_bytes)
            self.transport.close()
