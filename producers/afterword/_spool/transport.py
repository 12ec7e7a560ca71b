"""The durable mode: what was taken outlives the process, and is forgotten once it is delivered.

    client = Client("localhost:9092", project="support-bot", spool="/var/lib/support-bot/feedback")

Each message is in a SQLite file on disk before `send` returns, and stays there until the transport
below reports it delivered; that it reports a failure, or nothing at all, only means another try.
Processes share a folder and write a file of their own in it; the files of those that died are
adopted and delivered by the others, or by the next to start.
"""

import logging
import os
import time
from pathlib import Path
from typing import Final

from afterword._errors import ClosedError, DeliveryFailure
from afterword._fork_gate import fork_gate
from afterword._spool.delivery import Drainer, Listener
from afterword._spool.message import Message, dump_headers
from afterword._transport import DeliveryCallback, Headers, Transport
from afterword_schemas.counted import counted
from afterword_schemas.errors import ConfigurationError, RetryableError

_log = logging.getLogger("afterword")

_DEFAULT_BYTES: Final = 1 << 30
_TICK_S: Final = 0.005
_PUSH_S: Final = 0.05


class SpoolTransport:
    """Puts a transport behind a queue on disk; see `Transport`.

    A message fails only if the transport below says `RefusedError`; it is then kept in
    `refused.db`. What `close` cannot deliver waits for the next process and is not reported.

    Args:
        inner: What delivers; closed with this one, also when this one cannot be made.
        path: A folder on a local disk, for all processes that send to the same place, and for no
            others: it is made, readable by its owner only. Absolute, or it depends on where the
            process starts.
        max_bytes: What may wait on disk for this process, with what it adopted.
        fsync: Whether a message is safe from a power cut too, which costs `send` a wait for the
            disk. Without, it is safe from whatever may happen to the process alone.

    Attributes:
        listener: Told of the end of each message that was sent without a callback. It is what a
            client uses: a callback for each of millions that wait would fill the memory.

    Raises:
        ConfigurationError: The folder cannot be used, or the system has no locks that end with a process.
    """

    def __init__(
        self,
        inner: Transport,
        path: str | os.PathLike[str],
        *,
        max_bytes: int = _DEFAULT_BYTES,
        fsync: bool = True,
    ) -> None:
        self._inner = inner
        self._root = Path(path).absolute()
        self._max_bytes, self._fsync = max_bytes, fsync
        self._closed = False
        self.listener: Listener = _ignore
        try:
            self._drainer: Drainer | None = self._start()
        except ConfigurationError:
            inner.close(0)
            raise

    @property
    def adopted(self) -> int:
        """How many messages of processes that are gone wait in files that this one took over."""
        drainer = self._drainer
        return 0 if drainer is None else drainer.adopted

    def send(
        self,
        key: bytes,
        value: bytes,
        headers: Headers,
        on_delivery: DeliveryCallback | None,
        *,
        timestamp_ms: int | None = None,
    ) -> None:
        """See `Transport.send`; a message without a callback is reported to `listener`."""
        written_ms = timestamp_ms or time.time_ns() // 1_000_000
        message = Message(key, value, dump_headers(headers), written_ms)
        drainer = self._drainer or self._restart()
        drainer.start()
        drainer.writer.put(message, on_delivery)

    def flush(self, timeout_s: float) -> None:
        """See `Transport.flush`; what was adopted is not waited for."""
        drainer, deadline = self._drainer, time.monotonic() + timeout_s
        while drainer and drainer.waiting > 0 and (left_s := deadline - time.monotonic()) > 0:
            self._inner.flush(min(_PUSH_S, left_s))  # or what lingers there would do so to its end
            if drainer.start():
                time.sleep(min(_TICK_S, left_s))
            else:
                drainer.work(min(_TICK_S, left_s))

    def close(self, timeout_s: float) -> None:
        """Deliver what can be within `timeout_s`, and leave the rest on disk."""
        deadline = time.monotonic() + timeout_s
        with fork_gate.writing:
            if self._closed:
                return
            self._closed = True
        if self._drainer is not None:
            self._drainer.writer.close()
            self.flush(timeout_s)
            self._drainer.halt()
        self._inner.close(max(0.0, deadline - time.monotonic()))
        if self._drainer is not None:
            self._drainer.end()
            if waiting := self._drainer.waiting:
                waits = counted(waiting, "event waits", "events wait")
                _log.warning("%s in %s for the next start", waits, self._root)
            self._drainer = None

    def after_fork(self) -> None:
        """See `Transport.after_fork`; the child writes a file of its own from its first message."""
        self._inner.after_fork()
        if self._drainer is not None:
            self._drainer.abandon()
            self._drainer = None

    def _start(self) -> Drainer:
        return Drainer(
            self._inner,
            self._root,
            self._tell_listener,
            max_bytes=self._max_bytes,
            fsync=self._fsync,
        )

    def _tell_listener(self, key: bytes, error: DeliveryFailure | None) -> None:
        self.listener(key, error)

    def _restart(self) -> Drainer:
        with fork_gate.writing:
            if self._closed:
                raise ClosedError
            if self._drainer is None:
                try:
                    self._drainer = self._start()
                except ConfigurationError as error:
                    raise RetryableError(str(error)) from None
            return self._drainer


def _ignore(key: bytes, error: DeliveryFailure | None) -> None:
    """Be told and do nothing."""
