"""What a question may name: paths of the event, and columns from a closed list.

    resolve("feedback.score")       a path: three typed maps, looked up with a bound parameter
    resolve("metadata._user")       the column user_id
    resolve("trace_id")             the column of that name
    resolve("thumbs")               the column thumbs_up: what people voted
    resolve("score")                QuestionError: write feedback.score

Column names in the SQL come from the list here; a path is only ever a parameter.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Final

from afterword_consumers.query.compile.parameters import Parameters, is_utf8
from afterword_consumers.query.compile.storage import Storage
from afterword_consumers.query.language.errors import QuestionError
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

MAPS: Final[Mapping[Type, str]] = {
    Type.NUMBER: "numbers",
    Type.BOOLEAN: "booleans",
    Type.TEXT: "strings",
}


@dataclass(frozen=True, slots=True)
class Field:
    """Something that a question names.

    Attributes:
        name: As the user wrote it.
        column: The column that holds it; None for a path in the typed maps.
    """

    name: str
    column: str | None

    @property
    def types(self) -> tuple[Type, ...]:
        """Every type it may have."""
        return tuple(MAPS) if self.column is None else (_TYPE_OF[self.column],)

    def types_in(self, storage: Storage) -> tuple[Type, ...]:
        """Return the types that it may have, given what is known of it."""
        if self.column is not None:
            return self.types
        return tuple(kind for kind in MAPS if storage.may_be_in(MAPS[kind], self.name))

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

    def sql(self, kind: Type, parameters: Parameters) -> str:
        """Return the expression for its value of one of `types`, NULL where it is missing."""
        if self.column is None:
            return parameters.leaf(MAPS[kind], self.name)
        if self.is_thumbs:
            return _thumbs_sql(parameters)
        return _COLUMN_SQL[kind].format(self.column)

    def as_text(self, parameters: Parameters) -> str:
        """Return the expression for its value of whatever type as text, NULL where missing."""
        if self.column is not None:
            value = self.sql(_TYPE_OF[self.column], parameters)
            if self.is_thumbs:
                return f"multiIf({value}, 'up', NOT {value}, 'down', NULL)"
            return f"toString({value})"
        values = {kind: self.sql(kind, parameters) for kind in self.types_in(parameters.storage)}
        texts = [
            value if kind == Type.TEXT else f"toString({value})" for kind, value in values.items()
        ]
        return texts[0] if len(texts) == 1 else f"coalesce({', '.join(reversed(texts))})"

    def elements_sql(self, kind: Type, parameters: Parameters) -> str:
        """Return the expression for the values under a wildcard path, as an array."""
        pattern = parameters.text(self.pattern)
        return f"mapValues(mapFilter((path, leaf) -> match(path, {pattern}), {MAPS[kind]}))"


_TYPE_OF: Final[Mapping[str, Type]] = {**COLUMNS, THUMBS_UP: Type.BOOLEAN}

_THUMBS_SQL: Final = "multiIf(source != 'explicit', NULL, value IS NULL, {rating}, value = 0, NULL, toBool(value > 0))"
"""As the view `feedback_current` has it."""

_CLOSE: Final = 0.8
"""How alike a misspelt word is, by difflib's ratio; `score` and `source` are no such pair."""

_COLUMN_SQL: Final = {
    Type.NUMBER: "toFloat64({})",
    Type.TEXT: "nullIf({}, '')",
    Type.TIME: "{}",
    Type.UUID: "{}",
}


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


def _thumbs_sql(parameters: Parameters) -> str:
    kept_in = MAPS[Type.BOOLEAN]
    rating = parameters.promoted(kept_in, RATING) or f"{kept_in}['{RATING}']"
    return parameters.derived(THUMBS_UP, _THUMBS_SQL.format(rating=rating))


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
