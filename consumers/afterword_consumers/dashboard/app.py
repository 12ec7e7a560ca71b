"""The pages, which answer beside the API's routes.

create_api(api, pages=create_pages(PageOptions(gateway_url=…)))
"""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request

from afterword_consumers.api.app import Pages
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
from afterword_consumers.dashboard.live import LiveUpdates


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


def create_pages(options: PageOptions) -> Pages:
    """Return the pages.

    Args:
        options: What they tell of the stack.
    """
    live = LiveUpdates()
    routes = [
        *overview.ROUTES,
        *explore.ROUTES,
        *traces.ROUTES,
        *rejected.ROUTES,
        *pipeline.ROUTES,
        *sign_in.ROUTES,
        *live.routes,
        *assets.ROUTES,
    ]
    return Pages(routes, render_error, options, live.stop)
