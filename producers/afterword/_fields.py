"""The keyword arguments that the methods of `Client` share, typed once."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypedDict
from uuid import UUID


class Fields(TypedDict, total=False):
    """What any event may hold; None counts as left out."""

    value: int | None
    """A whole number from -10 to 10; thumbs are 1 and -1."""

    weight: float | None
    """How much `value` counts in averages, from 0 to 1; 1.0 where left out."""

    feedback: Mapping[str, Any] | None
    """What was said, of any structure: `{"rating": True, "tags": ["slow"]}`. The key
    `ground_truth` is the expected answer."""

    metadata: Mapping[str, Any] | None
    """Context, of any structure. `_user`, `_organisation`, `_prompt` and `_environment` become
    columns."""

    metrics: Mapping[str, Any] | None
    """Evaluations by experts and judges, kept apart from what end users say."""

    source: Literal["explicit", "implicit"] | None
    """Said, or inferred from what was done; explicit where left out."""

    created_at: datetime | str | None
    """When it was first given; an aware datetime or RFC 3339, from 2015 on. The time in
    `feedback_id` where left out. A time more than five minutes ahead becomes now."""

    updated_at: datetime | str | None
    """When it was last changed: the newer wins. The time of the call where left out, or where it
    lies more than five minutes ahead."""

    traceparent: str | None
    """W3C trace context of the call, sent as a header of the message; in a request that
    `afterword.middleware` looks after, the request's where left out."""


class ChangeFields(Fields, total=False):
    """What an update may change."""

    trace_id: str | UUID | None
    """The request that was answered."""

    session_id: str | UUID | None
    """The conversation."""

    span_id: str | UUID | None
    """One step of the request."""


class EventFields(ChangeFields, total=False):
    """What a new event may hold: a target, and something that is said."""

    feedback_id: str | UUID | None
    """Identity: the same id again replaces the event. A new UUIDv7 where left out."""
