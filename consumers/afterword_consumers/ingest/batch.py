"""What is written together: the rows of many messages, and up to where they cover each partition.

    taken = batch.take(messages, index)    # judge and encode, or reject
    batch.body(0, len(batch)), batch.rejections, batch.next_offsets
    batch.chains()                             # the events that need what is stored: see `chains`

A message is in a batch exactly once: as a line, or as a rejection.
"""

import logging
import time
import uuid
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import compress
from typing import Final

from afterword_consumers.ingest.patch import Patch
from afterword_consumers.ingest.path_index import PathIndex, PathSeen
from afterword_consumers.ingest.rejection import Rejection
from afterword_consumers.ingest.rows import (
    CREATED_AT,
    MAX_KEY_BYTES,
    Key,
    Row,
    encode,
    key_of_line,
    published,
    to_row,
)
from afterword_consumers.ingest.source import Message, next_offsets
from afterword_schemas import Event, InvalidEventError, RejectCode, read_event, uuid7_ms

_log = logging.getLogger(__name__)
_OWN_FAULT = InvalidEventError(
    RejectCode.INTERNAL_ERROR, "$", "judging it failed; please report this"
)

DEFAULT_MAX_BYTES: Final = 64 * 1024 * 1024


class Kind(IntEnum):
    """What the line of an event is, and needs."""

    WHOLE = 0
    """A row that stands by itself."""

    CHAINED = 1
    """A row of an id that has one of the following in this batch: they are written in their order."""

    REPEATABLE = 2
    """A row whose `created_at` is only when it was published. What is stored knows when it was first given."""

    PATCH = 3
    """A `Patch`, which a clear is too."""


@dataclass(slots=True)
class Batch:
    """Messages on their way into the store.

    Attributes:
        topic_id: Of the topic they are from.
        max_bytes: It is full with so many bytes of messages, or of lines made of them.
        token: The same for every try to insert this batch.
        messages: Those with a line, in the order in which they came.
        kinds: The `Kind` of each.
        next_offsets: By partition, the offset after the last message taken.
        raw_bytes: Of all payloads, keys and headers: messages stay in memory until they are written.
        count: Messages taken, the rejected ones included.
    """

    topic_id: str
    max_bytes: int = DEFAULT_MAX_BYTES
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    messages: list[Message] = field(default_factory=list)
    kinds: bytearray = field(default_factory=bytearray)
    rejections: list[Rejection] = field(default_factory=list)
    paths_seen: list[PathSeen] = field(default_factory=list)
    next_offsets: dict[int, int] = field(default_factory=dict)
    raw_bytes: int = 0
    count: int = 0
    _paths_seen_bytes: int = 0
    # One buffer for all lines: orjson allocates a page for each, and 100,000 kept ones are 400 MB.
    _lines: bytearray = field(default_factory=bytearray)
    _ends: "array[int]" = field(default_factory=lambda: array("Q"))

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def is_full(self) -> bool:
        """Whether it holds as many bytes as it may."""
        # Payloads alone do not bound it: paths repeat the keys above them, up to seventyfold.
        made = len(self._lines) + self._paths_seen_bytes
        return self.raw_bytes >= self.max_bytes or made >= self.max_bytes

    def line(self, position: int) -> bytes:
        """Return the line at a position, whatever its kind."""
        first = self._ends[position - 1] if position else 0
        return bytes(self._lines[first : self._ends[position]])

    def body(self, start: int, stop: int) -> bytes:
        """Return the lines from a position to before another that are rows to be written as they are."""
        if any(self.kinds[start:stop]):
            whole = [kind == Kind.WHOLE for kind in self.kinds[start:stop]]
            return b"".join(map(self.line, compress(range(start, stop), whole)))
        if start >= stop:
            return b""
        first = self._ends[start - 1] if start else 0
        with memoryview(self._lines) as lines:
            return bytes(lines[first : self._ends[stop - 1]])

    def take(self, messages: Sequence[Message], index: PathIndex) -> int:
        """Judge messages and add each as a line or as a rejection, until the batch is full.

        Returns:
            How many were taken; the others belong in the next batch.
        """
        now_ms = time.time_ns() // 1_000_000
        taken = 0
        for message in messages:
            if self.is_full:
                break
            self._take(message, index, now_ms)
            taken += 1
        self.count += taken
        self.next_offsets |= next_offsets(messages[:taken])
        return taken

    def chains(self) -> dict[Key, list[int]]:
        """Return the positions of all events of each id that has one which needs what is stored.

        The rows among them are no part of `body` from now on.
        """
        if max(self.kinds, default=Kind.WHOLE) < Kind.REPEATABLE:
            return {}
        needing = [position for position, kind in enumerate(self.kinds) if kind >= Kind.REPEATABLE]
        chains: dict[Key, list[int]] = {self._key(position): [] for position in needing}
        for position in range(len(self)):
            chain = chains.get(self._key(position))
            if chain is not None:
                chain.append(position)
                self.kinds[position] = max(self.kinds[position], Kind.CHAINED)
        return chains

    def reject(self, message: Message, error: InvalidEventError, now_ms: int) -> None:
        """Keep a rejected message whole, beside the lines."""
        self.rejections.append(Rejection.of(message, self.topic_id, error, now_ms))

    def _take(self, message: Message, index: PathIndex, now_ms: int) -> None:
        raw = message.value() or b""
        self.raw_bytes += len(raw) + _size_beside(message)
        try:
            event, leaves = read_event(raw)
            for path_seen in index.observe(event.project, leaves, now_ms, event.value):
                self.paths_seen.append(path_seen)
                self._paths_seen_bytes += path_seen.size
            published_ms = published(message, now_ms)
            row = to_row(event, leaves, message, self.topic_id, published_ms)
            kind = _kind(event, row, published_ms)
            if kind == Kind.PATCH:
                _check_key(message, event)
                line = Patch.of(event, row, max(now_ms, published_ms)).encode()
            else:
                line = encode(row)
        except InvalidEventError as error:
            self.reject(message, error, now_ms)
        except Exception:  # noqa: BLE001  # one message must never stop all that follow it
            _log.exception("a fault of Afterword's own; the message is kept as rejected")
            self.reject(message, _OWN_FAULT, now_ms)
        else:
            self._lines += line
            self._ends.append(len(self._lines))
            self.kinds.append(kind)
            self.messages.append(message)

    def _key(self, position: int) -> Key:
        first = self._ends[position - 1] if position else 0
        return key_of_line(self._lines[first : first + MAX_KEY_BYTES])


def _size_beside(message: Message) -> int:
    """Return the bytes of a message besides its payload."""
    size = len(message.key() or b"")
    for name, value in message.headers() or ():
        size += len(name) + len(value or b"")
    return size


def _kind(event: Event, row: Row, published_ms: int) -> Kind:
    if event.op != "set":
        return Kind.PATCH
    if event.created_at is not None or row[CREATED_AT] != published_ms / 1000:
        return Kind.WHOLE
    # The time of publishing, unless the id says the very same one.
    return Kind.WHOLE if uuid7_ms(event.feedback_id) == published_ms else Kind.REPEATABLE


def _check_key(message: Message, event: Event) -> None:
    """Reject a patch that may have met another partition than the other events of its id."""
    if event.op == "patch" and message.key() != event.feedback_id.encode():
        detail = "the key of a patch's message must be its feedback_id, in lower case"
        raise InvalidEventError(RejectCode.WRONG_KEY, "$.feedback_id", detail)
