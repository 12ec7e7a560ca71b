"""What was rejected: counted, looked at, and published again once the reason is gone.

    for count in replay(clickhouse, publish, Selection(code="unknown_field")): ...
    mend(clickhouse, publish, message, b'{"feedback_id": …}')     # one whose own bytes are wrong

A message goes through the topic again, byte for byte, and is judged anew: it is stored, or rejected
under its new offset. It is marked, and so is its copy by a header, so that a second replay moves
nothing, also of what was rejected again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from time import time_ns
from typing import Final

from afterword_consumers.clickhouse.client import ClickHouse
from afterword_consumers.query import Cell
from afterword_consumers.rejected.listing import REJECTED_COLUMNS, RejectedRow, read_rejected_row
from afterword_schemas import Event, read_event, to_ms

_MAX_PAGE_ROWS: Final = 1_000
_MAX_PAGE_BYTES: Final = 16 * 1024 * 1024
"""Of the keys, headers and payloads that one answer holds, unless a single message is larger."""

REPLAY_HEADER: Final = "afterword-replay-of"
"""Header of a message that was published again: the place it was rejected at first."""

_WAITING: Final = (
    f"replayed_at = toDateTime64(0, 3, 'UTC') AND NOT has(headers.name, '{REPLAY_HEADER}')"
)
# As hexadecimal: the driver would decode bytes that are not valid UTF-8.
_CONTENT: Final = (
    "hex(message_key), "
    "arrayStringConcat(arrayMap(h -> concat(hex(h.name), ':', hex(h.value)), headers), ','), "
    "hex(payload)"
)
_NO_CONTENT: Final = (
    f"'', if(has(headers.name, '{REPLAY_HEADER}'), concat(hex('{REPLAY_HEADER}'), ':'), ''), ''"
)
"""Without keys and payloads, and of the headers only whether there is the one that marks a replay."""

_NEVER: Final = "replayed_at = toDateTime64(0, 3, 'UTC')"


@dataclass(frozen=True, slots=True)
class RejectedMessage:
    """A rejected message as it came.

    Attributes:
        row: Why, when and where it was rejected, with its payload.
    """

    row: RejectedRow
    key: bytes
    headers: tuple[tuple[str, bytes], ...]

    @property
    def payload(self) -> bytes:
        """The bytes as they came."""
        return self.row.payload or b""

    @property
    def is_replay(self) -> bool:
        """Whether it is the copy of a rejected message that was published again, and rejected once more."""
        return any(name == REPLAY_HEADER for name, _ in self.headers)

    @property
    def replay_headers(self) -> tuple[tuple[str, bytes], ...]:
        """The headers of its copy: its own, and the one that marks the copy."""
        own = [header for header in self.headers if header[0] != REPLAY_HEADER]
        return (*own, (REPLAY_HEADER, str(self.row.place).encode()))


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rejected messages; every part that is set must fit.

    Attributes:
        code: A `RejectCode`.
        place: `partition:offset`.
        topic_id: Kafka's id of the topic: a place is one of each topic that ever had the name.
        waiting: Only those that were not replayed, and are no replay that was rejected again.
        again: Of the latter too, where `waiting` would leave them out.
    """

    code: str | None = None
    place: str | None = None
    topic_id: str | None = None
    waiting: bool = False
    again: bool = False

    def conditions(self) -> tuple[str, dict[str, str | int]]:
        """Return the condition in SQL, and its parameters."""
        parts, parameters = ["1"], dict[str, str | int]()
        if self.code is not None:
            parts.append("code = {code:String}")
            parameters["code"] = self.code
        if self.place is not None:
            parts.append(
                "concat(toString(kafka_partition), ':', toString(kafka_offset)) = {place:String}"
            )
            parameters["place"] = self.place
        if self.topic_id is not None:
            parts.append("topic_id = {chosen_topic_id:String}")
            parameters["chosen_topic_id"] = self.topic_id
        if self.waiting:
            parts.append(_NEVER if self.again else _WAITING)
        return " AND ".join(parts), parameters


