"""The event: its fields, and the one function that judges its bytes.

    event, leaves = read_event(b'{"feedback_id": "0198…", "project": "acme", "value": 4, …}')

SDK, gateway, worker and `afterword check` all call `read_event`, so the verdict is the same in all
of them. What it accepts can be stored; what it rejects, it rejects with a code, a path and a sentence.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType, NoneType
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import core_schema

from afterword_schemas._faults import to_invalid_event_error
from afterword_schemas.duplicates import find_duplicate_key
from afterword_schemas.errors import InvalidEventError, RejectCode
from afterword_schemas.flatten import Leaves, flatten_root
from afterword_schemas.json_text import is_too_deep, text_error
from afterword_schemas.limits import MAX_EVENT_BYTES, MAX_TIME_MS, MIN_TIME_MS
from afterword_schemas.patterns import PROJECT, UUID, whole

SCHEMA_HEADER: Final = "feedback/v1"
"""Value of the Kafka header `schema` of every event that this version writes."""

RESERVED_METADATA: Final[Mapping[str, str]] = MappingProxyType(
    {
        "metadata._user": "user_id",
        "metadata._organisation": "organisation",
        "metadata._prompt": "prompt",
        "metadata._environment": "environment",
    }
)
"""Portkey's reserved metadata: dotted path to the column of table `feedback` that holds it."""

_RESERVED_NAMES: Final = tuple(path.removeprefix("metadata.") for path in RESERVED_METADATA)
_CLOCK: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
_ZONE: Final = r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)

_Identifier = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class _Rfc3339:
    """A time as text: pydantic alone would also take `"1769851800"`, and only sometimes a date."""

    @staticmethod
    def __get_pydantic_core_schema__(*_: object) -> core_schema.CoreSchema:
        text = core_schema.str_schema(
            strict=True,
            pattern=f"^{_CLOCK}({_ZONE})?$",  # no zone is a fault of its own, with its own sentence
        )
        time = core_schema.datetime_schema(
            strict=False,
            tz_constraint="aware",
            ge=_EPOCH + MIN_TIME_MS * _MILLISECOND,
            lt=_EPOCH + MAX_TIME_MS * _MILLISECOND,
        )
        return core_schema.chain_schema([text, time])


_Time = Annotated[
    datetime,
    _Rfc3339,
    Field(
        json_schema_extra={"format": "date-time", "pattern": f"^{_CLOCK}{_ZONE}$"},
        examples=["2026-01-31T09:30:00.125Z"],
    ),
]
_Object = dict[str, Any]


