"""The time up to which the tables are complete, told beside every answer; it never says too much.

    reader = FreshnessReader("127.0.0.1:9092", topic="feedback.events", group="afterword", settings={})
    fresh = reader.read()          # before the tables are read
    fresh.complete_until         # everything published by then is stored, or was rejected

The workers record it beside the offsets that they commit (`completeness`), and Kafka tells what has come
since. So it holds whether the workers are busy, stopped, or were killed.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from afterword_consumers.kafka.lag import LagReader, PartitionLag
from afterword_consumers.query import Freshness
from afterword_schemas import AccessError, ConfigurationError, RetryableError

_OLD: Final = timedelta(seconds=30)
"""A worker that keeps up is not further behind than this, so a note says why it may be."""


class FreshnessReader:
    """Reads the freshness; connects at first use, and is safe across threads.

    Args:
        bootstrap_servers: `host:port`, several with commas.
        topic: What the workers read.
        group: As what.
        settings: librdkafka's own, by their dotted names.
        timeout_s: For one question to Kafka.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        topic: str,
        group: str,
        settings: Mapping[str, Any] | None = None,
        timeout_s: float = 2.0,
    ) -> None:
        self._bootstrap_servers, self._topic, self._group = bootstrap_servers, topic, group
        self._settings, self._timeout_s = settings or {}, timeout_s
        self._reading = threading.Lock()
        self._reader: LagReader | None = None
        self._last = Freshness(None, None)
        self._last_began_s = float("-inf")

    def read(self) -> Freshness:
        """Return how complete the tables are; call it before they are read, not after.

        Never raises: without Kafka nothing is known, and the note says so.
        """
        came_s = time.monotonic()
        with self._reading:
            # Who had to wait takes an answer that was asked for meanwhile.
            if self._last_began_s < came_s:
                self._last_began_s = time.monotonic()
                self._last = self._read()
            return self._last

    def close(self) -> None:
        """Close the connection, if one was opened."""
        with self._reading:
            self._drop()

    def _read(self) -> Freshness:
        asked_at = datetime.now(UTC)  # before the first question, which asks for nothing later
        try:
            if self._reader is None:
                self._reader = LagReader(self._bootstrap_servers, self._settings)
            lags = self._reader.read(self._topic, self._group, self._timeout_s)
        except (
            ConfigurationError
        ):  # whose words name brokers, which not everybody should read who asks
            return Freshness(None, None, f"{_WRONG} So {_UNKNOWN}")
        except AccessError:
            self._drop()
            return Freshness(None, None, f"Kafka does not let Afterword in, so {_UNKNOWN}")
        except RetryableError:
            self._drop()  # a new one notices at once that nobody listens; this one would wait
            return Freshness(None, None, f"Kafka does not answer, so {_UNKNOWN}")
        return judge(lags, asked_at)

    def _drop(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()


_WRONG: Final = "Kafka lacks the topic, or refuses the settings: see `afterword doctor`."
_UNKNOWN: Final = "how complete this is, is not known."


def judge(lags: Sequence[PartitionLag], asked_at: datetime) -> Freshness:
    """Return what the lags of all partitions, asked for after a time, say of the tables."""
    times = [_complete_until(at, asked_at) for at in lags]
    known = [time for time in times if time is not None]
    complete_until = min(known) if known and len(known) == len(times) else None
    waiting = sum(at.lag for at in lags)
    note = ""
    if complete_until is None or asked_at - complete_until > _OLD:
        note = _why(lags, waiting)
    return Freshness(complete_until, waiting, note, {at.partition: at.lag for at in lags})


def _complete_until(at: PartitionLag, asked_at: datetime) -> datetime | None:
    if at.end == 0 and not at.committed:
        return asked_at
    # An offset by itself proves nothing, as anyone may set it, nor does an emptied log: only what a
    # worker said, which is only of this topic.
    if at.committed == at.end and at.caught_up is not None:
        return asked_at
    # Beyond the end too: the log was cut, and has grown by messages that nobody has read.
    return None if at.caught_up is None else min(at.caught_up, asked_at)


def _why(lags: Sequence[PartitionLag], waiting: int) -> str:
    if all(at.committed is None for at in lags):
        return "No worker has read this topic yet."
    if any(at.committed is not None and at.committed > at.end for at in lags):
        return (
            "The topic ends before the place that the workers have reached: messages were lost "
            "in Kafka, or the topic was made anew."
        )
    if any((at.committed or 0) < at.begin for at in lags):
        return "Kafka has deleted messages before a worker read them."
    if not waiting:
        return "No worker has confirmed yet that it read up to the end."
    noun = "message waits" if waiting == 1 else "messages wait"
    return f"The worker is behind, or stopped: {waiting:,} {noun}."
