"""Put the dashboard together: the API on ClickHouse, with the gateway's keys, server and operations.

serve_dashboard(load_settings())       # until SIGTERM
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from math import ceil

from starlette.requests import Request
from starlette.responses import Response

from afterword.gateway import (
    GatewayServer,
    KeyFile,
    RateLimiter,
    Readiness,
    RequestError,
    RequestMetrics,
    RequestMiddleware,
    Scope,
    ServerOptions,
    admit,
    admit_key,
    check_reach,
    client_network,
    operation_routes,
    presented_key,
)
from afterword_consumers.api import Api, ApiError, ApiOptions, ErrorCode, create_api
from afterword_consumers.api.reuse import ReusingConnection
from afterword_consumers.clickhouse.client import ClickHouse
from afterword_consumers.dashboard import COOKIE, PageOptions, create_pages
from afterword_schemas import AfterwordError, ConfigurationError, RetryableError
from afterword_stack.run.dashboard_openapi import dashboard_openapi
from afterword_stack.run.database import missing_migrations
from afterword_stack.run.freshness import open_freshness_reader
from afterword_stack.run.serve import serve
from afterword_stack.settings import Settings
from afterword_stack.terminal.console import notice

_PART = "dashboard"
_ANSWER_S = 2
"""What a query may take beyond its time: ClickHouse looks at the clock between two blocks. It is less
than `ApiOptions.silent_s`, which leaves time to end the query."""

_SIGN_INS_PER_MINUTE = 20
"""Keys that one address may try."""

_TABLES_MISSING = ConfigurationError("The tables are missing or old.", "Run `afterword migrate`.")
_LOOK_S = 2
"""What ClickHouse may take for each statement of a look."""


def serve_dashboard(settings: Settings) -> None:
    """Serve in this thread until SIGTERM or SIGINT; requests that are being answered finish first.

    Raises:
        ConfigurationError: As for `open_dashboard`.
    """
    keys = KeyFile(settings.gateway_keys_file)
    with open_dashboard(settings, keys) as server:
        _warn_if_away(settings)
        notice(f"answering from {settings.clickhouse}")
        serve(server, settings.gateway_keys_file, keys)


@contextmanager
def open_dashboard(settings: Settings, keys: KeyFile) -> Iterator[GatewayServer]:
    """Give a server that listens, for its `run`; what is behind it is closed with the block.

    Raises:
        ConfigurationError: The address cannot be had, or needs keys.
    """
    check_reach(
        settings.dashboard_host, keys_configured=keys.configured, part=_PART, scope=Scope.READ
    )
    clickhouse, freshness = _connection(settings), open_freshness_reader(settings)
    api = Api(
        ReusingConnection(clickhouse),
        admit=partial(_admit, keys),
        freshness=freshness,
        options=_options(settings),
    )
    metrics = RequestMetrics(_PART)
    readiness = Readiness(partial(_check_ready, settings))
    pages = create_pages(_page_options(settings, keys))
    app = create_api(api, operation_routes(readiness, metrics, dashboard_openapi), pages)
    try:
        yield GatewayServer(
            RequestMiddleware(app, metrics),
            ServerOptions(
                host=settings.dashboard_host,
                port=settings.dashboard_port,
                part=_PART,
                refusal=_refuse,
                answers_half_closed=False,  # a query whose reader has left ends
                at_shutdown=pages.stop,
            ),
        )
    finally:
        freshness.close()
        clickhouse.close()


def _page_options(settings: Settings, keys: KeyFile) -> PageOptions:
    host = settings.gateway_host
    gateway = f"http://{f'[{host}]' if ':' in host else host}:{settings.gateway_port}"
    limiter = RateLimiter()

    def check_key(request: Request, secret: str) -> None:
        client = request.client.host if request.client else ""
        wait_s = limiter.take(client_network(client), 1, _SIGN_INS_PER_MINUTE)
        if wait_s:
            raise ApiError(
                429,
                ErrorCode.BUSY,
                "Too many keys were tried from this address.",
                f"Try again in {ceil(wait_s)} s.",
                {"retry-after": str(ceil(wait_s))},
            )
        if keys.configured:
            _admit_key(secret, keys)

    return PageOptions(gateway, settings.kafka_bootstrap_servers, check_key)


def _connection(settings: Settings) -> ClickHouse:
    timeout_s = int(settings.dashboard_query_time_s) + _ANSWER_S
    return ClickHouse(replace(settings.clickhouse, timeout_s=timeout_s))


def _options(settings: Settings) -> ApiOptions:
    return ApiOptions(
        budget=settings.dashboard_budget,
        running=settings.dashboard_running_queries,
        waiting=settings.dashboard_waiting_queries,
    )


def _admit(keys: KeyFile, request: Request) -> str | None:
    """Return the project of the key of a request; None without keys, on this machine."""
    if keys.configured:
        return _admit_key(presented_key(request) or request.cookies.get(COOKIE, ""), keys)
    _refuse_other_sites(request)
    try:
        return admit(request, keys, Scope.READ).project
    except RequestError as error:
        raise _translated(error) from error


def _admit_key(secret: str, keys: KeyFile) -> str | None:
    """Return the project of a key that may read."""
    try:
        return admit_key(secret, keys, Scope.READ).project
    except RequestError as error:
        raise _translated(error) from error


def _translated(error: RequestError) -> ApiError:
    """Return what the gateway's refusal is to who asks the dashboard."""
    return ApiError(
        error.status,
        error.code,
        error.detail,
        "afterword keys create --project NAME --scope read makes one.",
        error.headers,
    )


def _refuse_other_sites(request: Request) -> None:
    """Refuse what a page of another site loads as an image or a script, which names no origin."""
    headers = request.headers
    if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") == "no-cors":
        raise ApiError(
            403, ErrorCode.FORBIDDEN, "Another web site asks.", "Open the address itself."
        )


def _refuse(status: int, code: str, detail: str) -> Response:
    return ApiError(status, code, detail).response()


def _lacks_tables(settings: Settings) -> bool:
    return bool(missing_migrations(replace(settings.clickhouse, timeout_s=_LOOK_S)))


def _check_ready(settings: Settings) -> None:
    """Raise where questions cannot be answered, in words that anybody may read."""
    try:
        lacks = _lacks_tables(settings)
    except AfterwordError as error:
        raise RetryableError("ClickHouse is away; its operator runs `afterword doctor`.") from error
    if lacks:
        raise _TABLES_MISSING


def _warn_if_away(settings: Settings) -> None:
    try:
        if _lacks_tables(settings):
            raise _TABLES_MISSING
    except AfterwordError as error:
        notice(f"{error} Until then the dashboard answers 503; see `afterword doctor`.")
