"""What the gateway answers: one shape for every route that writes, and for every error.

    {"status": "partial", "message": "1 of 2 events was refused.",
     "feedback_ids": ["019c…", null],
     "errors": [{"index": 1, "feedback_id": null, "code": "out_of_range", "path": "$.value",
                 "detail": "value must be at most 10"}]}

`Answer` is what OpenAPI publishes; the tests hold what is sent to it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from afterword_schemas.errors import AfterwordError, EventError

RETRY_AFTER_S: Final = 2
"""What a client is told to wait when Kafka is away or the queue is full."""

UNAVAILABLE: Final = "unavailable"
"""Code of an event that Kafka did not acknowledge; every other code is a `RejectCode`."""


class ItemError(BaseModel):
    """One event that was not accepted, or what is wrong with the request as a whole."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True, title="Error")

    index: Annotated[int | None, Field(ge=0)] = None
    """Position in the request, from 0; absent where the fault is the request's."""

    feedback_id: str | None = None
    """The event's id, as given or as assigned, where one is known."""

    code: str
    """A reject code, or one of `unavailable`, `unauthorized`, `forbidden`, `too_many_requests`…"""

    path: str = "$"
    """Where in the event."""

    detail: str
    """A sentence for a person, without the event's own values."""


class Answer(BaseModel):
    """The end of every request that writes."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    status: Literal["success", "partial", "failure"]
    """Whether all events were accepted, some, or none."""

    message: str
    """The same as a sentence."""

    feedback_ids: list[str | None]
    """The ids in the order of the request; null for an event that was refused before it had one, or
    an empty text where the key came in Portkey's header: its SDK takes no null."""

    errors: list[ItemError] = []
    """What was not accepted, and why; absent where all was."""


class RequestError(AfterwordError):
    """A request that gets no further; the app answers it.

    Attributes:
        status: Of the HTTP answer.
        code: For programs.
        detail: For a person.
        headers: Of the answer, such as `Retry-After`.
    """

    def __init__(
        self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, code, detail, headers)
        self.status, self.code, self.detail = status, code, detail
        self.headers = headers or {}

    def __str__(self) -> str:
        return self.detail

    def response(self) -> Response:
        """Return it in the shape of every answer."""
        error = ItemError(code=self.code, detail=self.detail)
        answer = Answer(status="failure", message=self.detail, feedback_ids=[], errors=[error])
        return json_response(self.status, _dump(answer), self.headers)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the events of one request.

    Attributes:
        feedback_ids: In the order of the request.
        errors: In that order too.
    """

    feedback_ids: Sequence[str | None]
    errors: Sequence[ItemError]

    @property
    def status(self) -> int:
        """Of the HTTP answer: 503 asks to send what is `unavailable` again, whatever else was wrong."""
        if not self.errors:
            return 200
        if any(error.code == UNAVAILABLE for error in self.errors):
            return 503
        return 422 if len(self.errors) == len(self.feedback_ids) else 207

    @property
    def message(self) -> str:
        """A sentence that says what became of them, and what to do."""
        count, refused = len(self.feedback_ids), len(self.errors)
        accepted = f"{count - refused} of {count} accepted"
        if not count:
            return "Accepted; there was no feedback in it."
        if not refused:
            return "Feedback accepted." if count == 1 else f"{accepted}."
        if self.status == 503:  # noqa: PLR2004  # as two lines above
            return (
                f"{accepted}. Kafka has not acknowledged the rest: send the events named below "
                "as unavailable again under the ids given here, and none counts twice."
            )
        return f"{accepted}; errors says why, each by its index."

    def response(self, *, refused_id: str | None = None, **more: object) -> Response:
        """Return the HTTP answer.

        Args:
            refused_id: What stands for the id of an event that was refused before it had one.
            **more: What a vendor's clients look for besides.
        """
        body: dict[str, object] = {
            **more,
            "status": "success",
            "message": self.message,
            "feedback_ids": [refused_id if one is None else one for one in self.feedback_ids],
        }
        if self.errors:
            whole = len(self.errors) == len(self.feedback_ids)
            body["status"] = "failure" if whole else "partial"
            body["errors"] = [error.model_dump() for error in self.errors]
        status = self.status
        retry = {"retry-after": str(RETRY_AFTER_S)} if status == 503 else {}  # noqa: PLR2004
        return json_response(status, body, retry)


def refused(index: int, feedback_id: str | None, error: EventError) -> ItemError:
    """Return a refusal as the answer tells it."""
    return ItemError(
        index=index,
        feedback_id=feedback_id,
        code=error.code.value,
        path=error.path,
        detail=error.detail,
    )


def json_response(status: int, body: object, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON answer, whatever stands in it: by now Kafka may have the events."""
    try:
        content = orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # half of a surrogate pair
        content = json.dumps(body).encode()
    return Response(content, status, headers=headers, media_type="application/json")


def _dump(answer: Answer) -> dict[str, object]:
    return answer.model_dump(exclude_none=True)
