"""The JSON API as an ASGI application.

    app = create_api(Api(ClickHouse(address), admit=…, freshness=FreshnessSource(…)))

Whatever serves it decides on sockets, and brings the routes for operations.
"""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from afterword_consumers.api import (
    index,
    known_paths,
    questions,
    rejected,
    status,
    trace_routes,
)
from afterword_consumers.api.errors import ApiError, ErrorCode
from afterword_consumers.api.service import Api, ClientGoneError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pages:
    """What answers at the addresses that are not the API's.

    Attributes:
        routes: Its addresses.
        answer_error: Says in its own form why there is no answer; called with the request.
        options: What its routes find as `request.app.state.page_options`.
        stop: Ends the answers that have no end by themselves; to be called as the server begins to stop.
    """

    routes: Sequence[BaseRoute]
    answer_error: Callable[[Request, ApiError], Response]
    options: object
    stop: Callable[[], None]


def create_api(api: Api, operations: Sequence[Route] = (), pages: Pages | None = None) -> Starlette:
    """Return the application, which closes the API as it ends.

    Args:
        api: What its routes ask.
        operations: Further routes, for whoever runs it.
        pages: What answers at every other address; None answers with errors as the API's.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        api.close()

    own = [
        *questions.ROUTES,
        *known_paths.ROUTES,
        *trace_routes.ROUTES,
        *status.ROUTES,
        *rejected.ROUTES,
        *index.ROUTES,
        *operations,
    ]
    app = Starlette(
        routes=[*own, *(pages.routes if pages else ())],
        exception_handlers={
            ApiError: _answer_error,
            HTTPException: _answer_http_error,
            ClientGoneError: _answer_nobody,
            Exception: _answer_failure,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.api, app.state.pages = api, pages
    app.state.page_options = pages.options if pages else None
    app.state.own_paths = {route.path for route in own}
    return app


def _answer(request: Request, error: ApiError) -> Response:
    """Answer as JSON at the API's addresses, as a page elsewhere."""
    path, state = request.url.path, request.app.state
    is_own = path.startswith("/api/") or path in state.own_paths
    pages: Pages | None = state.pages
    return error.response() if is_own or pages is None else pages.answer_error(request, error)


def _answer_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101  # what it is registered for
    return _answer(request, error)


def _answer_http_error(request: Request, error: Exception) -> Response:
    """Answer for a route or a method that there is none of."""
    assert isinstance(error, HTTPException)  # noqa: S101  # likewise
    if error.status_code == 405:  # noqa: PLR2004
        allowed = ", ".join(sorted((error.headers or {}).get("Allow", "GET, HEAD").split(", ")))
        detail = f"{request.method} is not a method of this address."
        return _answer(
            request,
            ApiError(405, ErrorCode.METHOD_NOT_ALLOWED, detail, "Use GET.", {"allow": allowed}),
        )
    return _answer(
        request,
        ApiError(
            error.status_code, ErrorCode.NOT_FOUND, "There is nothing at this address.", "See /api."
        ),
    )


def _answer_nobody(_: Request, __: Exception) -> Response:
    return Response(status_code=499)  # nginx's number for it; what counts requests sees it


def _answer_failure(request: Request, error: Exception) -> Response:
    _log.error("a fault of the API's own", exc_info=error)
    return _answer(
        request,
        ApiError(
            500,
            ErrorCode.INTERNAL_ERROR,
            "A fault of Afterword's own.",
            "Please report it to the operator, whose log says more.",
        ),
    )
