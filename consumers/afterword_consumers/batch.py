"""What becomes one insert: the rows of many messages, and up to where they cover each partition.

    batch.take(messages, catalogue)    # judge and encode; refused messages are set aside
    resolve_patches(batch, sink)       # before the insert: patches need what is stored
    batch.body(0, len(batch)), batch.rejections, batch.next_offsets

A message is in a batch exactly once: as a line, or as a rejection.
"""

import logging
import time
import uuid
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from afterword_consumers.catalogue import Catalogue, Sighting
from afterword_consumers.merge import merge
from afterword_consumers.messages import Message
from afterword_consumers.rejections import Rejection
from afterword_consumers.rows import (
    FEEDBACK_ID,
    PROJECT,
    Key,
    Row,
    decode,
    encode,
    to_row,
    version,
)
from afterword_consumers.sink import Sink
from afterword_schemas import Event, EventError, RejectCode, array_paths, read_event

_log = logging.getLogger(__name__)
_OWN_FAULT = EventError(RejectCode.INTERNAL_ERROR, "$", "judging it failed; please report this")


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch that waits for the row it merges into.

    Attributes:
        row: The patch as `to_row` makes it.
        arrays: Where the patch holds arrays.
        given: The fields it names.
    """

    row: Row
    arrays: tuple[str, ...]
    given: frozenset[str]

    @property
    def key(self) -> Key:
        """Project and feedback_id."""
        return self.row[PROJECT], self.row[FEEDBACK_ID]


@dataclass(slots=True)
class Batch:
    """Messages on their way into the store.

    Attributes:
        topic_id: Of the topic they are from.
        token: The same for every try to insert this batch.
        messages: Those with a line, in the order in which they came.
        ids: The feedback_id of each.
        patches: Those whose line is not made yet, by position in `messages`.
        next_offsets: By partition, the offset after the last message taken.
        raw_bytes: Of all payloads, and of the keys and headers that are kept with rejections.
        count: Messages taken, the refused ones included.
    """

    topic_id: str
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    messages: list[Message] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    patches: dict[int, Patch] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)
    next_offsets: dict[int, int] = field(default_factory=dict)
    raw_bytes: int = 0
    count: int = 0
    # One buffer for all lines: orjson allocates a page for each, and 100,000 kept ones are 400 MB.
    _lines: bytearray = field(default_factory=bytearray)
    _ends: "array[int]" = field(default_factory=lambda: array("Q"))

    def __len__(self) -> int:
        return len(self._ends)

    def body(self, start: int, stop: int) -> bytes:
        """Return the lines of the messages from a position to before another."""
        first = self._ends[start - 1] if start else 0
        return bytes(self._lines[first : self._ends[stop - 1]]) if stop > start else b""

    def replace(self, lines: Mapping[int, bytes]) -> None:
        """Put other lines at some positions."""
        old = [lines.get(at, self.body(at, at + 1)) for at in range(len(self))]
        self._lines, self._ends = bytearray(), array("Q")
        for line in old:
            self._add(line)

    def take(self, messages: Sequence[Message], catalogue: Catalogue) -> None:
        """Judge messages and add each as a line or as a rejection."""
        now_ms = time.time_ns() // 1_000_000
        for message in messages:
            raw = message.value() or b""
            self.raw_bytes += len(raw)
            try:
                event, leaves = read_event(raw)
                self.sightings += catalogue.observe(event.project, leaves, now_ms, event.value)
                row = to_row(event, leaves, message, now_ms)
                line = b"" if event.op == "patch" else encode(row)
                if not line:
                    _check_key(message, event)
                    self.patches[len(self)] = _patch(event, row)
            except EventError as error:
                self.reject(message, error, now_ms)
                continue
            except Exception:  # noqa: BLE001  # one message must never stop all that follow it
                _log.exception("a fault of Afterword's own; the message is kept as rejected")
                self.reject(message, _OWN_FAULT, now_ms)
                continue
            self._add(line)
            self.ids.append(row[FEEDBACK_ID])
            self.messages.append(message)
        self.count += len(messages)
        self._cover(messages)

    def _add(self, line: bytes) -> None:
        self._lines += line
        self._ends.append(len(self._lines))

    def reject(self, message: Message, error: EventError, now_ms: int) -> None:
        """Set a refused message aside, whole."""
        rejection = Rejection.of(message, self.topic_id, error, now_ms)
        self.rejections.append(rejection)
        self.raw_bytes += len(rejection.key) + sum(
            len(name) + len(value) for name, value in rejection.headers
        )

    def _cover(self, messages: Sequence[Message]) -> None:
        # Within a partition messages come in order: going backwards, the first met is the last.
        seen: set[int] = set()
        for message in reversed(messages):
            partition = message.partition() or 0
            if partition not in seen:
                seen.add(partition)
                self.next_offsets[partition] = (message.offset() or 0) + 1


def resolve_patches(batch: Batch, sink: Sink) -> None:
    """Merge each patch of a batch into the newest row of its id, stored or earlier in the batch.

    Safe to call again after an error: nothing is changed before the stored rows are there.

    Raises:
        StoreError: The stored rows could not be read.
    """
    if not batch.patches:
        return
    newest = sink.stored({patch.key for patch in batch.patches.values()})
    wanted = {patch.row[FEEDBACK_ID] for patch in batch.patches.values()}
    merged: dict[int, bytes] = {}
    for position, feedback_id in enumerate(batch.ids):
        if feedback_id in wanted:
            row = _state_after(batch, position, newest, merged)
            if row is not None:
                newest[row[PROJECT], row[FEEDBACK_ID]] = row
    batch.replace(merged)
    batch.patches.clear()


def _state_after(
    batch: Batch, position: int, newest: Mapping[Key, Row], merged: dict[int, bytes]
) -> Row | None:
    """Return the newest row of an id after the event at a position, None if that left it alone."""
    patch = batch.patches.get(position)
    if patch is None:
        whole = decode(batch.body(position, position + 1))
        before = newest.get((whole[PROJECT], whole[FEEDBACK_ID]))
        return whole if before is None or version(whole) >= version(before) else None
    base = newest.get(patch.key)
    try:
        row = patch.row if base is None else merge(base, patch.row, patch.arrays, patch.given)
    except EventError as error:
        batch.reject(batch.messages[position], error, time.time_ns() // 1_000_000)
        return None
    if row is not None:
        merged[position] = encode(row)
    return row


def _check_key(message: Message, event: Event) -> None:
    """Refuse a patch that may have met another partition than the other events of its id."""
    if message.key() != event.feedback_id.encode():
        detail = "the key of a patch's message must be its feedback_id, in lower case"
        raise EventError(RejectCode.WRONG_KEY, "$.feedback_id", detail)


def _patch(event: Event, row: Row) -> Patch:
    arrays = [
        path
        for name, root in (
            ("feedback", event.feedback),
            ("metadata", event.metadata),
            ("metrics", event.metrics),
        )
        for path in array_paths(name, root)
    ]
    given = frozenset(name for name in event.model_fields_set if getattr(event, name) is not None)
    return Patch(row, tuple(arrays), given)
