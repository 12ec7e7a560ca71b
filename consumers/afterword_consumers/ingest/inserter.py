"""The second thread: it writes one batch at a time while the next one is being decoded.

    inserter.submit(batch)
    inserter.wait(timeout_s)       # True once there is nothing in flight
    inserter.finished()            # batches that are wholly in the store: commit their offsets

A batch is tried for ever, with growing pauses; only `abandon` ends the tries, and then nothing of
the batch is reported as finished.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Final, TypeVar

from afterword_consumers.ingest.batch import Batch
from afterword_consumers.ingest.chains import DEFAULT_PIECE_BYTES, Piece, Resolver
from afterword_consumers.ingest.portions import portions
from afterword_consumers.ingest.rejection import Rejection
from afterword_consumers.ingest.rows import Key
from afterword_consumers.ingest.sink import Sink
from afterword_schemas import InvalidEventError, RejectCode, RetryableError, RowsRejectedError
from afterword_schemas.backoff import Backoff

_log = logging.getLogger(__name__)

_Result = TypeVar("_Result")

_NO_TABLES: Final = {
    16,  # NO_SUCH_COLUMN_IN_TABLE
    60,  # UNKNOWN_TABLE
    81,  # UNKNOWN_DATABASE
}
_NEXT_STEP: Final = " (the tables are missing or old: run `afterword migrate`)"


class AbandonedError(Exception):
    """The worker ends, or lost its partitions: this batch is no longer ours to write."""


class Inserter:
    """Writes batches in a thread of its own, in the order in which they are submitted.

    Args:
        sink: Where to.
        backoff: How long to wait between tries.
        piece_bytes: About how much is made of what is stored before it is written.
    """

    def __init__(
        self, sink: Sink, backoff: Backoff, *, piece_bytes: int = DEFAULT_PIECE_BYTES
    ) -> None:
        self._sink, self._backoff, self._piece_bytes = sink, backoff, piece_bytes
        self._todo: SimpleQueue[Batch | None] = SimpleQueue()
        self._done: SimpleQueue[Batch] = SimpleQueue()
        self._idle = threading.Event()
        self._idle.set()
        self._abandoned = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="afterword-insert", daemon=True)
        self._writing_since_s: float | None = None
        self.retries = 0
        self._thread.start()

    def submit(self, batch: Batch) -> None:
        """Hand over a batch; the caller must not touch it again until it is finished."""
        self._idle.clear()
        self._todo.put(batch)

    @property
    def waited_s(self) -> float:
        """How long the batch in flight has taken so far, 0 while there is none.

        Of the batch, not of each request for it: one that goes in slowly is waited for once.
        """
        since_s = self._writing_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

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
            self._writing_since_s = time.monotonic()
            try:
                self._write(batch)
            except AbandonedError:
                return
            except BaseException as failure:  # noqa: BLE001  # raised again by `finished`
                self._failure = failure
                return
            finally:
                self._writing_since_s = None
                self._idle.set()

    def _write(self, batch: Batch) -> None:
        self._record(batch.rejections)
        # Before the rows: a question looks for a path only in the maps that the path index names.
        for portion in portions(batch.paths_seen, lambda path_seen: path_seen.size):
            self._insist(partial(self._sink.insert_paths_seen, portion))
        chains = batch.chains()
        self._insert(batch, lambda position, error: self._reject(batch, position, error))
        self._write_chains(batch, chains)
        self._done.put(batch)

    def _write_chains(self, batch: Batch, chains: Mapping[Key, list[int]]) -> None:
        """Write the events that need what is stored, and those of the same ids, in their order."""
        resolver = Resolver(batch, chains, self._sink, max_bytes=self._piece_bytes)
        while not resolver.is_done:
            self._write_piece(batch, self._insist(resolver.next_piece))

    def _write_piece(self, batch: Batch, piece: Piece) -> None:
        # Before the rows: read again after a crash, a patch that did not fit its base would be taken
        # for one that a later row of its id holds.
        for position, error in piece.rejected:
            batch.reject(batch.messages[position], error, time.time_ns() // 1_000_000)
        self._record(batch.rejections[len(batch.rejections) - len(piece.rejected) :])

        def reject_row(row: int, error: RowsRejectedError) -> None:
            chain_key, positions = piece.chains[row]
            if len(positions) == 1:
                self._reject(batch, positions[0], error)
                return
            # One of its events is at fault: written by halves, in their order, it stands alone at last.
            middle = len(positions) // 2
            for half in (positions[:middle], positions[middle:]):
                self._write_chains(batch, {chain_key: half})

        self._insert(piece, reject_row)

    def _record(self, rejections: Sequence[Rejection]) -> None:
        for portion in portions(rejections, lambda rejection: rejection.size):
            self._insist(partial(self._sink.insert_rejections, portion))

    def _insert(
        self, lines: Batch | Piece, reject_row: Callable[[int, RowsRejectedError], None]
    ) -> None:
        """Insert lines; halve them until one that ClickHouse refuses stands alone."""
        stretches = [(0, len(lines))]
        while stretches:
            start, stop = stretches.pop()
            body = lines.body(start, stop)
            if not body:
                continue
            try:
                self._insist(
                    partial(self._sink.insert_feedback, body, f"{lines.token}:{start}-{stop}")
                )
            except RowsRejectedError as error:
                if stop - start == 1:
                    reject_row(start, error)
                else:
                    middle = (start + stop) // 2
                    stretches += [(middle, stop), (start, middle)]

    def _reject(self, batch: Batch, position: int, error: RowsRejectedError) -> None:
        _log.error("ClickHouse refused a row, it is kept in feedback_rejected: %s", error)
        detail = f"ClickHouse refused the row: {error.detail}"
        invalid = InvalidEventError(RejectCode.STORE_REFUSED, "$", detail)
        batch.reject(batch.messages[position], invalid, time.time_ns() // 1_000_000)
        self._record(batch.rejections[-1:])

    def _insist(self, action: Callable[[], _Result]) -> _Result:
        """Do something until it succeeds; only `RowsRejectedError` ends it with an error."""
        failures = 0
        while True:
            if self._abandoned.is_set():
                raise AbandonedError
            try:
                return action()
            except RetryableError as error:
                failures += 1
                self.retries += 1
                self._pause(failures, error)

    def _pause(self, failures: int, error: RetryableError) -> None:
        pause_s = self._backoff.pause_s(failures)
        _log.warning(
            "try %d failed, the next in %.1f s; the batch is kept: %s%s",
            failures,
            pause_s,
            error,
            _NEXT_STEP if error.store_code in _NO_TABLES else "",
        )
        self._abandoned.wait(pause_s)
