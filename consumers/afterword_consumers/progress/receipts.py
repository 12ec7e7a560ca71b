"""Receipts: what became of an event, asked of the topic first and then of the tables.

    finder = ReceiptFinder(clickhouse, "127.0.0.1:9092", topic="feedback.events", group="afterword")
    finder.find("acme", "019c12e9-8b3d-7000-8000-000000000000").status      # "stored"

Nothing is remembered, so it does not matter who published the event, and any number of gateways give
the same answer, also after a restart.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import orjson

from afterword_consumers.clickhouse.client import ClickHouse, ClickHouseAddress
from afterword_consumers.progress.backlog import Backlog, Place
from afterword_consumers.rfc3339 import rfc3339
from afterword_schemas import Receipt, ReceiptStatus, RetryableError
from afterword_schemas.counted import counted

_log = logging.getLogger(__name__)

_CLICKHOUSE_TIMEOUT_S: Final = 10
"""Somebody waits: the time of an insert would be too long."""

LOOKUP: Final = """
(
    SELECT kafka_topic, topic_id, kafka_partition, kafka_offset, toUnixTimestamp64Milli(ingested_at),
           toUnixTimestamp64Milli(updated_at), is_deleted, '', '', ''
    FROM feedback
    WHERE project = {project:String} AND toUInt128(feedback_id) = toUInt128({id:UUID})
    ORDER BY version DESC
    LIMIT 1
) UNION ALL (
    SELECT kafka_topic, topic_id, kafka_partition, kafka_offset,
           toUnixTimestamp64Milli(max(rejected_at)) AS at, 0, 0, any(code), any(path), any(detail)
    FROM feedback_rejected
    WHERE project = {project:String} AND feedback_id = {id:UUID}
    GROUP BY topic_id, kafka_topic, kafka_partition, kafka_offset
    HAVING max(replayed_at) = toDateTime64(0, 3, 'UTC')
    ORDER BY at DESC, kafka_offset DESC
    LIMIT 1
)
"""
"""The newest row of an id, and its latest rejection that was not replayed."""


class ReceiptFinder:
    """Finds receipts; connects at first use, and is safe across threads.

    Args:
        clickhouse: Where the workers write.
        bootstrap_servers: Of the Kafka that they read, `host:port`, several with commas.
        topic: What they read.
        group: As what.
        settings: librdkafka's own, by their dotted names.
    """

    def __init__(
        self,
        clickhouse: ClickHouseAddress,
        bootstrap_servers: str,
        *,
        topic: str,
        group: str,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        timeout_s = min(clickhouse.timeout_s, _CLICKHOUSE_TIMEOUT_S)
        self._clickhouse = ClickHouse(replace(clickhouse, timeout_s=timeout_s))
        self._backlog = Backlog(bootstrap_servers, topic=topic, group=group, settings=settings)

    def find(self, project: str, feedback_id: str) -> Receipt:
        """Return what is known of an event of a project, and nothing of another project's.

        Args:
            project: As events name it.
            feedback_id: A UUID in lower case.

        Raises:
            RetryableError: Kafka does not answer, or ClickHouse, without which only what waits in Kafka
                can be told. The log says how.
            ConfigurationError: The Kafka client refuses a setting.
        """
        # The topic before the tables: workers commit after they insert, so what is committed by now
        # is in the tables by then. The other way round, an event could pass by in between, unseen.
        with _reported("Kafka"):
            found = self._backlog.search(feedback_id.encode(), lambda raw: _names(raw, project))
        try:
            with _reported("ClickHouse"):
                outcomes = self._look_up(project, feedback_id)
        except RetryableError:
            if not found.last:
                raise
            outcomes = []
        if not all(any(outcome.covers(place) for outcome in outcomes) for place in found.last):
            return Receipt(feedback_id, ReceiptStatus.PENDING)
        return _receipt(feedback_id, outcomes, found.unread)

    def close(self) -> None:
        """Close the connections, if any were opened."""
        self._backlog.close()
        self._clickhouse.close()

    def _look_up(self, project: str, feedback_id: str) -> list["_Outcome"]:
        rows = self._clickhouse.query(
            LOOKUP,
            {"project": project, "id": feedback_id},
            # On a cluster, of what was written, as the worker asks for the base of a patch.
            {"select_sequential_consistency": 1},
        ).rows
        # Of the types that the query gives, which the client's type does not tell.
        return [_Outcome(*cast("Any", row)) for row in rows]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A row of `LOOKUP`: of what is stored, or of a rejection.

    Attributes:
        topic_id: Empty for rows of older versions.
        decided_ms: When it was inserted or rejected, in milliseconds since 1970.
        updated_ms: When what is stored was last changed, in milliseconds since 1970.
        code: Empty for what is stored.
    """

    topic: str
    topic_id: str
    partition: int
    offset: int
    decided_ms: int
    updated_ms: int
    cleared: int
    code: str
    path: str
    detail: str

    def follows(self, other: "_Outcome") -> bool:
        """Whether it is the later of two: by offset in one partition of a topic, else by the clock."""
        if (self.topic, self.partition) == (other.topic, other.partition) and (
            self.topic_id == other.topic_id or not (self.topic_id and other.topic_id)
        ):
            return self.offset > other.offset
        return self.decided_ms > other.decided_ms

    def covers(self, place: Place) -> bool:
        """Whether it is of the message at a place, or of a later one there: workers keep the order.

        Committing comes a little after, and after a crash much later. Offsets begin again in a topic that
        is created again, so the ids decide; without one, what is older than the message is not of it.
        """
        if (self.topic, self.partition) != (place.topic, place.partition):
            return False
        if self.topic_id:
            return self.topic_id == place.topic_id and self.offset >= place.offset
        return self.offset >= place.offset and self.decided_ms >= place.published_ms


@contextmanager
def _reported(part: str) -> Iterator[None]:
    """Write a failure to the log, and tell whoever asked no more than where it is.

    What the parts say names hosts, databases and statements, and is not for the holder of a key.
    """
    try:
        yield
    except RetryableError as error:
        _log.warning("receipts: %s does not answer as it should: %s", part, error)
        raise RetryableError(f"{part} does not answer as it should; the log says more.") from error


def _names(raw: bytes, project: str) -> bool:
    """Whether a message says that it is of a project; one that cannot be read is nobody's."""
    try:
        event = orjson.loads(raw)
    except ValueError:
        return False
    return isinstance(event, dict) and event.get("project") == project


def _receipt(feedback_id: str, outcomes: Sequence[_Outcome], unread: int) -> Receipt:
    stored = next((outcome for outcome in outcomes if not outcome.code), None)
    rejected = next((outcome for outcome in outcomes if outcome.code), None)
    receipt = Receipt(feedback_id, ReceiptStatus.UNKNOWN, unread=unread, detail=_doubt(unread))
    if stored is not None:
        receipt = replace(
            receipt,
            status=ReceiptStatus.STORED,
            updated_at=rfc3339(stored.updated_ms),
            cleared=bool(stored.cleared),
        )
    if rejected is not None and (stored is None or rejected.follows(stored)):
        receipt = replace(
            receipt,
            status=ReceiptStatus.REJECTED,
            code=rejected.code,
            path=rejected.path,
            place=f"{rejected.partition}:{rejected.offset}",
            detail=rejected.detail,
        )
    return receipt


def _doubt(unread: int) -> str | None:
    if not unread:
        return None
    return (
        f"The workers are behind: {counted(unread, 'waiting message was', 'waiting messages were')} "
        "not looked through, and one may be of this event."
    )
