"""What a request that cannot be answered is told: what is wrong, and what to write instead.

    {"error": {"code": "unknown_parameter", "detail": "There is no parameter 'groupby'.",
               "hint": "Did you mean group_by?"}}

Every error of the API has this shape, whichever route it comes from.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from starlette.responses import Response

from afterword_consumers.api.json_answers import json_answer
from afterword_consumers.query import QuestionError
from afterword_schemas import AfterwordError


class ErrorCode(StrEnum):
    """Why a request is not answered: the list that programs look at."""

    MISSING_PARAMETER = "missing_parameter"
    """A parameter that the route needs is not there."""

    UNKNOWN_PARAMETER = "unknown_parameter"
    """The route takes no parameter of this name."""

    REPEATED_PARAMETER = "repeated_parameter"
    """A parameter that takes one value has several."""

    INVALID_PARAMETER = "invalid_parameter"
    """A value is not of its parameter's form."""

    INVALID_UTF8 = "invalid_utf8"
    """The URL is not valid UTF-8."""

    INVALID_CURSOR = "invalid_cursor"
    """No page of the list has given this cursor."""

    INVALID_QUESTION = "invalid_question"
    """A path, filter, time or group that cannot be."""

    UNAUTHORIZED = "unauthorized"
    """No key, or none that is known."""

    FORBIDDEN = "forbidden"
    """The key is for another project, or may not read."""

    NOT_FOUND = "not_found"
    """There is nothing at this address."""

    UNKNOWN_TRACE = "unknown_trace"
    """No feedback is on this trace."""

    METHOD_NOT_ALLOWED = "method_not_allowed"
    """Anything but GET."""

    NOT_ACCEPTABLE = "not_acceptable"
    """`Accept` takes no form that the answer has."""

    TIME_BUDGET = "time_budget"
    """The request takes longer than it may."""

    ROW_BUDGET = "row_budget"
    """A query reads more rows than it may."""

    MEMORY_BUDGET = "memory_budget"
    """A query needs more memory than it may use."""

    RESULT_BUDGET = "result_budget"
    """The answer is larger than it may be."""

    INTERNAL_ERROR = "internal_error"
    """A fault of Afterword's own."""

    BUSY = "busy"
    """Too many queries at once."""

    UNAVAILABLE = "unavailable"
    """ClickHouse does not answer."""

    TABLES_MISSING = "tables_missing"
    """The database lacks tables, or has old ones."""


class ApiError(AfterwordError):
    """A request that gets no further; the app answers it.

    Attributes:
        status: Of the HTTP answer.
        code: For programs: an `ErrorCode`, or one of whoever serves the API.
        detail: What is wrong, for a person.
        hint: What to do about it; may be empty.
        headers: Of the answer, such as `Retry-After`.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        hint: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, code, detail, hint, headers)
        self.status, self.code, self.detail, self.hint = status, code, detail, hint
        self.headers = headers or {}

    def __str__(self) -> str:
        return f"{self.detail} {self.hint}".strip()

    def body(self) -> dict[str, Any]:
        """Return what is answered."""
        return {"error": {"code": self.code, "detail": self.detail, "hint": self.hint}}

    def response(self) -> Response:
        """Return the answer."""
        return json_answer(self.body(), self.status, self.headers)


def of_question(error: QuestionError, *, hint: str = "") -> ApiError:
    """Return the answer to a question that cannot be asked as it is written.

    Args:
        error: Why; it says what to write.
        hint: What else may help.
    """
    return ApiError(
        400, ErrorCode.INVALID_QUESTION, error.detail, f"{error.next_step} {hint}".strip()
    )
