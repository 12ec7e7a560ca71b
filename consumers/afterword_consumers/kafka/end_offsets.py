"""How far the logs of a topic go, asked for again and again beside the work, without waiting.

    watch = EndOffsetPoller({"bootstrap.servers": "127.0.0.1:9092"}, "feedback.events", timeout_s=10.0)
    watch.news({0: 41, 1: 7})     # None, until the broker has answered

What it costs the worker is one small request a second, on a connection of its own.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from afterword_consumers.ingest.source import EndOffsets
from afterword_consumers.kafka.topics import LATEST, ask_ends

if TYPE_CHECKING:
    from concurrent.futures import Future

    from confluent_kafka.admin._listoffsets import ListOffsetsResultInfo  # exported without a type

_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Question:
    asked_at: datetime
    positions: Mapping[int, int]
    answers: Mapping[TopicPartition, "Future[ListOffsetsResultInfo]"]


class EndOffsetPoller:
    """Asks for the ends of some partitions, about every second; for one thread.

    Args:
        settings: librdkafka's own, with `bootstrap.servers`.
        topic: Of the partitions.
        timeout_s: For one answer; meanwhile nothing else is asked.
    """

    def __init__(self, settings: Mapping[str, Any], topic: str, timeout_s: float) -> None:
        # Silent: the consumer beside it tells of the same broker.
        self._admin = AdminClient(
            {**settings, "client.id": "afterword-worker-ends", "log_level": 0}
        )
        self._topic, self._timeout_s = topic, timeout_s
        self._question: _Question | None = None
        self._next_s = 0.0

    def news(self, positions: Mapping[int, int]) -> EndOffsets | None:
        """Return an answer that has come since the last call, and ask again when it is time.

        Args:
            positions: By partition, the offset that the reading goes on from.
        """
        if self._question is None:
            if positions and time.monotonic() >= self._next_s:
                self._ask(positions)
            return None
        if not all(answer.done() for answer in self._question.answers.values()):
            return None
        question, self._question = self._question, None
        self._admin.poll(0)  # or its errors would pile up
        return _ends(question)

    def _ask(self, positions: Mapping[int, int]) -> None:
        self._next_s = time.monotonic() + _EVERY_S
        asked_at = datetime.now(UTC)  # before the question, or messages could come in between
        places = [TopicPartition(self._topic, number) for number in positions]
        try:
            # The end of all there is. What read_committed shows ends at the first open transaction,
            # and behind it others' messages may stand that are published and not to be read yet.
            answers = ask_ends(self._admin, places, LATEST, self._timeout_s)
        except KafkaException:
            return  # the work goes on without
        self._question = _Question(asked_at, dict(positions), answers)


def _ends(question: _Question) -> EndOffsets | None:
    ends = {}
    for place, answer in question.answers.items():
        if answer.exception() is None:
            end = answer.result().offset
            # An end before what was read already is of a log that was cut, or made anew.
            if end >= question.positions[place.partition]:
                ends[place.partition] = end
    return EndOffsets(question.asked_at, ends) if ends else None
