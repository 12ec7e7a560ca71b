"""What a request that cannot be answered is told: what is wrong, and what to write instead.

    {"error": {"code": "unknown_parameter", "detail": "There is no parameter 'groupby'.",
               "hint": "Did you mean group_by?"}}

Every error of the API has this shape, whichever route it comes from.
"""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from afterword_consumers.api.json_answers import json_answer
from afterword_consumers.query import QuestionError
from afterword_schemas import AfterwordError


class ApiError(AfterwordError):
    """A request that gets no further; the app answers it.

    Attributes:
        status: Of the HTTP answer.
        code: For programs.
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
    return ApiError(400, "invalid_question", error.detail, f"{error.next_step} {hint}".strip())
