"""`/v1/feedback`: our own events, and Portkey's as they are.

POST   /v1/feedback         one event, or an array of them
PUT    /v1/feedback/{id}    merge into an event; Portkey's update
DELETE /v1/feedback/{id}    take an event back
GET    /v1/feedback/{id}    what became of it
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from afterword.gateway.auth.key_file import Scope
from afterword.gateway.http.responses import RETRY_AFTER_S, RequestError, json_response
from afterword.gateway.intake import judge, judge_one, judge_update
from afterword.gateway.json_values import Value
from afterword.gateway.portkey import refused_id
from afterword.gateway.receipts import receipt_answer
from afterword.gateway.service import gateway_of, require_json
from afterword_schemas.errors import AfterwordError
from afterword_schemas.patterns import is_uuid


async def create_feedback(request: Request) -> Response:
    """Accept events."""
    gateway = gateway_of(request)
    access = gateway.admit(request, Scope.WRITE)
    async with gateway.reading(request) as raw:
        require_json(request)
        rules = gateway.rules(request, access)
        outcome = await gateway.accept(raw, lambda raw: judge(raw, rules))
    return outcome.response(refused_id=refused_id(request.headers))


async def update_feedback(request: Request) -> Response:
    """Merge into what is stored under an id, or create it."""
    gateway = gateway_of(request)
    access = gateway.admit(request, Scope.WRITE)
    rules = gateway.rules(request, access, feedback_id=_feedback_id(request), op="patch")
    async with gateway.reading(request) as raw:
        require_json(request)
        outcome = await gateway.accept(raw, lambda raw: [judge_update(raw, rules)])
    return outcome.response()


async def clear_feedback(request: Request) -> Response:
    """Take an event back."""
    gateway = gateway_of(request)
    access = gateway.admit(request, Scope.WRITE)
    rules = gateway.rules(request, access, feedback_id=_feedback_id(request), op="clear")
    outcome = await gateway.take([judge_one(0, Value({}, "{}"), rules)])
    return outcome.response()


async def read_receipt(request: Request) -> Response:
    """Tell what became of an event."""
    gateway = gateway_of(request)
    access = gateway.admit(request, Scope.READ)
    project, feedback_id = gateway.project(request, access), _feedback_id(request)
    try:
        receipt = await gateway.lookups.run(lambda: gateway.receipts.find(project, feedback_id))
    except RequestError:
        raise
    except AfterwordError as error:
        headers = {"retry-after": str(RETRY_AFTER_S)}
        raise RequestError(503, "unavailable", str(error), headers) from None
    return json_response(200, receipt_answer(receipt))


ROUTES: Final = [
    Route("/v1/feedback", create_feedback, methods=["POST"]),
    # Portkey's documentation shows its update with POST, too.
    Route("/v1/feedback/{feedback_id}", update_feedback, methods=["PUT", "POST"]),
    Route("/v1/feedback/{feedback_id}", clear_feedback, methods=["DELETE"]),
    Route("/v1/feedback/{feedback_id}", read_receipt, methods=["GET"]),
]


def _feedback_id(request: Request) -> str:
    feedback_id = str(request.path_params["feedback_id"]).lower()
    if not is_uuid(feedback_id):
        raise RequestError(404, "not_found", "A feedback id is a UUID.")
    return feedback_id
