"""Routes for whoever runs the gateway: is it alive, can it publish, what does it count.

`/healthz` is the process's health: restart it when that fails. `/readyz` is Kafka's, as seen from here:
send it no requests while that fails.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from afterword.gateway.answers import RETRY_AFTER_S, json_response
from afterword.gateway.metrics import CONTENT_TYPE
from afterword.gateway.openapi import openapi
from afterword.gateway.service import gateway_of


async def healthz(_: Request) -> Response:
    """Answer, as long as the process can."""
    return json_response(200, {"status": "ok"})


async def readyz(request: Request) -> Response:
    """Tell whether events can be published now."""
    fault = await gateway_of(request).readiness.fault()
    if fault is None:
        return json_response(200, {"status": "ok"})
    body = {"status": "unavailable", "detail": fault}
    return json_response(503, body, {"retry-after": str(RETRY_AFTER_S)})


async def metrics(request: Request) -> Response:
    """Return the counters in Prometheus' text format."""
    return Response(gateway_of(request).metrics.exposition(), media_type=CONTENT_TYPE)


async def openapi_document(_: Request) -> Response:
    """Return the OpenAPI description of all routes."""
    return json_response(200, openapi())


ROUTES: Final = [
    Route("/healthz", healthz, methods=["GET"]),
    Route("/readyz", readyz, methods=["GET"]),
    Route("/metrics", metrics, methods=["GET"]),
    Route("/openapi.json", openapi_document, methods=["GET"]),
]
