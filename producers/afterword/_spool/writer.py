"""The writing side of a spool: a message is on disk when `put` returns.

Threads that call at the same time share one statement, and so one wait for the disk: whoever gets
the lock writes for all who wait for it.
"""

import sqlite3
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Final

from afterword._errors import ClosedError, QueueFullError
from afterword._fork_gate import fork_gate
from afterword._spool.message import Message
from afterword._spool.queue_file import PAGE_BYTES, Row, SpoolFile, never_free
from afterword._transport import DeliveryCallback
from afterword_schemas.errors import AfterwordError, RetryableError

_INSERT: Final = "INSERT INTO queue (id, key, value, headers, timestamp_ms) VALUES "
_VALUES: Final = "(?, ?, ?, ?, ?)"
_MAX_CALLS: Final = 64
_RESERVE_BYTES: Final = 64 << 20  # or there would be no room to delete what is delivered


class SpoolWriter:
    """Writes what threads emit to this process's own file.

    Args:
        on_rows: Told of the rows that were written; quick, from any thread.
        on_disorder: Told that rows were written behind later ones.
        on_damage: Told that the file is damaged.
        fsync: See `SpoolFile.connect`.

    Attributes:
        limit_bytes: What the file may take; only the thread that delivers sets it.
        written: How many messages were written.
    """

    def __init__(
        self,
        *,
        limit_bytes: int,
        fsync: bool,
        on_rows: Callable[[list[Row]], None],
        on_disorder: Callable[[], None],
        on_damage: Callable[[SpoolFile, Exception], None],
    ) -> None:
        self.limit_bytes = limit_bytes
        self.written = 0
        self._fsync = fsync
        self._on_rows, self._on_disorder, self._on_damage = on_rows, on_disorder, on_damage
        self._calls: deque[_Call] = deque()
        self._ids = count(1)
        self._latest = 0
        self._file: SpoolFile | None = None
        self._db: sqlite3.Connection | None = None
        self._applied_bytes = 0
        self._closed = False

    def use(self, file: SpoolFile | None) -> None:
        """Write to this file from now on; to none, and calls fail until there is one."""
        if self._closed or file is self._file:
            return  # without the lock: see `ForkGate.writing`
        with fork_gate.writing:
            if self._db is not None:
                self._db.close()
            self._file, self._db = None, None
            if file is not None:
                self._db = file.connect(fsync=self._fsync)
                self._file = file
            self._applied_bytes = 0

    def put(self, message: Message, on_delivery: DeliveryCallback | None) -> None:
        """Write a message; errors as for `Transport.send`, and then nothing was written."""
        call = _Call(message, on_delivery)
        self._calls.append(call)
        with fork_gate.writing:
            if not call.over:
                self._write_all(call)
        if call.error is not None:
            raise call.error

    def close(self) -> None:
        """Take nothing more."""
        with fork_gate.writing:
            self.use(None)
            self._closed = True

    def abandon(self) -> None:
        """In a forked child: see `SpoolFile.abandon`."""
        if self._db is not None:
            never_free(self._db)

    def _write_all(self, own: "_Call") -> None:
        calls = self._gather(own)
        try:
            failure = self._write(calls)
        except (sqlite3.Error, OSError) as error:
            failure = self._explain(error)
        for call in calls:
            call.error = failure() if failure else None
            call.over = True

    def _gather(self, own: "_Call") -> list["_Call"]:
        calls = [own]
        while self._calls and len(calls) < _MAX_CALLS:
            call = self._calls.popleft()
            if not call.over and call is not own:
                calls.append(call)
        return calls

    def _write(self, calls: list["_Call"]) -> Callable[[], AfterwordError] | None:
        if self._closed:
            return ClosedError
        file, db = self._file, self._db  # a signal handler may close them in between
        if file is None or db is None:
            return lambda: RetryableError("the spool has no file to write to, see the log")
        if (free_bytes := file.free_bytes()) < _RESERVE_BYTES:
            kept_mib = _RESERVE_BYTES >> 20
            detail = (
                f"the spool leaves the last {kept_mib} MiB of its disk free, and it has only"
                f" {free_bytes} bytes left, this event was not taken"
            )
            return lambda: QueueFullError(detail)
        rows = [Row(file, next(self._ids), *call.message) for call in calls]
        for row, call in zip(rows, calls, strict=True):
            if call.on_delivery is not None:  # before the statement: at its end a row may be sent
                file.reports.add(row.id, call.on_delivery)
        try:
            self._limit(db)
            values = ", ".join([_VALUES] * len(rows))
            db.execute(_INSERT + values, [column for row in rows for column in row[1:]])
        except BaseException:
            file.reports.withdraw(row.id for row in rows)
            raise
        if rows[0].id < self._latest:  # a signal handler emitted while this thread was in here
            self._on_disorder()
        self._latest = max(self._latest, rows[-1].id)
        self.written += len(rows)
        file.reports.confirm(len(rows))
        self._on_rows(rows)
        return None

    def _limit(self, db: sqlite3.Connection) -> None:
        if self.limit_bytes != self._applied_bytes:
            limit_bytes = self.limit_bytes
            pages = max(1, limit_bytes // PAGE_BYTES)
            db.execute(f"PRAGMA max_page_count = {pages}")
            self._applied_bytes = limit_bytes

    def _explain(self, error: sqlite3.Error | OSError) -> Callable[[], AfterwordError]:
        if self._closed:
            return ClosedError
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            detail = f"the spool is full at {self.limit_bytes} bytes, this event was not taken"
            return lambda: QueueFullError(detail)
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            locked = f"another program has locked {self._file}/queue.db, this event was not taken"
            return lambda: RetryableError(locked)
        if self._file is not None and self._file.is_damaged_by(error):
            self._on_damage(self._file, error)
        detail = f"the spool did not take this event: {error}"
        return lambda: RetryableError(detail)


class _Call:
    """A thread's wish to have one message on disk."""

    __slots__ = ("error", "message", "on_delivery", "over")

    def __init__(self, message: Message, on_delivery: DeliveryCallback | None) -> None:
        self.message, self.on_delivery = message, on_delivery
        self.over = False
        self.error: AfterwordError | None = None
