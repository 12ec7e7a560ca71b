"""What a question may name: paths of the event, and columns from a closed list.

resolve("feedback.score")       a path, which may hold a number, a boolean or a text
resolve("metadata._user")       the column user_id
resolve("trace_id")             the column of that name
resolve("thumbs")               the column thumbs_up: what people voted
resolve("score")                QuestionError: write feedback.score
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Final

from afterword_consumers.query.language.question import QuestionError
from afterword_schemas.event import RESERVED_METADATA
from afterword_schemas.limits import MAX_PATH_BYTES

ROOTS: Final = ("feedback", "metadata", "metrics")


class Type(StrEnum):
    """The type of a value; one path may hold several."""

    NUMBER = "number"
    BOOLEAN = "boolean"
    TEXT = "text"
    TIME = "time"
    UUID = "uuid"


COLUMNS: Final[Mapping[str, Type]] = {
    "project": Type.TEXT,
    "trace_id": Type.TEXT,
    "session_id": Type.TEXT,
    "span_id": Type.TEXT,
    "source": Type.TEXT,
    "user_id": Type.TEXT,
    "organisation": Type.TEXT,
    "prompt": Type.TEXT,
    "environment": Type.TEXT,
    "value": Type.NUMBER,
    "weight": Type.NUMBER,
    "feedback_id": Type.UUID,
    "created_at": Type.TIME,
    "updated_at": Type.TIME,
    "ingested_at": Type.TIME,
}
"""The columns of `feedback_current` that a question may name; in text ones '' means missing."""

THUMBS: Final = "thumbs"
"""What people voted, in either spelling; never what they only did."""

THUMBS_UP: Final = "thumbs_up"
"""The column of `feedback_current` that holds it: true, false, or NULL for no vote."""

RATING: Final = "feedback.rating"
"""The path that is a vote where there is no `value`."""

VOTES: Final[Mapping[str, bool]] = {"up": True, "down": False}
"""How groups and filters call the values of `THUMBS_UP`."""

PATH_TYPES: Final = (Type.NUMBER, Type.BOOLEAN, Type.TEXT)
"""What the values of a path may be."""


@dataclass(frozen=True, slots=True)
class Field:
    """Something that a question names.

    Attributes:
        name: As the user wrote it.
        column: The column that holds it; None for a path.
    """

    name: str
    column: str | None

    @property
    def types(self) -> tuple[Type, ...]:
        """Every type it may have."""
        return PATH_TYPES if self.column is None else (_TYPE_OF[self.column],)

    @property
    def is_thumbs(self) -> bool:
        """Whether it is what people voted."""
        return self.column == THUMBS_UP

    @property
    def is_wildcard(self) -> bool:
        """Whether it stands for all positions of an array, as in `feedback.edits.*.value`."""
        return self.column is None and "*" in self.name.split(".")

    @property
    def pattern(self) -> str:
        """The regular expression, for RE2 and Python, of the paths it stands for."""
        steps = ("[0-9]+" if step == "*" else re.escape(step) for step in self.name.split("."))
        return "^" + r"\.".join(steps) + "$"


_TYPE_OF: Final[Mapping[str, Type]] = {**COLUMNS, THUMBS_UP: Type.BOOLEAN}

_CLOSE: Final = 0.8
"""How alike a misspelt word is, by difflib's ratio; `score` and `source` are no such pair."""


def resolve(name: str) -> Field:
    """Return what a user's text names, taken as it is: a space may be a part of a key.

    Raises:
        QuestionError: It names neither a column nor a path.
    """
    if column := RESERVED_METADATA.get(name):
        return Field(name, column)
    if name == THUMBS:
        return Field(name, THUMBS_UP)
    if name in COLUMNS:
        return Field(name, name)
    root, dot, rest = name.partition(".")
    if root not in ROOTS or not dot:
        raise QuestionError(f"{name!r} is neither a path nor a column.", _advice(name))
    if not all(rest.split(".")):
        raise QuestionError(f"{name!r} has an empty step.", "Write a path such as feedback.score.")
    if not is_utf8(name):
        raise QuestionError(f"{name!r} is not valid UTF-8.", "Write the path of a value.")
    if len(name.encode()) > MAX_PATH_BYTES:
        raise QuestionError(
            f"No path is longer than {MAX_PATH_BYTES} bytes of UTF-8.", "Write the path of a value."
        )
    return Field(name, None)


def is_utf8(text: str) -> bool:
    """Whether text is UTF-8: half of a surrogate pair, as bytes of no UTF-8 become, is not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _advice(name: str) -> str:
    columns = (THUMBS, *COLUMNS)
    known = f"Columns: {', '.join(columns)}."
    if name in ROOTS:
        return f"Write a path below it, such as {name}.score. {known}"
    root, dot, rest = name.partition(".")
    if near := get_close_matches(root.casefold(), ROOTS if dot else columns, n=1, cutoff=_CLOSE):
        return f"Did you mean {near[0]}{dot}{rest}? {known}"
    step = name if re.fullmatch(r"[\w.-]{1,64}", name) else "score"
    return (
        f"Write {', '.join(f'{root}.{step}' for root in ROOTS[:-1])} or {ROOTS[-1]}.{step}. {known}"
    )
