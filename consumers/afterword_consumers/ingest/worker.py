"""The worker: fetch, judge, flatten, batch, insert, commit.

    Worker(source, sink, WorkerOptions()).run()        # until `stop`, from a signal handler perhaps

An offset is committed only after the store has acknowledged every row that the messages before it
made. So a message is read again after a crash, never skipped; and a row written twice replaces
itself, so the result is exact. At most two batches are in memory: one being filled, one in flight.
"""

import gc
import logging
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from afterword_consumers.ingest.batch import DEFAULT_MAX_BYTES, Batch
from afterword_consumers.ingest.inserter import Inserter
from afterword_consumers.ingest.path_index import PathIndex
from afterword_consumers.ingest.reminder import Reminder
from afterword_consumers.ingest.sink import Sink
from afterword_consumers.ingest.source import Committed, Source
from afterword_consumers.ingest.watermark import Watermark
from afterword_schemas import RetryableError
from afterword_schemas.backoff import Backoff

if TYPE_CHECKING:
    from afterword_consumers.ingest.source import Message

_log = logging.getLogger(__name__)

_FETCH_ROWS: Final = 10_000
_FETCH_TIMEOUT_S: Final = 0.05
"""A fetch that finds fewer messages than it asked for lasts this long, whatever it found."""

_FULL_WAIT_S: Final = 1.0
"""How long a full batch waits for the insert before fetching is paused: pausing throws away what
the client has fetched ahead."""

_RENEW_AFTER: Final = timedelta(seconds=10)
"""How old the time beside a committed offset may get while there is nothing else to commit."""

_STORE_HANGS_S: Final = 30.0
"""How long the store may take before the log says that the worker waits for it."""

_REJOIN_EVERY_S: Final = 1.0
"""How often a worker looks whether a topic that was deleted is there again."""