def counts(clickhouse: ClickHouse) -> list[tuple[str, int, int]]:
    """Return for each code how many were rejected and how many of them wait, the most first."""
    rows = clickhouse.query(
        f"SELECT code, count(), countIf({_WAITING}) "
        "FROM feedback_rejected FINAL GROUP BY code ORDER BY count() DESC, code"
    ).rows
    return [(str(code), int(total or 0), int(waiting or 0)) for code, total, waiting in rows]


def find(
    clickhouse: ClickHouse, selection: Selection, limit: int, *, with_content: bool = True
) -> list[RejectedMessage]:
    """Return rejected messages, the newest first.

    Args:
        clickhouse: Where they are.
        selection: Which.
        limit: How many at most.
        with_content: Whether to read keys, headers and payloads, which may be a megabyte each.
    """
    where, parameters = selection.conditions()
    order = "rejected_at DESC, kafka_partition, kafka_offset DESC"
    columns = _CONTENT if with_content else _NO_CONTENT
    return _read(clickhouse, columns, f"{where} ORDER BY {order} LIMIT {limit}", parameters)


def count_replayable(clickhouse: ClickHouse, selection: Selection) -> list[tuple[str, int]]:
    """Return for each code how many messages a replay would publish, the most first."""
    where, parameters = replace(selection, waiting=True).conditions()
    rows = clickhouse.query(
        f"SELECT code, count() FROM feedback_rejected FINAL WHERE {where} "
        "GROUP BY code ORDER BY count() DESC, code",
        parameters,
    ).rows
    return [(str(code), int(count or 0)) for code, count in rows]


def mend(
    clickhouse: ClickHouse,
    publish: Callable[[Sequence[RejectedMessage]], None],
    message: RejectedMessage,
    payload: bytes,
) -> str:
    """Publish a mended payload in place of a rejected message, and mark that one as replayed.

    Args:
        clickhouse: Where the message is.
        publish: As for `replay`.
        message: It keeps its time, unless the payload has a later one, and its headers; its key becomes
            the one that the event needs.
        payload: What to publish.

    Returns:
        The event's feedback_id.

    Raises:
        InvalidEventError: The payload would be rejected, too; nothing was published.
    """
    event, _ = read_event(payload)
    feedback_id = event.feedback_id.lower()
    published_ms = _published_ms(event, message.row.published_ms)
    mended = replace(message.row, payload=payload, published_ms=published_ms)
    publish([replace(message, row=mended, key=feedback_id.encode())])
    _mark(clickhouse, [message])
    return feedback_id


def _published_ms(event: Event, first_ms: int) -> int:
    """Return when a mended message counts as published.

    Its times may not lie ahead of that, so one that a person has set later moves it, up to now.
    """
    times = [to_ms(time) for time in (event.created_at, event.updated_at) if time is not None]
    now_ms = time_ns() // 1_000_000
    return max(first_ms, min(now_ms, max(times, default=first_ms)))


