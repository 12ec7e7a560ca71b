"""JSON as the API answers it: for this reader, now, and never to be kept or taken for a script."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from starlette.responses import Response

NOT_KEPT: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
"""Headers of every answer."""


def json_answer(
    body: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a JSON answer."""
    content = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(", ", ": "))
    # Half of a surrogate pair stands in no row, but may stand in a URL that is quoted.
    return Response(
        content.encode(errors="backslashreplace") + b"\n",
        status,
        headers={**NOT_KEPT, **(headers or {})},
        media_type="application/json",
    )


def rfc3339(ms: int) -> str:
    """Return milliseconds since 1970 as a time in UTC.

    >>> rfc3339(1769851800125)
    '2026-01-31T09:30:00.125Z'
    """
    time = datetime.fromtimestamp(ms / 1000, UTC)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
