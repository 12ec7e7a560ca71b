"""JSON as the API answers it: for this reader, now, and never to be kept or taken for a script."""

import json
from collections.abc import Mapping
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
