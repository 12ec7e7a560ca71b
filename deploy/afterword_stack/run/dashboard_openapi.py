"""The OpenAPI 3.1 document of the dashboard: the API's, with the gateway's keys and operations.

dashboard_openapi()["paths"]["/readyz"]
"""

from functools import cache
from typing import Final

from afterword_consumers.api.openapi import openapi
from afterword_consumers.api.openapi_parts import Json, plain

_KEYS: Final = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "portkey": {"type": "apiKey", "in": "header", "name": "x-portkey-api-key"},
}
_OPERATIONS: Final = {
    "/healthz": plain("healthz", "Whether the process lives."),
    "/readyz": plain("readyz", "Whether questions can be answered.", unready="They cannot now."),
    "/metrics": plain("metrics", "Counters for Prometheus.", "text/plain"),
    "/openapi.json": plain("openapi", "This document."),
}


@cache
def dashboard_openapi() -> Json:
    """Return the document; do not change it."""
    of_api = openapi()
    return {
        **of_api,
        "security": [*({name: []} for name in _KEYS), {}],  # none, where there are no keys
        "paths": of_api["paths"] | {path: {"get": get} for path, get in _OPERATIONS.items()},
        "components": {**of_api["components"], "securitySchemes": _KEYS},
    }
