"""The routes that HoneyHive's SDK calls once its server URL points here.

    POST /session/start                   the id of a session
    PUT  /events, /v1/events/{event_id}   enrich_session, and enrich_span with an event id
    POST /events, /v1/events              create_event
    POST /events/batch                    events.create_batch

Feedback in them is published, everything else accepted and dropped; spans come to `otlp_routes`. The
project is the key's: HoneyHive's name for its own, in the body, says nothing here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from afterword.gateway.auth.key_file import Scope
from afterword.gateway.http.responses import ItemError
from afterword.gateway.intake import MAX_ITEMS, Item, check_count, refusing_bad_json
from afterword.gateway.json_objects import read_object
from afterword.gateway.json_values import Value, bulk, members
from afterword.gateway.service import gateway_of, require_json
from afterword.gateway.unicode_text import decode_leniently
from afterword.gateway.vendors import honeyhive
from afterword.gateway.vendors.events import judge_translated
from afterword.gateway.vendors.honeyhive import Reply
from afterword_schemas.errors import InvalidEventError, RejectCode

_Translate = Callable[[Mapping[str, Any], str], Reply]
_Read = Callable[[str], dict[str, Any]]


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
    return await _serve(request, honeyhive.create_batch, _read_batch)


ROUTES: Final = [
    Route("/session/start", start_session, methods=["POST"]),
    Route("/events", update_event, methods=["PUT"]),
    Route("/v1/events/{event_id}", update_named_event, methods=["PUT"]),
    Route("/events", create_event, methods=["POST"]),
    Route("/v1/events", create_event, methods=["POST"]),
    Route("/events/batch", create_events, methods=["POST"]),
]


def _read_one(text: str) -> dict[str, Any]:
    return read_object(text, "$")


async def _serve(request: Request, translate: _Translate, read: _Read = _read_one) -> Response:
    gateway = gateway_of(request)
    access = gateway.admit(request, Scope.WRITE)
    project, rules = gateway.project(request, access), gateway.rules(request, access)

    def judge(raw: bytes) -> tuple[dict[str, Any], Sequence[Item | ItemError]]:
        with refusing_bad_json(raw):
            body = read(decode_leniently(raw))
        try:
            answer, translated = translate(body, project)
        except InvalidEventError as error:
            answer, translated = {}, [error]
        return answer, list(judge_translated(translated, rules))

    async with gateway.reading(request) as raw:
        require_json(request)
        answer, judged = await gateway.work(raw, lambda: judge(raw))
        outcome = await gateway.take(judged)
    return outcome.response(success=not outcome.errors, **answer)


def _read_batch(text: str) -> dict[str, Any]:
    """Return the object that a text holds; of its `events`, what cannot be read is an `InvalidEventError`."""
    try:
        body = read_object(text, "$")
    except InvalidEventError as error:
        if error.code in {RejectCode.INVALID_JSON, RejectCode.NOT_AN_OBJECT}:
            raise
    else:
        if isinstance(body.get("events"), list):
            return body
    return _read_by_event(text)


def _read_by_event(text: str) -> dict[str, Any]:
    """Do the same for a batch that cannot be read as a whole; only `events` is looked at."""
    body: dict[str, Any] = {}
    for name, value in members(text):
        if name == "events":
            if body:
                raise InvalidEventError(
                    RejectCode.DUPLICATE_KEY, "$.events", "the body names it twice"
                )
            events = bulk(value.text, MAX_ITEMS)
            body[name] = value.given if events is None else list(_read_events(events))
    return body


def _read_events(events: Iterable[Value]) -> Iterator[object]:
    for index, event in enumerate(events):
        check_count(index + 1)
        try:
            yield read_object(event.text, "$") if isinstance(event.given, dict) else event.given
        except InvalidEventError as error:
            yield error
