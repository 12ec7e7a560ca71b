"""The routes that HoneyHive's SDK calls once its server URL points here.

    POST /session/start                   the id of a session
    PUT  /events, /v1/events/{event_id}   enrich_session, and enrich_span with an event id
    POST /events, /v1/events              create_event
    POST /events/batch                    events.create_batch

Feedback in them is published, everything else accepted and dropped; spans come to `otlp_routes`. The
project is the key's: HoneyHive's name for its own, in the body, says nothing here.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from afterword.gateway import honeyhive
from afterword.gateway.answers import ItemError, RequestError
from afterword.gateway.honeyhive import Reply
from afterword.gateway.intake import Item, Rules
from afterword.gateway.json_objects import read_object
from afterword.gateway.keys import Scope
from afterword.gateway.service import decode, gateway_of, require_json
from afterword.gateway.vendors import judge_translated
from afterword_schemas.errors import EventError

_Translate = Callable[[Mapping[str, Any], str], Reply]


async def start_session(request: Request) -> Response:
    """Give a session its id."""
    return await _serve(request, honeyhive.start_session)


async def update_event(request: Request) -> Response:
    """Merge into the session or event whose id the body names."""
    return await _serve(request, honeyhive.update_posted)


async def update_named_event(request: Request) -> Response:
    """Merge into the session or event of the address."""

    def update(body: Mapping[str, Any], project: str) -> Reply:
        return honeyhive.update_posted({**body, **request.path_params}, project)

    return await _serve(request, update)


async def create_event(request: Request) -> Response:
    """Give an event its id, and take its feedback."""
    return await _serve(request, honeyhive.create_posted)


async def create_events(request: Request) -> Response:
    """Give events their ids, and take their feedback."""
    return await _serve(request, honeyhive.create_batch)


ROUTES: Final = [
    Route("/session/start", start_session, methods=["POST"]),
    Route("/events", update_event, methods=["PUT"]),
    Route("/v1/events/{event_id}", update_named_event, methods=["PUT"]),
    Route("/events", create_event, methods=["POST"]),
    Route("/v1/events", create_event, methods=["POST"]),
    Route("/events/batch", create_events, methods=["POST"]),
]


async def _serve(request: Request, translate: _Translate) -> Response:
    gateway = gateway_of(request)
    access = gateway.admit(request, Scope.WRITE)
    project, rules = gateway.project(request, access), gateway.rules(request, access)
    async with gateway.reading(request) as raw:
        require_json(request)
        answer, judged = await gateway.work(raw, lambda: _judge(raw, translate, project, rules))
        outcome = await gateway.take(judged)
    return outcome.response(success=not outcome.errors, **answer)


def _judge(
    raw: bytes, translate: _Translate, project: str, rules: Rules
) -> tuple[dict[str, Any], Sequence[Item | ItemError]]:
    body = _object(decode(raw))
    try:
        answer, translated = translate(body, project)
    except EventError as error:
        answer, translated = {}, [error]
    return answer, list(judge_translated(translated, rules))


def _object(text: str) -> dict[str, Any]:
    try:
        return read_object(text, "$")
    except EventError as error:
        detail = f"The body does not hold one JSON object: {error.detail}, at {error.path}."
        raise RequestError(400, error.code.value, detail) from None
