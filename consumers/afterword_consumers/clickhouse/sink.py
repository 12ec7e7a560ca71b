"""Where the worker writes, in ClickHouse: the tables of `afterword_schemas/sql`."""

from collections.abc import Collection, Generator, Sequence
from contextlib import closing
from typing import Final

from afterword_consumers.clickhouse.client import ClickHouse
from afterword_consumers.clickhouse.faults import ROW_ERRORS
from afterword_consumers.ingest.path_index import PathSeen
from afterword_consumers.ingest.rejection import Rejection
from afterword_consumers.ingest.rows import COLUMNS, Key, Row, decode, encode
from afterword_schemas import RetryableError, RowsRejectedError

INSERT_SETTINGS: Final = {
    # The server's default is 1 since 26.2: an answer before the rows are safe.
    "async_insert": 0,
    # Likewise of a Distributed table: only once the shards have them.
    "distributed_foreground_insert": 1,
    # With progress headers the status line is sent before the outcome is known.
    "send_progress_in_http_headers": 0,
    "wait_end_of_query": 1,
    # Strings stay strings, also those that look like dates.
    "input_format_try_infer_dates": 0,
    "input_format_try_infer_datetimes": 0,
    # A back-fill spans many months; ids of odd times fall into one partition, so this is bounded.
    "max_partitions_per_insert_block": 0,
}

_ESCAPES: Final = {
    b"\\": b"\\\\",  # the first, or it would escape what the others put in
    b"\t": b"\\t",
    b"\n": b"\\n",
    b"\r": b"\\r",
    b"\0": b"\\0",
    b"'": b"\\'",
}

_LOOKUP_KEYS: Final = 100_000
"""All keys of a batch: what a question costs is mostly the granules, which it then reads once."""

# Two texts are parsed at once, as many tuples one by one. In the order of the table the rows come as they are
# read: ClickHouse need not hold them to sort them, and stops where the reader does.
_LOOKUP: Final = """
SELECT project, toString(feedback_id), trace_id, session_id, span_id, source, user_id,
       organisation, prompt, environment, value, weight, numbers, booleans, strings,
       toUnixTimestamp64Milli(created_at) / 1000, toUnixTimestamp64Milli(updated_at) / 1000,
       is_deleted, kafka_topic, topic_id, kafka_partition, kafka_offset
FROM feedback
WHERE (project, toUInt128(feedback_id)) IN (
    SELECT key.1, toUInt128(toUUID(key.2))
    FROM (SELECT arrayJoin(arrayZip(
        splitByChar(',', '{projects}'), splitByChar(',', '{ids}'))) AS key))
ORDER BY project, toUInt128(feedback_id), version DESC
LIMIT 1 BY project, toUInt128(feedback_id)
"""


class ClickHouseSink:
    """The sink on the tables of `afterword_schemas/sql`."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse

    def stored(self, keys: Collection[Key]) -> Generator[Row, None, None]:
        """Yield the newest row of each key that has one, in the order of the table."""
        ordered = sorted(keys)
        for start in range(0, len(ordered), _LOOKUP_KEYS):
            yield from self._lookup(ordered[start : start + _LOOKUP_KEYS])

    def insert_feedback(self, lines: bytes, token: str) -> None:
        """Insert encoded rows in one request."""
        settings = INSERT_SETTINGS | {"insert_deduplication_token": token}
        try:
            self._clickhouse.insert_lines("feedback", COLUMNS, lines, settings)
        except RetryableError as error:
            if error.store_code in ROW_ERRORS:
                raise RowsRejectedError(error.detail, error.store_code) from error
            raise

    def insert_rejections(self, rejections: Sequence[Rejection]) -> None:
        """Insert rejected messages in one request."""
        columns = (
            "kafka_topic",
            "topic_id",
            "kafka_partition",
            "kafka_offset",
            "published_at",
            "rejected_at",
            "code",
            "path",
            "detail",
            "message_key",
            "headers",
            "payload",
        )
        lines = b"".join(map(_rejected_line, rejections))
        self._clickhouse.insert_lines(
            "feedback_rejected", columns, lines, INSERT_SETTINGS, form="TabSeparated"
        )

    def insert_paths_seen(self, paths_seen: Sequence[PathSeen]) -> None:
        """Insert paths into the catalogue in one request."""
        columns = ("project", "path", "type", "first_seen", "last_seen", "example")
        # As lines too: for rows of Python values the client imports pandas, a second at the start.
        lines = b"".join(
            encode([s.project, s.path, s.type, s.seen_ms / 1000, s.seen_ms / 1000, s.example])
            for s in paths_seen
        )
        self._clickhouse.insert_lines("feedback_paths", columns, lines, INSERT_SETTINGS)

    def _lookup(self, keys: Sequence[Key]) -> Generator[Row, None, None]:
        # Both parts were validated: neither can hold a quote or a comma.
        sql = _LOOKUP.format(
            projects=",".join(project for project, _ in keys), ids=",".join(id_ for _, id_ in keys)
        )
        settings = {"select_sequential_consistency": 1, "max_query_size": len(sql) + 1_000}
        with closing(self._clickhouse.stream_lines(sql, settings)) as lines:
            yield from map(decode, lines)


def _rejected_line(rejection: Rejection) -> bytes:
    """Return a rejection as a line of TabSeparated: the text format that holds any bytes."""
    headers = b",".join(
        b"('%s','%s')" % (_escaped(name), _escaped(value)) for name, value in rejection.headers
    )
    fields = (
        _escaped(rejection.topic.encode()),
        _escaped(rejection.topic_id.encode()),
        b"%d" % rejection.partition,
        b"%d" % rejection.offset,
        _time(rejection.published_ms),
        _time(rejection.rejected_ms),
        rejection.code.encode(),
        _escaped(rejection.path.encode()),
        _escaped(rejection.detail.encode()),
        _escaped(rejection.key),
        b"[%s]" % headers,
        _escaped(rejection.payload),
    )
    return b"\t".join(fields) + b"\n"


def _escaped(raw: bytes) -> bytes:
    """Escape what ends a field or a quoted string; all other bytes stand as they are."""
    for byte, escape in _ESCAPES.items():
        raw = raw.replace(byte, escape)
    return raw


def _time(ms: int) -> bytes:
    return b"%d.%03d" % divmod(ms, 1000)
