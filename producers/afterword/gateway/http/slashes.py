"""Serve addresses that have a slash too many, as base URLs that end in one make them.

    serve_spare_slashes(app)    # POST //v1/traces/ is POST /v1/traces

OpenTelemetry's exporters drop the whole batch on a 404.
"""

import re
from typing import Final
from urllib.parse import quote, unquote

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

_SLASHES: Final = re.compile("/+")


def serve_spare_slashes(app: Starlette) -> None:
    """Look an address up once more without its spare slashes, where no route of an app matches it."""
    router = app.router
    otherwise = router.default

    async def retry(scope: Scope, receive: Receive, send: Send) -> None:
        path = _without_spare_slashes(scope)
        if path == scope["path"]:
            await otherwise(scope, receive, send)
        else:
            scope["path"] = path
            await router.app(scope, receive, send)

    router.default = retry


def _without_spare_slashes(scope: Scope) -> str:
    """Return the path of a request; a slash that is written %2F belongs to an id, and stays."""
    raw_path = scope.get("raw_path")  # a server may leave it out
    path = quote(scope["path"]) if raw_path is None else raw_path.decode("latin-1")
    return unquote(_SLASHES.sub("/", path).rstrip("/")) or "/"
