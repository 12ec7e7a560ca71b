"""Routes for whoever runs a part: is it alive, can it do its work, what does it count.

    routes = operation_routes(readiness, counted, openapi)

`/healthz` is the process's health: restart it when that fails. `/readyz` is that of what stands behind it,
as seen from here: send it no requests while that fails.
"""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from afterword.gateway.http.metrics import CONTENT_TYPE, RequestMetrics
from afterword.gateway.http.readiness import Readiness
from afterword.gateway.http.responses import RETRY_AFTER_S, json_response


def operation_routes(
    readiness: Readiness, counted: RequestMetrics, document: Callable[[], dict[str, Any]]
) -> list[Route]:
    """Return the routes.

    Args:
        readiness: Of what the part cannot work without.
        counted: What it counts.
        document: Makes the OpenAPI description of all its routes.
    """

    async def healthz(_: Request) -> Response:
        """Answer, as long as the process can."""
        return json_response(200, {"status": "ok"})

    async def readyz(_: Request) -> Response:
        """Tell whether the part can do its work now."""
        fault = await readiness.fault()
        if fault is None:
            return json_response(200, {"status": "ok"})
        body = {"status": "unavailable", "detail": fault}
        return json_response(503, body, {"retry-after": str(RETRY_AFTER_S)})

    async def metrics(_: Request) -> Response:
        """Return the counters in Prometheus' text format."""
        return Response(counted.exposition(), media_type=CONTENT_TYPE)

    async def openapi_document(_: Request) -> Response:
        """Return the OpenAPI description of all routes."""
        return json_response(200, document())

    return [
        Route("/healthz", healthz, methods=["GET"]),
        Route("/readyz", readyz, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
        Route("/openapi.json", openapi_document, methods=["GET"]),
    ]
