"""The second thread: it writes one batch at a time while the next one is being decoded.

    inserter.submit(batch)
    inserter.wait(timeout_s)       # True once there is nothing in flight
    inserter.finished()            # batches that are wholly in the store: commit their offsets

A batch is tried for ever, with growing pauses; only `abandon` ends the tries, and then nothing of
the batch is reported as finished.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue

from afterword_consumers.batch import Batch, resolve_patches
from afterword_consumers.rejections import Rejection
from afterword_consumers.sink import Sink
from afterword_schemas import BatchRefusedError, EventError, RejectCode, StoreError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before another try.

    Attributes:
        first_s: After the first failure; it doubles with each further one ...
        most_s: ... up to this. Each pause is shortened at random by up to a half, so that many
            workers do not come back at once.
    """

    first_s: float = 0.1
    most_s: float = 10.0

    def pause_s(self, failures: int) -> float:
        """Return the pause after so many failures in a row, at least one."""
        full = min(self.most_s, self.first_s * 2.0 ** min(failures - 1, 32))
        return full * random.uniform(0.5, 1.0)  # noqa: S311  # spreads load, guards nothing


class AbandonedError(Exception):
    """The worker ends, or lost its partitions: this batch is no longer ours to write."""


class Inserter:
    """Writes batches in a thread of its own, in the order in which they are submitted."""

    def __init__(self, sink: Sink, backoff: Backoff) -> None:
        self._sink, self._backoff = sink, backoff
        self._todo: SimpleQueue[Batch | None] = SimpleQueue()
        self._done: SimpleQueue[Batch] = SimpleQueue()
        self._idle = threading.Event()
        self._idle.set()
        self._abandoned = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="afterword-insert", daemon=True)
        self.retries = 0
        self._thread.start()

    def submit(self, batch: Batch) -> None:
        """Hand over a batch; the caller must not touch it again until it is finished."""
        self._idle.clear()
        self._todo.put(batch)

    def wait(self, timeout_s: float) -> bool:
        """Wait until nothing is in flight, and say whether that came about."""
        return self._idle.wait(timeout_s)

    def finished(self) -> list[Batch]:
        """Take the batches written since the last call.

        Raises:
            Exception: What ended the thread, if a fault of ours did.
        """
        if self._failure is not None:
            raise self._failure
        return [self._done.get() for _ in range(self._done.qsize())]

    def abandon(self) -> None:
        """Give up what is in flight at the next pause between tries, and end the thread."""
        self._abandoned.set()
        self._todo.put(None)

    def _run(self) -> None:
        while (batch := self._todo.get()) is not None:
            try:
                self._write(batch)
            except AbandonedError:
                return
            except BaseException as failure:  # noqa: BLE001  # raised again by `wait`
                self._failure = failure
                return
            finally:
                self._idle.set()

    def _write(self, batch: Batch) -> None:
        self._insist(lambda: resolve_patches(batch, self._sink))
        # Before the rows: read again after a crash, a patch that did not fit its base would be taken
        # for one that a later row of its id holds.
        judged = len(batch.rejections)
        self._record(batch.rejections)
        # Likewise: a question looks for a path only in the maps that the catalogue says it may be in.
        if batch.sightings:
            self._insist(lambda: self._sink.insert_sightings(batch.sightings))
        self._insert(batch, 0, len(batch))
        self._record(batch.rejections[judged:])
        self._done.put(batch)

    def _record(self, rejections: Sequence[Rejection]) -> None:
        if rejections:
            self._insist(lambda: self._sink.insert_rejections(rejections))

    def _insert(self, batch: Batch, start: int, stop: int) -> None:
        """Insert the lines from a position to before another; halve them until a refused one stands alone."""
        body = batch.body(start, stop)
        if not body:
            return
        token = f"{batch.token}:{start}-{stop}"
        try:
            self._insist(lambda: self._sink.insert_feedback(body, token), refusable=True)
        except BatchRefusedError as error:
            if stop - start == 1:
                self._reject(batch, start, error)
                return
            middle = (start + stop) // 2
            self._insert(batch, start, middle)
            self._insert(batch, middle, stop)

    def _reject(self, batch: Batch, position: int, error: BatchRefusedError) -> None:
        _log.error("ClickHouse refused a row, it is kept in feedback_rejected: %s", error)
        detail = f"ClickHouse refused the row: {error.detail}"
        refusal = EventError(RejectCode.STORE_REFUSED, "$", detail)
        batch.reject(batch.messages[position], refusal, time.time_ns() // 1_000_000)

    def _insist(self, action: Callable[[], None], *, refusable: bool = False) -> None:
        """Do something until it succeeds or, if that may be, is refused for good."""
        failures = 0
        while True:
            if self._abandoned.is_set():
                raise AbandonedError
            try:
                action()
            except StoreError as error:
                if refusable and isinstance(error, BatchRefusedError):
                    raise
                failures += 1
                self.retries += 1
                pause_s = self._backoff.pause_s(failures)
                _log.warning(
                    "try %d failed, the next in %.1f s; the batch is kept: %s",
                    failures,
                    pause_s,
                    error,
                )
                self._abandoned.wait(pause_s)
            else:
                return
