"""The JSON API as an ASGI application.

    app = create_api(Api(ClickHouse(address), admit=…, freshness=FreshnessSource(…)))

Whatever serves it decides on sockets, and brings the routes for operations.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

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


def create_api(
    api: Api, operations: Sequence[Route] = (), pages: Starlette | None = None
) -> Starlette:
    """Return the application, which closes the API as it ends.

    Args:
        api: What its routes ask.
        operations: Further routes, for whoever runs it.
        pages: What answers at every other address.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        api.close()

    app = Starlette(
        routes=[
            *questions.ROUTES,
            *known_paths.ROUTES,
            *trace_routes.ROUTES,
            *status.ROUTES,
            *rejected.ROUTES,
            *index.ROUTES,
            *operations,
            *([] if pages is None else [Route("/api/{rest:path}", _nothing), Mount("/", pages)]),
        ],
        exception_handlers={
            ApiError: _answer_error,
            HTTPException: _answer_http_error,
            ClientGoneError: _answer_nobody,
            Exception: _answer_failure,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.api = api
    return app


async def _nothing(_: Request) -> Response:
    raise HTTPException(404)


def _answer_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101  # what it is registered for
    return error.response()


def _answer_http_error(request: Request, error: Exception) -> Response:
    """Answer for a route or a method that there is none of."""
    assert isinstance(error, HTTPException)  # noqa: S101  # likewise
    if error.status_code == 405:  # noqa: PLR2004
        detail = f"{request.method} is not a method of this address; the API only reads."
        return ApiError(
            405, ErrorCode.METHOD_NOT_ALLOWED, detail, "Use GET.", {"allow": "GET, HEAD"}
        ).response()
    return ApiError(
        error.status_code, ErrorCode.NOT_FOUND, "There is nothing at this address.", "See /api."
    ).response()


def _answer_nobody(_: Request, __: Exception) -> Response:
    return Response(status_code=499)  # nginx's number for it; what counts requests sees it


def _answer_failure(_: Request, error: Exception) -> Response:
    _log.error("a fault of the API's own", exc_info=error)
    return ApiError(
        500,
        ErrorCode.INTERNAL_ERROR,
        "A fault of Afterword's own.",
        "Please report it to the operator, whose log says more.",
    ).response()