class Event(BaseModel):
    """One feedback event, as it travels on the topic `feedback.events` in JSON.

    `set` writes the whole event, `patch` merges into what is stored, `clear` takes it back.
    A field that is null, where it may be, counts as absent.
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        title="Feedback event",
    )

    feedback_id: Annotated[
        str,
        # One spelling, for the id is the key of the message and so decides on the partition.
        StringConstraints(pattern=whole(UUID), to_lower=True),
        Field(json_schema_extra={"format": "uuid"}),
    ]
    """Identity and idempotency key: the same id again replaces the event, it never counts twice.
    Any UUID; a version 7 keeps rows in time order and gives `created_at` its default. Read as
    lower case."""

    project: Annotated[
        str,
        StringConstraints(pattern=whole(PROJECT)),
        Field(examples=["support-bot"]),
    ]
    """The tenant the event belongs to."""

    op: Literal["set", "patch", "clear"] = "set"
    """What to do with what is stored under this id."""

    trace_id: _Identifier | None = None
    """The request that was answered. A `set` names at least one of trace, session and span."""

    session_id: _Identifier | None = None
    """The conversation."""

    span_id: _Identifier | None = None
    """One step of the request."""

    source: Literal["explicit", "implicit"] = "explicit"
    """Said by a person, or inferred from what they did (copied, regenerated, edited)."""

    value: (
        Annotated[
            float,
            Field(ge=-10, le=10, multiple_of=1, json_schema_extra={"type": "integer"}),
        ]
        | None
    ) = None
    """A whole number; by convention -10 worst, 10 best."""

    weight: Annotated[float, Field(ge=0, le=1)] | None = None
    """How much `value` counts in weighted averages; 1.0 where absent."""

    feedback: _Object | None = None
    """What people said of the answer, of any structure. `ground_truth` is the expected answer."""

    metadata: _Object | None = None
    """Context, of any structure. `_user`, `_organisation`, `_prompt` and `_environment` are text
    or integers and become columns."""

    metrics: _Object | None = None
    """Evaluations by domain experts and judges, kept apart from what end users say."""

    created_at: _Time | None = None
    """When the feedback was first given, from 2015 to 2099. Default: the time in a version 7
    `feedback_id`, else what is stored under the id, else the time the message was published. A time
    more than five minutes ahead of the message's becomes the message's."""

    updated_at: _Time | None = None
    """When it was last changed: the newer wins. Default: the time the message was published. Its
    limits are those of `created_at`."""


def read_event(raw: bytes) -> tuple[Event, Leaves]:
    """Judge the bytes of one event, and open its nested parts.

    Args:
        raw: One JSON object in UTF-8, at most `limits.MAX_EVENT_BYTES` long.

    Returns:
        The event, and its feedback, metadata and metrics by dotted path. The reserved metadata
        are among the leaves.

    Raises:
        InvalidEventError: For the first rule that the event breaks; any `RejectCode` but WRONG_KEY,
            OLDER_THAN_STORED, STORE_REFUSED and INTERNAL_ERROR, which are the worker's.
    """
    if not raw:
        raise InvalidEventError(RejectCode.EMPTY_MESSAGE, "$", "the message has no payload")
    if len(raw) > MAX_EVENT_BYTES:
        detail = f"{len(raw):,} bytes; at most {MAX_EVENT_BYTES:,} make an event"
        raise InvalidEventError(RejectCode.TOO_LARGE, "$", detail)
    if is_too_deep(raw) and (error := text_error(raw)):
        raise error
    try:
        event = _validate_json(raw)
    except ValidationError as error:
        raise text_error(raw) or to_invalid_event_error(error, tuple(Event.model_fields)) from None
    value = event.value
    if value is not None and value % 1:  # pydantic takes 3.9999999999999 for a multiple
        detail = "value takes a whole number"
        raise InvalidEventError(RejectCode.WRONG_TYPE, "$.value", detail)
    leaves = Leaves()
    if event.feedback is not None:
        flatten_root("feedback", event.feedback, leaves)
    if event.metadata is not None:
        flatten_root("metadata", event.metadata, leaves)
        _check_reserved(event.metadata)
    if event.metrics is not None:
        flatten_root("metrics", event.metrics, leaves)
    _check_content(event, leaves)
    # A key that the parser dropped has left its two quotes in the text, and so has every escaped
    # quote: only an event with more of them than were parsed needs the slow look.
    surplus = raw.count(b'"') - _quotes(event, leaves)
    if surplus and (b"\\\\" in raw or surplus != raw.count(b'\\"')):
        find_duplicate_key(raw)
    return event, leaves


def to_ms(time: datetime) -> int:
    """Return an aware time as whole milliseconds since 1970, fractions cut off.

    >>> to_ms(datetime(2026, 1, 31, 9, 30, 0, 125999, tzinfo=UTC))
    1769851800125
    """
    return (time - _EPOCH) // _MILLISECOND


def uuid7_ms(feedback_id: str) -> int | None:
    """Return the time in a version 7 UUID, in milliseconds since 1970; None for other versions.

    >>> uuid7_ms("019c12e9-8b3d-7000-8000-000000000000")
    1769843821373
    """
    if feedback_id[14] != "7":
        return None
    return int(feedback_id[:8] + feedback_id[9:13], 16)


_validate_json: Final = TypeAdapter(Event).validator.validate_json


def _check_reserved(metadata: _Object) -> None:
    for name in _RESERVED_NAMES:
        kind = type(metadata.get(name))
        if kind is not str and kind is not NoneType and kind is not int:
            detail = f"{name} is reserved: it takes text or an integer"
            raise InvalidEventError(RejectCode.WRONG_TYPE, f"$.metadata.{name}", detail)


def _check_content(event: Event, leaves: Leaves) -> None:
    if event.op == "set":
        if event.trace_id is None and event.session_id is None and event.span_id is None:
            detail = "name what the feedback is about: trace_id, session_id or span_id"
            raise InvalidEventError(RejectCode.NO_TARGET, "$", detail)
        if event.value is None and not _has_leaf(event, leaves):
            detail = "nothing is said: give a value, or something in feedback or metrics"
            raise InvalidEventError(RejectCode.EMPTY_EVENT, "$", detail)
    elif event.op == "patch":
        if not leaves and not _has_column(event):
            detail = "nothing to merge: give at least one field besides the id"
            raise InvalidEventError(RejectCode.EMPTY_EVENT, "$", detail)
    else:
        for name in ("value", "weight", "feedback", "metadata", "metrics"):
            if getattr(event, name) is not None:
                detail = f"a clear takes everything back, so {name} would be lost; use op patch"
                raise InvalidEventError(RejectCode.NOT_ALLOWED, f"$.{name}", detail)


def _has_leaf(event: Event, leaves: Leaves) -> bool:
    """Whether feedback or metrics hold a leaf; metadata alone says nothing."""
    if not leaves:
        return False
    if not event.metadata:
        return True
    return any(
        not path.startswith("metadata.")
        for by_type in (leaves.numbers, leaves.booleans, leaves.strings)
        for path in by_type
    )


def _has_column(event: Event) -> bool:
    """Whether a patch gives a field that is a column of its own."""
    return "source" in event.model_fields_set or any(
        field is not None
        for field in (
            event.value,
            event.weight,
            event.trace_id,
            event.session_id,
            event.span_id,
            event.created_at,
        )
    )


def _quotes(event: Event, leaves: Leaves) -> int:
    """Count the quotes of the event as parsed: two for each key and each string."""
    given = event.__pydantic_fields_set__
    return 2 * (
        len(given)
        + leaves.keys
        + len(leaves.strings)
        + 2  # feedback_id and project
        + ("op" in given)
        + ("source" in given)
        + (event.trace_id is not None)
        + (event.session_id is not None)
        + (event.span_id is not None)
        + (event.created_at is not None)
        + (event.updated_at is not None)
    )
