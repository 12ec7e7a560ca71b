"""The gateway as an ASGI application.

    app = create_app(transport, keys=KeyFile(path), receipts=…, ready=…)

Whatever serves it decides on sockets; `afterword.gateway.http.server` does so with uvicorn.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from afterword._transport import Transport
from afterword.gateway import feedback
from afterword.gateway.auth.key_file import KeyFile
from afterword.gateway.browser import beacon, script
from afterword.gateway.http.health_routes import operation_routes
from afterword.gateway.http.middleware import RequestMiddleware
from afterword.gateway.http.responses import RequestError
from afterword.gateway.openapi.document import openapi
from afterword.gateway.receipts import Receipts
from afterword.gateway.service import Gateway, GatewayOptions
from afterword.gateway.vendors import honeyhive_routes, otlp_routes


def create_app(
    transport: Transport,
    *,
    keys: KeyFile,
    receipts: Receipts,
    ready: Callable[[], None],
    options: GatewayOptions | None = None,
    collect: Callable[[], None] | None = None,
) -> RequestMiddleware:
    """Return the application; when it shuts down it flushes the transport and closes it.

    Args:
        transport: Carries accepted events.
        keys: Who may do what; where it is not configured, this machine alone is served.
        receipts: Looks up what became of an event.
        ready: Raises `AfterwordError` while events could not be published; called in a thread.
        options: Limits and defaults.
        collect: Called while requests wait, for a transport that reports deliveries only then:
            `KafkaTransport.collect`.
    """
    options = options or GatewayOptions()
    gateway = Gateway(
        transport, keys=keys, receipts=receipts, ready=ready, options=options, collect=collect
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(transport.close, options.delivery_timeout_s)
        gateway.close()

    app = Starlette(
        routes=[
            *feedback.ROUTES,
            *honeyhive_routes.ROUTES,
            *otlp_routes.ROUTES,
            *beacon.ROUTES,
            *script.ROUTES,
            *operation_routes(gateway.readiness, gateway.metrics, openapi),
        ],
        exception_handlers={
            RequestError: _answer_request_error,
            HTTPException: _answer_http_error,
            Exception: _answer_failure,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.gateway = gateway
    return RequestMiddleware(app, gateway.metrics)


def _answer_request_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)  # noqa: S101  # what it is registered for
    return error.response()


def _answer_http_error(request: Request, error: Exception) -> Response:
    """Answer for a route or a method that there is none of."""
    assert isinstance(error, HTTPException)  # noqa: S101  # likewise
    if error.status_code == 405:  # noqa: PLR2004
        allowed = ", ".join(sorted(_methods(request)))
        detail = f"{request.method} is not a method of this address; it takes {allowed}."
        return RequestError(405, "method_not_allowed", detail, {"allow": allowed}).response()
    detail = "There is nothing at this address; see /openapi.json."
    return RequestError(error.status_code, "not_found", detail, error.headers).response()


def _methods(request: Request) -> set[str]:
    """Return the methods of an address, over all its routes; Starlette knows those of the first."""
    path = request.url.path
    routes = (route for route in request.app.routes if isinstance(route, Route))
    return {
        method for route in routes if route.path_regex.match(path) for method in route.methods or ()
    }


def _answer_failure(_: Request, __: Exception) -> Response:
    detail = "A fault of the gateway's own; its log says more. Nothing is known to be accepted."
    return RequestError(500, "internal_error", detail).response()