def replay(
    clickhouse: ClickHouse,
    publish: Callable[[Sequence[RejectedMessage]], None],
    selection: Selection,
) -> Iterator[int]:
    """Publish rejected messages again, partition by partition, each in its order, page by page.

    Args:
        clickhouse: Where they are.
        publish: Publishes messages and returns once the broker has them all; what it raises ends
            the replay, and its page stays unmarked.
        selection: Which; those replayed already are left out in any case, and the replays among
            them unless `again` is set.

    Yields:
        After each page, how many messages it held.
    """
    # Up to where each partition was rejected so far: what the worker rejects again meanwhile has a
    # later offset and is not taken along, or this would never end.
    ends = clickhouse.query(
        "SELECT topic_id, kafka_partition, max(kafka_offset) FROM feedback_rejected "
        "GROUP BY topic_id, kafka_partition ORDER BY topic_id, kafka_partition"
    ).rows
    for topic_id, partition, end in ends:
        stretch = _Stretch(str(topic_id), int(partition or 0), int(end or 0))
        for page in _pages(clickhouse, selection, stretch):
            publish(page)
            _mark(clickhouse, page)
            yield len(page)


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A partition up to an offset, itself included."""

    topic_id: str
    partition: int
    end: int


def _pages(
    clickhouse: ClickHouse, selection: Selection, stretch: _Stretch
) -> Iterator[list[RejectedMessage]]:
    where, parameters = replace(selection, waiting=True).conditions()
    where += (
        " AND topic_id = {topic_id:String} AND kafka_partition = {partition:UInt32}"
        " AND kafka_offset BETWEEN {begin:UInt64} AND {end:UInt64}"
    )
    parameters |= {"topic_id": stretch.topic_id, "partition": stretch.partition}
    begin = 0
    while sizes := _sizes(clickhouse, where, parameters | {"begin": begin, "end": stretch.end}):
        end = _last_of_page(sizes)
        page = _read(
            clickhouse,
            _CONTENT,
            f"{where} ORDER BY kafka_offset",
            parameters | {"begin": begin, "end": end},
        )
        if page:  # unless another replay was faster
            yield page
        begin = end + 1


def _sizes(
    clickhouse: ClickHouse, where: str, parameters: Mapping[str, str | int]
) -> list[tuple[int, int]]:
    """Return the offset and the bytes of the messages that follow: not even a page may be too large."""
    rows = clickhouse.query(
        "SELECT kafka_offset, length(message_key) + length(payload) "
        "+ arraySum(header -> length(header.name) + length(header.value), headers) "
        f"FROM feedback_rejected FINAL WHERE {where} ORDER BY kafka_offset LIMIT {_MAX_PAGE_ROWS}",
        parameters,
    ).rows
    return [(int(offset or 0), int(size or 0)) for offset, size in rows]


def _last_of_page(sizes: Sequence[tuple[int, int]]) -> int:
    """Return the offset that a page ends with, which holds at least one message."""
    last, held_bytes = sizes[0]
    for offset, size in sizes[1:]:
        held_bytes += size
        if held_bytes > _MAX_PAGE_BYTES:
            break
        last = offset
    return last


def _mark(clickhouse: ClickHouse, page: Sequence[RejectedMessage]) -> None:
    """Write the rows again with the time of replay, which is their version."""
    places = ",".join(
        f"('{_quote(place.topic_id)}',{place.partition},{place.offset})"
        for place in (message.row.place for message in page)
    )
    clickhouse.command(
        "INSERT INTO feedback_rejected SELECT * REPLACE (now64(3, 'UTC') AS replayed_at) "
        "FROM feedback_rejected FINAL "
        f"WHERE (topic_id, kafka_partition, kafka_offset) IN ({places})"
    )


def _read(
    clickhouse: ClickHouse, columns: str, where: str, parameters: Mapping[str, str | int]
) -> list[RejectedMessage]:
    rows = clickhouse.query(
        f"SELECT {REJECTED_COLUMNS}, {columns} FROM feedback_rejected FINAL WHERE {where}",
        parameters,
    ).rows
    return [_message(row) for row in rows]


def _message(row: Sequence[Cell]) -> RejectedMessage:
    *told, key, headers, payload = row
    return RejectedMessage(
        row=replace(read_rejected_row(told), payload=bytes.fromhex(str(payload))),
        key=bytes.fromhex(str(key)),
        headers=tuple(_header(text) for text in str(headers).split(",") if text),
    )


def _header(text: str) -> tuple[str, bytes]:
    name, _, value = text.partition(":")
    return bytes.fromhex(name).decode(errors="replace"), bytes.fromhex(value)


def _quote(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