_ANSWERED: Final = timedelta(seconds=3)
"""A broker that has not told its ends for so long may be away: an end does not wait for it."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """When a batch closes, and how long an end may take.

    Attributes:
        batch_max_rows: A batch closes at this many messages,
        batch_max_bytes: at this many bytes of messages, or of rows made of them,
        batch_max_age_s: or when its first message has waited this long.
        drain_timeout_s: How long a stop or a revoke waits for inserts; then they are left to the
            partition's next owner.
    """

    batch_max_rows: int = 100_000
    batch_max_bytes: int = DEFAULT_MAX_BYTES
    batch_max_age_s: float = 1.0
    drain_timeout_s: float = 20.0
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(slots=True)
class WorkerStats:
    """What this worker has done so far; every message it finished is stored or rejected.

    Attributes:
        stored: Messages whose row is in the store, patches that added nothing included.
        rejected: Messages kept in `feedback_rejected`.
        batches: Batches committed.
        retries: Tries to write that failed.
    """

    stored: int = 0
    rejected: int = 0
    batches: int = 0
    retries: int = 0


class Worker:
    """One member of the consumer group; run it in the thread that may take signals."""

    def __init__(self, source: Source, sink: Sink, options: WorkerOptions) -> None:
        self.stats = WorkerStats()
        self._source, self._sink, self._options = source, sink, options
        self._path_index = PathIndex()
        self._completeness = Watermark()
        self._asked_at = datetime.fromtimestamp(0, UTC)
        self._topic_reminder = Reminder(first_s=0.0)
        self._store_reminder = Reminder(first_s=_STORE_HANGS_S)
        self._stopping, self._aborting = threading.Event(), threading.Event()

    def run(self) -> None:
        """Work until stopped, then write and commit what was fetched, and leave the group.

        Raises:
            ConfigurationError: A person must act before any worker can go on.
        """
        self._inserter = Inserter(self._sink, self._options.backoff)
        self._batch, self._opened_s = self._new_batch(), 0.0
        self._left: Sequence[Message] = ()
        self._in_flight: Batch | None = None
        self._to_commit: dict[int, int] = {}
        self._paused = False
        self._gone_since_s = time.monotonic()
        # Nothing made in the loop refers back to itself, so the collector would only walk over
        # 100,000 rows again and again: it is a third of the time.
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            self._source.subscribe(self)
            while not self._stopping.is_set():
                self._step()
            self._drain()
        finally:
            gc.enable()
            gc.unfreeze()
            self._stopping.set()  # after an error too: nothing is left to wait for in a revoke
            self._inserter.abandon()
            self._source.close()

    def stop(self) -> None:
        """End after what was fetched is written; safe in a signal handler."""
        self._stopping.set()

    def abort(self) -> None:
        """End now, without writing: what is not committed is read again by the next owner."""
        self._aborting.set()
        self._stopping.set()

    def on_assigned(self, committed: Mapping[int, Committed]) -> None:
        """Go on from what the last owner could prove."""
        self._completeness.assign(committed, datetime.now(UTC))

    def on_revoked(self, partitions: Collection[int]) -> None:
        """Finish and commit within the time allowed, or leave it to the next owner."""
        if not self._stopping.is_set():
            self._drain()
        self.on_lost(partitions)

    def on_lost(self, partitions: Collection[int]) -> None:
        """Forget the offsets: rows still on their way are written, and again by the next owner."""
        in_flight = {} if self._in_flight is None else self._in_flight.next_offsets
        for offsets in (self._batch.next_offsets, in_flight, self._to_commit):
            for partition in partitions:
                offsets.pop(partition, None)
        self._left = [message for message in self._left if message.partition() not in partitions]
        self._completeness.forget(partitions)

    def _step(self) -> None:
        self._tell_of_waiting()
        self._settle()
        self._look_ahead()
        if self._source.topic_is_gone:
            self._begin_anew()
            return
        self._gone_since_s = time.monotonic()
        if self._is_full() and not self._inserter.wait(_FULL_WAIT_S):
            self._keep_alive()
            return
        if self._is_due() and self._inserter.wait(0):
            self._settle()
            self._hand_over()
        self._fetch()

    def _fetch(self) -> None:
        if self._paused:
            self._source.resume()
            self._paused = False
        room = self._options.batch_max_rows - self._batch.count
        if room <= 0:
            return
        if not self._left:
            try:
                self._left = self._source.poll(min(room, _FETCH_ROWS), _FETCH_TIMEOUT_S)
            except RetryableError as error:
                _log.warning("fetching failed, nothing is skipped: %s", error)
                self._stopping.wait(_FETCH_TIMEOUT_S)
                return
        self._take(room)

    def _take(self, room: int) -> None:
        """Take what was fetched into the batch, as far as it has room."""
        if self._left and not self._batch.count:
            self._opened_s = time.monotonic()
        taken = self._batch.take(self._left[:room], self._path_index)
        self._left = self._left[taken:]

    def _keep_alive(self) -> None:
        """Stay in the group while the store is slow or away: paused, but polling."""
        if not self._paused:
            self._source.pause()
            self._paused = True
        try:
            messages = self._source.poll(1, _FETCH_TIMEOUT_S)
        except RetryableError as error:
            _log.warning("the broker does not answer either: %s", error)
            return
        # A partition that was assigned since the pause may still hand out something.
        self._left = [*self._left, *messages]

    def _begin_anew(self) -> None:
        """Store what was read of a topic that is gone, then read the one that has its name now."""
        if not self._inserter.wait(_FULL_WAIT_S):
            return
        self._settle()
        self._take(self._options.batch_max_rows - self._batch.count)
        if self._batch.count:
            self._hand_over()
            return
        try:
            self._source.rejoin()
        except RetryableError as error:
            if self._topic_reminder.is_due(time.monotonic() - self._gone_since_s):
                _log.warning("waiting for the topic: %s", error)
            self._stopping.wait(_REJOIN_EVERY_S)
            return
        self._batch = self._new_batch()
        self._completeness = Watermark()
        self._topic_reminder = Reminder(first_s=0.0)
        self._paused = False

    def _is_full(self) -> bool:
        return self._batch.is_full or self._batch.count >= self._options.batch_max_rows

    def _is_due(self) -> bool:
        if not self._batch.count:
            return False
        age_s = time.monotonic() - self._opened_s
        return self._is_full() or age_s >= self._options.batch_max_age_s

    def _hand_over(self) -> None:
        self._in_flight = self._batch
        self._batch = self._new_batch()
        self._inserter.submit(self._in_flight)

    def _new_batch(self) -> Batch:
        return Batch(self._source.topic_id, max_bytes=self._options.batch_max_bytes)

    def _settle(self) -> None:
        """Commit what has been written since the last time."""
        self.stats.retries = self._inserter.retries
        for batch in self._inserter.finished():
            self._in_flight = None
            self.stats.batches += 1
            self.stats.rejected += len(batch.rejections)
            self.stats.stored += batch.count - len(batch.rejections)
            self._to_commit |= batch.next_offsets
        if self._to_commit and not self._source.topic_is_gone:
            self._commit()
        gc.collect(0)

    def _look_ahead(self) -> None:
        """Learn how far the topic goes, for commits to say until when they are complete."""
        ends = self._source.end_offsets()
        if ends is not None:
            self._asked_at = ends.asked_at
            self._completeness.learn(ends)
            self._renew(_RENEW_AFTER)

    def _renew(self, after: timedelta) -> None:
        """Commit again where nothing came, with the later time; a failure costs no more than that."""
        offsets = {} if self._to_commit else self._completeness.overdue(after)
        if offsets:
            times = self._completeness.proven(offsets)
            try:
                self._source.commit(offsets, times)
            except RetryableError as error:
                _log.info("the time of the last commit stays as it is: %s", error)
            else:
                self._completeness.record(offsets, times)

    def _commit(self) -> None:
        times = self._completeness.proven(self._to_commit)
        try:
            self._source.commit(self._to_commit, times)
        except RetryableError as error:
            # The rows are safe: it is tried again, or the next owner writes them again.
            _log.warning("committing failed, the rows are stored: %s", error)
            self._stopping.wait(_FETCH_TIMEOUT_S)
        else:
            self._completeness.record(self._to_commit, times)
            self._to_commit = {}

    def _tell_of_waiting(self) -> None:
        """Say that the store hangs: a request may last for minutes before it fails."""
        waited_s = self._inserter.waited_s
        if self._store_reminder.is_due(waited_s):
            _log.warning("waiting for ClickHouse for %.0f s; the batch is kept", waited_s)

    def _drain(self) -> None:
        """Write and commit what was fetched, as far as the time allows."""
        deadline_s = time.monotonic() + self._options.drain_timeout_s
        while not self._aborting.is_set():
            self._tell_of_waiting()
            if self._inserter.wait(0.05):
                self._settle()
                self._take(self._options.batch_max_rows - self._batch.count)
                if self._batch.count:
                    self._hand_over()
                elif self._source.topic_is_gone:
                    return
                elif not self._to_commit:
                    if datetime.now(UTC) - self._asked_at < _ANSWERED:
                        self._renew(timedelta(0))
                    return
            if time.monotonic() > deadline_s:
                _log.warning("the store did not answer in time; the next owner writes it again")
                return
