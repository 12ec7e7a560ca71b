"""The outermost layer of an app: trace ids, metrics, spare slashes, and connections that are not drained.

Every answer names its trace: the caller's `x-portkey-trace-id` or `x-trace-id`, else a new one. A
request that is answered before its body was read ends its connection: a client could go on sending for
ever.
"""

import re
import secrets
from collections.abc import Mapping
from typing import Final

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from afterword.gateway.http.headers import headers_in
from afterword.gateway.http.metrics import RequestMetrics
from afterword.gateway.http.slashes import serve_spare_slashes

TRACE_HEADERS: Final = ("x-portkey-trace-id", "x-trace-id")

_TRACE_ID: Final = re.compile(r"[!-~]{1,256}")


class RequestMiddleware:
    """ASGI middleware around the whole app, which is `app`."""

    def __init__(self, app: Starlette, metrics: RequestMetrics) -> None:
        serve_spare_slashes(app)
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        asked = headers_in(scope)
        trace_id = _trace_id(asked)
        unread = "transfer-encoding" in asked or asked.get("content-length", "0") != "0"
        status = 500

        async def read() -> Message:
            nonlocal unread
            message = await receive()
            unread = unread and bool(message.get("more_body"))
            return message

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name in TRACE_HEADERS:
                    headers[name] = trace_id
                if unread:
                    headers["connection"] = "close"
            await send(message)

        self._metrics.in_progress.inc()
        try:
            await self.app(scope, read, answer)
        finally:
            self._metrics.in_progress.dec()
            route = getattr(scope.get("endpoint"), "__name__", "none")
            self._metrics.requests.labels(route, status).inc()


def _trace_id(asked: Mapping[str, str]) -> str:
    for name in TRACE_HEADERS:
        given = asked.get(name, "")
        if _TRACE_ID.fullmatch(given):
            return given
    return secrets.token_hex(16)
