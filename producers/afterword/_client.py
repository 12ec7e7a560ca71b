"""The client that services hold: it judges an event, hands it over, and returns its id.

    with Client("localhost:9092", project="support-bot") as client:
        client.rate(trace_id="tr-7f3", up=True, user="u-19")

No call waits for the network. What was taken is delivered by `close()`, or at the end of the
process, or is counted and reported as failed; with a spool, it waits for the next process.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Final, Literal, Self, Unpack
from uuid import UUID

from afterword._counters import Stats
from afterword._encode import encode
from afterword._errors import DeliveryError
from afterword._fields import ChangeFields, EventFields, Fields
from afterword._hints import hint
from afterword._http.transport import HttpTransport
from afterword._identity import enrichment_id, new_id, now, require_name
from afterword._kafka.transport import KafkaTransport
from afterword._sender import Delivery, Sender
from afterword._signals import COPIED, EDITED, REGENERATED, build_signal, without_none
from afterword._spool.transport import SpoolTransport
from afterword._trace import current_trace_id, current_traceparent
from afterword._transport import Transport
from afterword._votes import build_vote, find_vote
from afterword_schemas.errors import ConfigurationError, InvalidEventError
from afterword_schemas.event import SCHEMA_HEADER, Event, read_event, to_ms
from afterword_schemas.patterns import require_traceparent
from afterword_schemas.times import capped_ms

DEFAULT_TOPIC: Final = "feedback.events"

_TARGETS: Final = ("trace_id", "session_id", "span_id")
_TIMES: Final = ("created_at", "updated_at")


class Client:
    """Emits the feedback of one project; make one a process, and share it between threads.

    Every method that emits validates first, returns the event's id, and raises

    - `EventError` for a field that is wrong: its `path` names the field;
    - `QueueFullError` when Kafka is away for so long that memory, or the spool, is full;
    - `RefusedError` for an event that Kafka never takes, such as one that is too large for the client;
    - `RetryableError` when Kafka does not let this client write, or the spool's disk fails;
    - `ClosedError` after `close()`.

    Args:
        bootstrap_servers: Kafka's `host:port`, several separated by commas or in a list.
        url: The gateway's address, in place of Kafka.
        api_key: A key for the gateway that may write to the project.
        project: The tenant of the events.
        topic: Where they go in Kafka; the gateway has its own say.
        transport: What carries them, in place of both: `MemoryTransport` in tests.
        spool: A folder on a local disk: events are written there before a call returns, and stay
            until they are delivered, past any outage and any death of the process. It is for the
            processes that send to the same place; `SpoolTransport` has more to choose.
        on_delivery: Told of each event's end, from a background thread. It must be quick, and may
            not call `flush` or `close`. Without it, the first failure is logged.
        kafka: librdkafka settings by their dotted names, before the defaults.
        close_timeout_s: How long `close()`, and so the end of the process, waits for deliveries.

    Raises:
        ConfigurationError: An argument or a setting is wrong.
    """

    def __init__(
        self,
        bootstrap_servers: str | Sequence[str] | None = None,
        *,
        url: str | None = None,
        api_key: str | None = None,
        project: str,
        topic: str = DEFAULT_TOPIC,
        transport: Transport | None = None,
        spool: str | os.PathLike[str] | None = None,
        on_delivery: Callable[[Delivery], None] | None = None,
        kafka: Mapping[str, object] | None = None,
        close_timeout_s: float = 10.0,
    ) -> None:
        self._project = _check_project(project)
        if [bootstrap_servers, url, transport].count(None) != 2:  # noqa: PLR2004  # of the three
            raise ConfigurationError("Pass one of bootstrap_servers, url and transport.")
        if api_key is not None and url is None:
            raise ConfigurationError("An api_key is for the gateway: pass its url too.")
        if url is not None:
            transport = HttpTransport(url, api_key)
        carrier = transport or KafkaTransport(bootstrap_servers or "", topic=topic, kafka=kafka)
        if spool is not None:
            carrier = SpoolTransport(carrier, spool)
        self._sender = Sender(carrier, on_delivery, close_timeout_s)

    @property
    def stats(self) -> Stats:
        """The counters of this moment."""
        return self._sender.stats

    def feedback(self, **fields: Unpack[EventFields]) -> str:
        """Emit what a person said of an answer.

        Args:
            **fields: See `EventFields`: at least one of `trace_id`, `session_id` and `span_id`,
                or it is about the current trace, see `trace`; and something in `value`, `feedback`
                or `metrics`.
        """
        _aim(fields)
        feedback_id = fields.pop("feedback_id", None)
        return self._emit("set", new_id() if feedback_id is None else feedback_id, fields)

    def rate(
        self,
        *,
        up: bool | None = None,
        user: str | int | UUID | None = None,
        comment: str | None = None,
        **fields: Unpack[ChangeFields],
    ) -> str:
        """Emit a vote; the same person's next one on the same answer replaces it.

        That holds across processes and restarts, as the id is derived: see `vote_id`. Without a
        user there is one vote on each answer, whoever gives it.

        Args:
            up: Thumb up or down, a `value` of 1 or -1; or pass `value`.
            user: Who votes, as `metadata._user`.
            comment: What they said about it, as `feedback.comment`.
            **fields: As for `feedback`. Of several targets the vote is about the span, else the
                trace, else the session.
        """
        _aim(fields)
        vote = build_vote(fields, up=up, user=user, comment=comment)
        return self._emit("set", find_vote(self._project, vote), vote)

    def unrate(
        self,
        *,
        trace_id: str | UUID | None = None,
        session_id: str | UUID | None = None,
        span_id: str | UUID | None = None,
        user: str | int | UUID | None = None,
        traceparent: str | None = None,
    ) -> str:
        """Take back the vote that `rate` gave with the same target and user."""
        fields = ChangeFields(trace_id=trace_id, session_id=session_id, span_id=span_id)
        _aim(fields)
        vote = {**fields, "metadata": {"_user": user}}
        return self.clear(find_vote(self._project, vote), traceparent=traceparent)

    def copied(self, *, text: str | None = None, **fields: Unpack[EventFields]) -> str:
        """Emit that an answer was copied, as `feedback.copied`.

        Args:
            text: The part that was copied, as `feedback.copy.text`.
            **fields: As for `feedback`; `value` 1 and `weight` 0.3 where left out.
        """
        said: dict[str, object] = {"copied": True}
        if text is not None:
            said["copy"] = {"text": text}
        return self.feedback(**build_signal(COPIED, said, fields))

    def regenerated(self, *, reason: str | None = None, **fields: Unpack[EventFields]) -> str:
        """Emit that another answer was asked for, as `feedback.regenerated`.

        Args:
            reason: Why, if the person said so, as `feedback.regeneration.reason`.
            **fields: As for `feedback`; `value` -1 and `weight` 0.2 where left out.
        """
        said: dict[str, object] = {"regenerated": True}
        if reason is not None:
            said["regeneration"] = {"reason": reason}
        return self.feedback(**build_signal(REGENERATED, said, fields))

    def edited(
        self,
        *,
        text: str | None = None,
        original: str | None = None,
        similarity: float | None = None,
        **fields: Unpack[EventFields],
    ) -> str:
        """Emit that an answer was corrected by hand, as `feedback.edited`.

        Args:
            text: What it became, as `feedback.edits.0.value`.
            original: What it was, as `feedback.edits.0.original`.
            similarity: How much was kept, from 0 to 1, by a measure of the caller's, as
                `feedback.edits.0.similarity`.
            **fields: As for `feedback`; `value` 0 and `weight` 0.3 where left out.
        """
        said: dict[str, object] = {"edited": True}
        if edit := without_none(value=text, original=original, similarity=similarity):
            said["edits"] = [edit]
        return self.feedback(**build_signal(EDITED, said, fields))

    def enrich_session(self, session_id: str | UUID, **fields: Unpack[Fields]) -> str:
        """Merge into what is known of a session; all calls for one session make one row.

        Args:
            session_id: The conversation.
            **fields: `feedback`, `metadata`, `metrics` and whatever else `Fields` names.
        """
        target = require_name("session_id", session_id)
        identity = enrichment_id(self._project, "session", target)
        return self.update(identity, session_id=target, **fields)

    def enrich_span(
        self,
        span_id: str | UUID,
        *,
        trace_id: str | UUID | None = None,
        session_id: str | UUID | None = None,
        **fields: Unpack[Fields],
    ) -> str:
        """Merge into what is known of a span; all calls for one span make one row.

        Args:
            span_id: The step of a request.
            trace_id: The request it belongs to.
            session_id: The conversation it belongs to.
            **fields: As for `enrich_session`.
        """
        target = require_name("span_id", span_id)
        identity = enrichment_id(self._project, "span", target)
        return self.update(
            identity, span_id=target, trace_id=trace_id, session_id=session_id, **fields
        )

    def update(self, feedback_id: str | UUID, /, **fields: Unpack[ChangeFields]) -> str:
        """Merge into an event that was sent before; what is left out stays as it is."""
        return self._emit("patch", feedback_id, fields)

    def clear(self, feedback_id: str | UUID, /, *, traceparent: str | None = None) -> str:
        """Take an event back."""
        return self._emit("clear", feedback_id, {"traceparent": traceparent})

    def publish(
        self, event: Mapping[str, object] | bytes, *, traceparent: str | None = None
    ) -> str:
        """Send a whole event as it stands, of whatever project; nothing is filled in.

        Args:
            event: Its fields, or its JSON in UTF-8, which is sent byte for byte.
            traceparent: As in `ChangeFields`.
        """
        if isinstance(event, bytes):
            raw, judged = event, read_event(event)[0]
        else:
            raw, judged = encode(dict(event))
        hint(judged)
        feedback_id = judged.feedback_id.lower()
        self._sender.send(feedback_id, raw, _headers(traceparent))
        return feedback_id

    def flush(self, timeout_s: float = 10.0) -> int:
        """Wait until all events that were taken are delivered or given up.

        Returns:
            How many are still on the way after `timeout_s`.
        """
        return self._sender.flush(timeout_s)

    def close(self) -> None:
        """Deliver what is held, and end; a second call does nothing.

        Raises:
            DeliveryError: Events that were taken, since the client was made, did not arrive.
        """
        self._sender.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        try:
            self.close()
        except DeliveryError as lost:
            if error is None:
                raise
            error.add_note(str(lost))  # the error that ended the block is the one to see first

    def _emit(
        self,
        op: Literal["set", "patch", "clear"],
        feedback_id: str | UUID,
        fields: Mapping[str, object],
    ) -> str:
        identity = str(feedback_id).lower()
        given = {name: entry for name, entry in fields.items() if entry is not None}
        headers = _headers(given.pop("traceparent", current_traceparent()))
        timed = not given.keys().isdisjoint(_TIMES)  # by the caller, whose clock may be wrong
        given.setdefault("updated_at", now())
        # dict() rather than a literal: a second `op` or `project` is a TypeError, not an override.
        event = dict(feedback_id=identity, project=self._project, op=op, **given)
        raw, judged = encode(event)
        hint(judged)
        if timed and (ahead := _times_ahead(judged)):
            raw, _ = encode(event | ahead)
        self._sender.send(identity, raw, headers)
        return identity


def _check_project(project: str) -> str:
    try:
        encode({"feedback_id": new_id(), "project": project, "op": "clear"})
    except InvalidEventError as error:
        raise ConfigurationError(f"{error.detail}.") from None
    return project


def _times_ahead(event: Event) -> dict[str, object]:
    """Return the times that lie too far ahead, as now: in a spool, an event may wait until they are past."""
    current = now()
    now_ms = to_ms(datetime.fromisoformat(current))
    times = {"created_at": event.created_at, "updated_at": event.updated_at}
    given = {name: to_ms(time) for name, time in times.items() if time is not None}
    return {name: current for name, ms in given.items() if capped_ms(ms, now_ms) != ms}


def _aim(fields: ChangeFields) -> None:
    """Make it about the current trace, where it names nothing."""
    if all(fields.get(name) is None for name in _TARGETS):
        fields["trace_id"] = current_trace_id()


def _headers(traceparent: object) -> list[tuple[str, bytes]]:
    schema = ("schema", SCHEMA_HEADER.encode())
    if traceparent is None:
        return [schema]
    return [schema, ("traceparent", require_traceparent(traceparent).header.encode())]
