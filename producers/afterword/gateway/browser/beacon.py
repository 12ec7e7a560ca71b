"""`/v1/beacon`: what a browser sends.

    POST /v1/beacon    {"key": "aw_publish_…", "events": [{"feedback_id": …, "trace_id": …, "value": 1}]}

The key is public, so it can do little: write events of its project, from the origins it is bound to, so
many a minute from one address. It reaches what browsers wrote for the same user and nothing else: see
`browser_ids`. It does not say when something was changed, for clocks in browsers are off.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from math import inf
from typing import Final
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from afterword.gateway.auth.access import Access, admit_key, is_of_loopback, presented_key
from afterword.gateway.auth.key_file import Scope
from afterword.gateway.auth.rate_limit import client_network
from afterword.gateway.browser.ids import move_to_browser_ids, take_user
from afterword.gateway.http.bodies import BodyLimits
from afterword.gateway.http.responses import ItemError, RequestError, refused
from afterword.gateway.intake import Item, Rules, judge_one, refusing_bad_json
from afterword.gateway.json_values import Value, bulk, members
from afterword.gateway.service import Gateway, gateway_of
from afterword_schemas.errors import InvalidEventError, RejectCode
from afterword_schemas.patterns import is_uuid

LIMITS: Final = BodyLimits(max_bytes=256 * 1024, timeout_s=15.0)
"""A beacon holds 64 KiB at the most; `fetch` may send more, and a telephone slowly."""

MAX_EVENTS: Final = 200

_PREFLIGHT_MAX_AGE_S: Final = 86_400
_NO_KEY: Final = (
    "The page sent no key, and this gateway has keys. Make one with `afterword keys create --scope publish`, "
    'and write it into the script tag: data-key="aw_publish_…".'
)
_OPS: Final = ("set", "clear")
_UUID_VERSIONS: Final = (4, 7)


async def receive_beacon(request: Request) -> Response:
    """Accept events from a browser."""
    gateway = gateway_of(request)
    try:
        async with gateway.reading_from_anyone(request, LIMITS) as raw:
            secret, events = await gateway.work_for_anyone(raw, lambda: _parse(raw))
            access = _admit(request, gateway, secret)
            _limit(request, gateway, access, len(events))
            rules = gateway.rules(request, access)
            judged = await gateway.work_for_anyone(raw, lambda: list(_judge(events, rules)))
            outcome = await gateway.take(judged)
        response = outcome.response()
    except RequestError as error:
        response = error.response()
    # The page may always read what became of its own request; its key says whether it may send.
    response.headers.update(_cors(gateway, request.headers.get("origin", "")))
    response.headers["access-control-expose-headers"] = "retry-after, x-trace-id"
    return response


async def preflight_beacon(request: Request) -> Response:
    """Tell a browser which origins may send what needs asking first, such as `application/json`."""
    gateway, origin = gateway_of(request), request.headers.get("origin", "")
    if not _may_send(gateway, origin):
        raise RequestError(403, "forbidden", "No publishable key is bound to this origin.")
    return Response(
        status_code=204,
        headers={
            **_cors(gateway, origin),
            "access-control-allow-methods": "POST",
            "access-control-allow-headers": "authorization, content-type",
            "access-control-max-age": str(_PREFLIGHT_MAX_AGE_S),
        },
    )


ROUTES: Final = [
    Route("/v1/beacon", receive_beacon, methods=["POST"]),
    Route("/v1/beacon", preflight_beacon, methods=["OPTIONS"]),
]


def _cors(gateway: Gateway, origin: str) -> dict[str, str]:
    """Return the headers by which the page of an origin may read an answer."""
    if not origin:
        return {"vary": "origin"}
    headers = {"vary": "origin", "access-control-allow-origin": origin}
    if _may_send(gateway, origin):
        # `sendBeacon` always sends with credentials, and browsers then insist on this header.
        headers["access-control-allow-credentials"] = "true"
    return headers


def _parse(raw: bytes) -> tuple[str, list[Value]]:
    """Return the key and the events of a body."""
    shape = 'The body takes {"key": "…", "events": [{…}, …]}.'
    with refusing_bad_json(raw) as text:
        if not text.lstrip().startswith("{"):
            raise RequestError(400, "not_an_object", shape)
        body: dict[str, Value] = {}
        for name, value in members(text):
            if name not in {"key", "events"}:
                raise RequestError(400, "unknown_field", shape)
            if name in body:
                raise RequestError(400, "duplicate_key", f"The body names {name} twice. {shape}")
            body[name] = value
        events = bulk(body["events"].text, MAX_EVENTS) if "events" in body else None
        if events is None:
            raise RequestError(400, "not_an_object", shape)
        found = list(islice(events, MAX_EVENTS + 1))
    key = body["key"].given if "key" in body else ""
    if not isinstance(key, str):
        raise RequestError(400, "wrong_type", shape)
    if len(found) > MAX_EVENTS:
        detail = f"More than {MAX_EVENTS} events; send them in parts."
        raise RequestError(413, "too_large", detail)
    return key, found


def _admit(request: Request, gateway: Gateway, secret: str) -> Access:
    if not gateway.keys.configured:
        return gateway.admit(request, Scope.PUBLISH)
    secret = secret or presented_key(request)
    if not secret:
        raise RequestError(401, "unauthorized", _NO_KEY, {"www-authenticate": "Bearer"})
    access = admit_key(secret, gateway.keys, Scope.PUBLISH)
    origins = access.key.origins if access.key else ()
    if "*" not in origins and request.headers.get("origin") not in origins:
        detail = "The key is not bound to this origin; see `afterword keys create --origin`."
        raise RequestError(403, "forbidden", detail)
    return access


def _limit(request: Request, gateway: Gateway, access: Access, events: int) -> None:
    if access.key is None:
        return
    address = request.client.host if request.client else ""
    bucket = f"{access.key.key_id}/{client_network(address)}"
    wait_s = gateway.rates.take(bucket, events, access.key.events_per_minute)
    if wait_s == inf:
        detail = (
            f"More events than the {access.key.events_per_minute} that the key takes in a minute."
        )
        raise RequestError(413, "too_large", detail)
    if wait_s > 0:
        headers = {"retry-after": str(int(wait_s) + 1)}
        raise RequestError(429, "too_many_requests", "Too many events at once.", headers)


def _judge(events: list[Value], rules: Rules) -> Iterator[Item | ItemError]:
    for index, event in enumerate(events):
        try:
            _check_public(event.given)
            user, nameless = take_user(event)
        except InvalidEventError as error:
            yield refused(index, None, error)
            continue
        item = judge_one(index, nameless, rules)
        yield move_to_browser_ids(item, user) if isinstance(item, Item) else item


def _check_public(event: object) -> None:
    """Refuse what a key that everybody can read may not do."""
    if not isinstance(event, Mapping):
        return  # the event's own check says so
    if event.get("op", "set") not in _OPS:
        _refuse("op", "a publishable key may set and clear, not merge")
    if "updated_at" in event:
        _refuse("updated_at", "the gateway's clock says when, not a browser's")
    if not _is_random(event.get("feedback_id")):
        _refuse("feedback_id", "a publishable key takes UUIDs of version 4 or 7, which are random")


def _is_random(feedback_id: object) -> bool:
    if not isinstance(feedback_id, str) or not is_uuid(feedback_id):
        return True  # absent, or the event's own check says what is wrong
    return UUID(feedback_id).version in _UUID_VERSIONS  # None for what RFC 9562 does not describe


def _refuse(name: str, detail: str) -> None:
    raise InvalidEventError(RejectCode.NOT_ALLOWED, f"$.{name}", detail)


def _may_send(gateway: Gateway, origin: str) -> bool:
    if not gateway.keys.configured:
        return is_of_loopback(origin)
    return not {"*", origin}.isdisjoint(gateway.keys.origins())
