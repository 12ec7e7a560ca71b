"""What the gateway answers: one shape for every route that writes, and for every error.

    {"status": "partial",
     "message": "1 of 2 accepted. Refused at index 1: value must be at most 10 [out_of_range at $.value].",
     "feedback_ids": ["019c…", null],
     "errors": [{"index": 1, "feedback_id": null, "code": "out_of_range", "path": "$.value",
                 "detail": "value must be at most 10"}]}

`Answer` is what OpenAPI publishes; the tests hold what is sent to it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from afterword._errors import DeliveryFailure, RefusedError
from afterword_schemas.errors import AfterwordError, InvalidEventError

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
    """The same as a sentence, with what is wrong with the first event that was refused: some clients
    show nothing else."""

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
        count = len(self.feedback_ids)
        accepted = f"{count - len(self.errors)} of {count} accepted"
        if not count:
            return "Accepted; there was no feedback in it."
        if not self.errors:
            return "Feedback accepted." if count == 1 else f"{accepted}."
        sentences = [] if count == 1 else [f"{accepted}."]
        sentences += self._refusals()
        if self.status == 503:  # noqa: PLR2004  # as two lines above
            sentences.append(
                "Kafka has not acknowledged all events: send those that errors calls unavailable "
                "again under their ids, and none counts twice."
            )
        return " ".join(sentences)

    def _refusals(self) -> Iterator[str]:
        """Say what is wrong with the first event that was refused, and whether there are more."""
        refusals = [error for error in self.errors if error.code != UNAVAILABLE]
        if refusals:
            first = refusals[0]
            place = "Refused" if len(self.feedback_ids) == 1 else f"Refused at index {first.index}"
            yield f"{place}: {first.detail} [{first.code} at {first.path}]."
        if len(refusals) > 1:
            yield f"For {len(refusals) - 1} more see errors."

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


def refused(index: int, feedback_id: str | None, error: InvalidEventError) -> ItemError:
    """Return a refusal as the answer tells it."""
    return ItemError(
        index=index,
        feedback_id=feedback_id,
        code=error.code.value,
        path=error.path,
        detail=error.detail,
    )


def undelivered(index: int, feedback_id: str, error: DeliveryFailure) -> ItemError:
    """Return why Kafka has not an event: `unavailable`, unless it will never take it."""
    code, path = UNAVAILABLE, "$"
    if isinstance(error, RefusedError):
        code, path = error.code, error.path
    return ItemError(
        index=index, feedback_id=feedback_id, code=code, path=path, detail=error.detail
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
