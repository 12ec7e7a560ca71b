"""The reading side of a spool: one thread that delivers what is on disk, and then deletes it.

It alone decides. All that others have to say to it, rows that were written and reports of
deliveries, comes as calls through one queue, which any thread and any signal handler may fill.
"""

import logging
import queue  # by its full name: gunicorn lets gevent patch it after this was imported
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from math import inf
from pathlib import Path
from queue import Empty
from typing import Final

from afterword._errors import ClosedError, DeliveryFailure, QueueFullError, RefusedError
from afterword._spool.dead_letters import REFUSED, keep_refused
from afterword._spool.files import SpoolFiles
from afterword._spool.in_flight import Window
from afterword._spool.message import parse_headers
from afterword._spool.queue_file import Row, SpoolFile
from afterword._spool.writer import SpoolWriter
from afterword._threads import Background
from afterword._transport import Transport, report
from afterword_schemas.backoff import Backoff
from afterword_schemas.errors import RejectCode, RetryableError

Listener = Callable[[bytes, DeliveryFailure | None], None]
"""Told of a message's key, empty if it is lost with its file, and of its end as a callback is."""

_log = logging.getLogger("afterword")

_SCAN_S: Final = 5.0
_FORGET_S: Final = 0.05
_FULL_S: Final = 0.05
_TROUBLE_S: Final = 1.0
_BACKOFF: Final = Backoff(first_s=0.1, max_s=5.0)
_JOIN_S: Final = 5.0


