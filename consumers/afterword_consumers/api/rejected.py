"""`/api/rejected`: what was rejected, and why.

GET /api/rejected?code=unknown_field&payload=true
"""

from base64 import b64encode
from difflib import get_close_matches
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from afterword_consumers.api.errors import ApiError, ErrorCode
from afterword_consumers.api.json_answers import json_answer
from afterword_consumers.api.pages import Page, read_cursor
from afterword_consumers.api.service import api_of
from afterword_consumers.rejected.listing import RejectedPlace, RejectedRow, find_rejected
from afterword_consumers.rfc3339 import rfc3339
from afterword_schemas import RejectCode

_ONE: Final = ("code", "payload", "limit", "cursor")
DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200
MAX_PAYLOADS: Final = 20
"""Messages of one answer that holds payloads: each may be a megabyte."""


async def rejected(request: Request) -> Response:
    """List rejected messages, the newest first."""
    api = api_of(request)
    asked = api.read(request, one=_ONE)
    arguments = asked.arguments
    code = _code(arguments.text("code"))
    with_payload = arguments.flag("payload")
    most = MAX_PAYLOADS if with_payload else MAX_LIMIT
    limit = arguments.count("limit", usual=min(DEFAULT_LIMIT, most), most=most)
    cursor = read_cursor(arguments.text("cursor"), int, str, int, int)
    found = await api.ask(
        request,
        lambda database: find_rejected(
            database,
            project=asked.project,
            code=code,
            limit=limit + 1,
            after=None if cursor is None else RejectedPlace(*cursor),
            with_payload=with_payload,
            budget=database.budget,
        ),
    )
    page = Page.of(found, limit)
    items = [_item(row) for row in page.items]
    return json_answer({"rejected": items, "next": page.next})


ROUTES: Final = [Route("/api/rejected", rejected, methods=["GET"])]


def _code(given: str | None) -> str | None:
    if given is None or given in set(RejectCode):
        return given
    near = get_close_matches(given[:64], RejectCode, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]}? " if near else ""
    raise ApiError(
        400,
        ErrorCode.INVALID_PARAMETER,
        f"There is no code {given!r}.",
        f"{hint}Codes: {', '.join(RejectCode)}.",
    )


def _item(row: RejectedRow) -> dict[str, Any]:
    told = {
        "rejected_at": rfc3339(row.place.rejected_ms),
        "published_at": rfc3339(row.published_ms),
        "replayed_at": None if row.replayed_ms is None else rfc3339(row.replayed_ms),
        "code": row.code,
        "path": row.path,
        "detail": row.detail,
        "topic": row.topic,
        "partition": row.place.partition,
        "offset": row.place.offset,
        "project": row.project or None,
        "feedback_id": row.feedback_id,
    }
    return told if row.payload is None else told | _payload(row.payload)


def _payload(raw: bytes) -> dict[str, str]:
    """Return a payload as text where it is some: it may be any bytes."""
    try:
        return {"payload": raw.decode(), "payload_encoding": "utf-8"}
    except UnicodeDecodeError:
        return {"payload": b64encode(raw).decode(), "payload_encoding": "base64"}
