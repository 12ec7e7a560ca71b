"""The pages as an ASGI application, mounted beside the API's routes.

create_api(api, pages=create_dashboard(PageOptions(gateway_url=…)))
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from afterword_consumers.api.errors import ApiError, ErrorCode
from afterword_consumers.api.service import Api, ClientGoneError
from afterword_consumers.dashboard import (
    assets,
    explore,
    overview,
    pipeline,
    rejected,
    sign_in,
    traces,
)
from afterword_consumers.dashboard.frame import render_error

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PageOptions:
    """What the pages tell of the stack around them.

    Attributes:
        gateway_url: Where a first event may be sent to; empty where it is not known.
        bootstrap_servers: Of Kafka, likewise.
        check_key: Called with a request and the key it signs in with; raises `ApiError` for one that may not.
    """

    gateway_url: str = ""
    bootstrap_servers: str = ""
    check_key: Callable[[Request, str], object] = lambda _request, _secret: None


def create_dashboard(api: Api, options: PageOptions) -> Starlette:
    """Return the pages.

    Args:
        api: What they ask.
        options: What they tell of the stack.
    """
    app = Starlette(
        routes=[
            *overview.ROUTES,
            *explore.ROUTES,
            *traces.ROUTES,
            *rejected.ROUTES,
            *pipeline.ROUTES,
            *sign_in.ROUTES,
            *assets.ROUTES,
        ],
        exception_handlers=_HANDLERS,
    )
    app.router.redirect_slashes = False
    app.state.api = api
    app.state.page_options = options
    return app


def _answer_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)  # noqa: S101  # what it is registered for
    return render_error(request, error)


def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # likewise
    if error.status_code == 405:  # noqa: PLR2004
        return render_error(
            request,
            ApiError(405, ErrorCode.METHOD_NOT_ALLOWED, "This page is only read.", "Use GET."),
        )
    return render_error(
        request,
        ApiError(
            error.status_code,
            ErrorCode.NOT_FOUND,
            "There is no page at this address.",
            "The pages stand at the left.",
        ),
    )


def _answer_nobody(_: Request, __: Exception) -> Response:
    return Response(status_code=499)


def _answer_failure(request: Request, error: Exception) -> Response:
    _log.error("a fault of the page's own", exc_info=error)
    return render_error(
        request,
        ApiError(
            500,
            ErrorCode.INTERNAL_ERROR,
            "A fault of Afterword's own.",
            "No feedback is lost by it. The log of the dashboard says more.",
        ),
    )


_HANDLERS: Final = {
    ApiError: _answer_error,
    HTTPException: _answer_http_error,
    ClientGoneError: _answer_nobody,
    Exception: _answer_failure,
}