class Drainer:
    """One process's part in a spool, from its first message to `end`.

    Args:
        inner: What carries messages on.
        root: The folder of the spool.
        listener: Told of the end of each message that came without a callback.
        max_bytes: See `SpoolTransport`.
        fsync: See `SpoolTransport`.

    Attributes:
        writer: Where messages come in.

    Raises:
        ConfigurationError: The folder cannot be used.
    """

    def __init__(
        self, inner: Transport, root: Path, listener: Listener, *, max_bytes: int, fsync: bool
    ) -> None:
        self._inner, self._root, self._max_bytes = inner, root, max_bytes
        self._listener = listener
        self._settled = 0
        self._mail: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._window = Window()
        self._files = SpoolFiles(root, self._replace)
        self.writer = SpoolWriter(
            limit_bytes=max_bytes,
            fsync=fsync,
            on_rows=self._told,
            on_disorder=partial(self._mail.put, self._reread),
            on_damage=lambda file, error: self._mail.put(partial(self._rescue, file, error)),
        )
        self.writer.use(self._files.own)
        self._direct = False  # whether all that is on disk was read, so that rows come by mail
        self._halted = self._over = self._full = self._troubled = False
        self._refused = self._unkept = False
        self._retries = 0
        self._scan_at, self._retry_at, self._forget_at = 0.0, inf, inf
        self._thread = Background(self._run, "afterword-spool")
        self._thread.start()

    @property
    def adopted(self) -> int:
        """How many messages of processes that are gone wait here."""
        return self._files.adopted_rows

    @property
    def waiting(self) -> int:
        """How many messages of this process's own have no end yet."""
        return self.writer.written - self._settled

    def start(self) -> bool:
        """Have a thread do the work; False where none can, and `work` must be called."""
        return self._thread.start()

    def work(self, timeout_s: float) -> None:
        """Do what is to be done now, and wait for reports for a while."""
        try:
            self._round(timeout_s)
            self._troubled = False
        except Exception as error:  # noqa: BLE001  # whatever it is: what waits is not given up
            self._endure(error)

    def halt(self) -> None:
        """Hand nothing more over; reports of what is under way still count."""
        self._mail.put(self._halt)

    def end(self) -> None:
        """Delete what is delivered, leave the rest on disk, and end the thread."""
        self._mail.put(self._end)
        if self._thread.started:
            self._thread.join(_JOIN_S)
        else:
            self._read_mail(0.0)

    def abandon(self) -> None:
        """In a forked child: leave everything to the parent."""
        self.writer.abandon()
        self._files.abandon()

    def _run(self) -> None:
        while not self._over:
            self.work(inf)

    def _endure(self, error: Exception) -> None:
        if not self._troubled:
            unknown = not isinstance(error, (sqlite3.Error, OSError))
            message = "The spool %s is in trouble, and tries again: %s"
            _log.error(message, self._root, error, exc_info=unknown)
        self._troubled = True
        self._forget_at = 0.0
        time.sleep(_TROUBLE_S)

    def _round(self, timeout_s: float) -> None:
        now = time.monotonic()
        if not self._halted:
            self._full = False
            if now >= self._scan_at:
                self._scan(now)
            if now >= self._retry_at:
                self._retry()
            self._load()
            self._hand_over()
        if now >= self._forget_at:
            self._forget_at = inf
            self._files.forget()
            if self._files.crowded and self._files.has_room:
                self._scan_at = now
        due = min(self._scan_at, self._retry_at, self._forget_at)
        wait_s = _FULL_S if self._full else max(0.0, due - time.monotonic())
        self._read_mail(min(wait_s, timeout_s))

    def _read_mail(self, timeout_s: float) -> None:
        try:
            job = self._mail.get(timeout=timeout_s)
        except Empty:
            return
        job()
        for _ in range(self._mail.qsize()):
            self._mail.get()()

    def _scan(self, now: float) -> None:
        self._scan_at = now + _SCAN_S  # first, so that trouble here does not keep all else waiting
        self.writer.use(self._files.renew())
        if self._files.adopt():
            self._direct = False
        self.writer.limit_bytes = self._max_bytes - self._files.adopted_bytes

    def _load(self) -> None:
        if self._direct or not self._window.has_room:
            return
        self._direct = True  # what is written from here on comes by mail, and what was before ...
        while self._window.has_room:
            rows = self._files.page()
            if not rows:
                return  # ... is read
            self._window.take(rows)
            self._hand_over()
        self._direct = False

    def _told(self, rows: list[Row]) -> None:
        if self._direct:
            self._mail.put(partial(self._take, rows))

    def _take(self, rows: list[Row]) -> None:
        if not self._window.has_room:
            self._direct = False
        file = rows[-1].file
        if self._direct and not file.gone:
            self._window.take(file.follow(rows))

    def _hand_over(self) -> None:
        while (row := self._window.next_row()) is not None:
            try:
                self._send(row)
            except (QueueFullError, ClosedError):
                self._full = True
                return
            except (RetryableError, RefusedError) as error:
                self._window.pass_on()
                self._settle(row, error)
            except Exception as error:  # noqa: BLE001  # whatever it is: the others need not wait for it
                self._window.pass_on()
                self._settle(row, RetryableError(f"{type(error).__name__}: {error}"))
            else:
                self._window.pass_on()

    def _send(self, row: Row) -> None:
        try:
            headers = parse_headers(row.headers)
        except (ValueError, TypeError, AttributeError):
            detail = "what stands in the spool is not what was written"
            raise RefusedError(RejectCode.INVALID_JSON, "$", detail) from None
        report = partial(self._report, row)
        self._inner.send(row.key, row.value, headers, report, timestamp_ms=row.timestamp_ms)

    def _report(self, row: Row, error: DeliveryFailure | None) -> None:
        self._mail.put(partial(self._settle, row, error))

    def _settle(self, row: Row, error: DeliveryFailure | None) -> None:
        if error is not None and not row.file.gone and not self._keep_refused(row, error):
            self._postpone(row, error)
            return
        self._window.finish(row)
        if self._window.is_quiet:
            self._retries = 0
        row.file.finish(row.id)
        self._forget_at = min(self._forget_at, time.monotonic() + _FORGET_S)
        if row.file.mine:
            self._tell(row.file, row.id, row.key, error)

    def _tell(
        self, file: SpoolFile, row_id: int, key: bytes, error: DeliveryFailure | None
    ) -> None:
        self._settled += 1
        if on_delivery := file.reports.settle(row_id):
            report(on_delivery, error)
        else:
            self._listener(key, error)

    def _keep_refused(self, row: Row, error: DeliveryFailure) -> bool:
        if not isinstance(error, RefusedError):
            return False
        try:
            keep_refused(self._root, row, error, limit_bytes=self._max_bytes)
        except (sqlite3.Error, OSError) as trouble:
            if not self._unkept:
                message = (
                    "%s cannot be written, so refused events wait: %s. Make room, or move it away."
                )
                _log.error(message, self._root / REFUSED, trouble)
            self._unkept = True
            return False
        self._unkept = False
        if not self._refused:
            message = "%s was refused: %s. It is kept in %s; the next are only kept."
            _log.warning(message, row.key.decode(errors="replace"), error, self._root / REFUSED)
        self._refused = True
        return True

    def _postpone(self, row: Row, error: DeliveryFailure) -> None:
        self._window.postpone(row)
        if self._halted or self._retry_at < inf:
            return
        if not self._retries:
            _log.warning("Events wait in %s, and are tried again: %s", self._root, error)
        self._retries += 1
        self._retry_at = time.monotonic() + _BACKOFF.pause_s(self._retries)

    def _retry(self) -> None:
        self._retry_at = inf
        self._window.rewind()
        self._reread()

    def _reread(self) -> None:
        self._files.rewind()
        self._direct = False

    def _rescue(self, file: SpoolFile, error: Exception) -> None:
        """Write to another file; what is in one that somebody removed is read, for it is still open."""
        if file.folder.exists():
            self._files.give_up(file, error)
        else:
            self.writer.use(self._files.renew())

    def _replace(self, file: SpoolFile, reason: str) -> None:
        if not file.mine:
            return
        try:
            self.writer.use(self._files.renew())  # first, so that nothing more is written to it
        finally:
            self._tell_lost(file, RetryableError(reason))

    def _tell_lost(self, file: SpoolFile, error: DeliveryFailure) -> None:
        for row_id in file.missing():  # whose those without an id were, only the file knew
            self._tell(file, row_id, b"", error)

    def _halt(self) -> None:
        self._halted = True

    def _end(self) -> None:
        self._over = True
        self._files.close()
