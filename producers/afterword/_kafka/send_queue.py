"""The messages on their way to one topic.

    queue = KafkaSendQueue(settings, "feedback.events", collector=True)
    queue.send(PendingMessage(key, headers, None, on_delivery), value)

librdkafka queues, batches, compresses and retries in threads of its own; one daemon thread here
collects its delivery reports, unless the caller does so.

**A batch of which one message is wrong** is refused whole. Each of its messages is then sent again by
a second producer whose batches hold one message, and only the one that is refused alone is refused.

**A fatal error** ends a producer. Another takes its place, and what was under way is sent again, once.

**Order.** Of one key one message is under way at a time, so none overtakes one that is sent again.

**Waiting.** No call waits inside librdkafka for longer than a blink: in a greenlet, that would stop
all others. And nobody waits for a lock for long. A signal handler may have interrupted its holder,
and wait for deliveries.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message

from afterword._bell import Bell
from afterword._counters import Tally
from afterword._errors import DeliveryFailure, QueueFullError, RefusedError
from afterword._kafka.errors import (
    CLOSED,
    blames_a_message,
    ended_with_producer,
    to_delivery_failure,
)
from afterword._kafka.log import KafkaLog
from afterword._kafka.producer import LastingProducer, ProducerEndedError
from afterword._threads import Background
from afterword._transport import DeliveryCallback, Headers, report
from afterword_schemas.errors import RetryableError

_BLINK_S: Final = 0.001
_PULSE_S: Final = 0.005
_IDLE_S: Final = 1.0
_TURN_S: Final = 0.05
_REPORT_S: Final = 5.0
_HELD_BYTES: Final = 512  # what a message that is held back takes beside its value
_FULL: Final = "the queue is full, this event was not taken"


@dataclass(eq=False, slots=True)
class PendingMessage:
    """A message without its value, which librdkafka holds.

    Attributes:
        key: What decides the partition.
        headers: Names and values.
        timestamp_ms: When it was first published; now if None.
        on_delivery: Told of its end.
        alone: Whether it has a batch of its own.
        again: Whether it was sent again because its producer ended.
    """

    key: bytes
    headers: Headers
    timestamp_ms: int | None
    on_delivery: DeliveryCallback
    alone: bool = False
    again: bool = False


_Behind = deque[tuple[PendingMessage, bytes]]
"""What waits until the message of its key that is under way has arrived."""


class KafkaSendQueue:
    """Producers for one topic, and the thread that collects their reports, where there is one.

    Args:
        settings: Of librdkafka.
        topic: Where messages go.
        collector: Whether a thread collects reports; else `serve` and `flush` do.

    Raises:
        ConfigurationError: librdkafka refuses a setting.
    """

    def __init__(self, settings: Mapping[str, Any], topic: str, *, collector: bool) -> None:
        self._settings, self._topic = settings, topic
        self._log = KafkaLog()
        self._producer = LastingProducer(settings, self._log)
        self._alone: LastingProducer | None = None
        self._max_messages = int(settings["queue.buffering.max.messages"])
        self._max_held_bytes = int(settings["queue.buffering.max.kbytes"]) * 1024
        self._lock = threading.RLock()  # re-entrant: a signal handler may send
        self._under_way: dict[bytes, PendingMessage] = {}  # by key
        self._behind: dict[bytes, _Behind] = {}  # by those keys of which more than one was sent
        self._holding = 0  # calls that are about to append to what is behind
        self._held_bytes = 0
        self._held, self._sent_on = Tally(), Tally()
        self._errands: deque[Callable[[], None]] = deque()  # what needs the lock
        self._undeliverable: deque[tuple[PendingMessage, DeliveryFailure]] = (
            deque()
        )  # to tell without it
        self._bell = Bell()
        self._idle = self._closing = self._over = False
        self._stuck = False
        self._flushing: set[object] = set()
        self._collector = Background(self._collect, "afterword") if collector else None
        if self._collector is not None:
            self._collector.start()

    def send(self, pending: PendingMessage, value: bytes) -> None:
        """Take a message without waiting for its delivery; errors as for `Transport.send`."""
        if self._collector is not None:
            self._collector.start()
        with self._lock:
            if self._alone is not None and len(self._alone) >= self._max_messages:
                raise QueueFullError(_FULL)
            if (
                pending.key in self._behind
                or self._under_way.setdefault(pending.key, pending) is not pending
            ):
                self._hold(pending, value)
                return
            try:
                self._produce(self._producer, pending, value)
            except (RetryableError, RefusedError):
                self._release(pending.key)
                self._bell.ring()  # the producer may have ended: hear why
                raise
        if self._idle:
            self._bell.ring()

    def serve(self, wait_s: float = 0.0) -> None:
        """Collect the reports that are known by now, in this thread, and do what follows from them.

        Args:
            wait_s: How long messages that linger are pushed, in a blink.
        """
        for producer in self._producers():
            producer.serve(wait_s)
        self._run_errands()

    def flush(self, timeout_s: float) -> bool:
        """Wait until nothing is under way; False if something still is after `timeout_s`."""
        deadline_s = time.monotonic() + timeout_s
        self._flushing.add(me := object())
        try:
            while not (empty := self._is_empty()) and time.monotonic() < deadline_s:
                self._push()
                time.sleep(_BLINK_S)
        finally:
            self._flushing.discard(me)
        return empty

    def close(self, timeout_s: float) -> None:
        """Flush, then give up on the rest and report it failed."""
        if not self.flush(timeout_s):
            self._closing = True
            for producer in self._producers():
                producer.purge()
            self.flush(_REPORT_S)
        self._over = True
        self._bell.ring()
        if self._collector is not None:
            # Bounded: a callback may wait for a lock that a signal handler's own thread holds.
            self._collector.join(_REPORT_S)
        # No producer.close(): it would free the producer under a thread that still flushes it.
        # It ends when the last reference goes, at once, because its queue is empty.

    def abandon(self) -> None:
        """In a forked child: never touch the producers again, and never free them.

        Their threads did not survive the fork: freeing would wait for them for ever.
        """
        for producer in self._producers():
            producer.abandon()

    def _push(self) -> None:
        if self._collector is None or not self._collector.start():
            self.serve(_BLINK_S)
            return
        # Its thread alone tells of deliveries. One that this thread is amid could not be told while
        # a signal handler interrupts it, and perhaps waits for just that one.
        self._bell.ring()
        if self._stuck:  # the lock may be this thread's own, from before it was interrupted
            self._run_errands()

    def _collect(self) -> None:
        while not self._over:
            self.serve(_BLINK_S if self._flushing else 0.0)
            self._idle = True  # first, so that who sends from here on rings
            self._idle = self._is_empty()
            # Now and then it looks all the same, to hear what librdkafka has to say.
            self._bell.wait(_IDLE_S if self._idle else _PULSE_S)
            self._idle = False

    def _producers(self) -> Iterator[LastingProducer]:
        yield self._producer
        if self._alone is not None:
            yield self._alone

    def _is_empty(self) -> bool:
        """Whether nothing is under way, wherever it was moved while this looks."""
        held = self._held.value
        under_way = self._sent_on.value < held or any(map(len, self._producers()))
        return not under_way and self._held.value == held

    def _produce(self, producer: LastingProducer, pending: PendingMessage, value: bytes) -> None:
        try:
            producer.produce(
                self._topic,
                value,
                pending.key,
                headers=[*pending.headers],
                on_delivery=partial(self._report, producer, pending),
                timestamp=pending.timestamp_ms or 0,  # 0 is now
            )
        except BufferError:
            raise QueueFullError(_FULL) from None
        except KafkaException as error:
            raise to_delivery_failure(error.args[0]) from None

    def _report(
        self,
        producer: LastingProducer,
        pending: PendingMessage,
        error: KafkaError | None,
        message: Message,
    ) -> None:
        if error is not None and not pending.alone and blames_a_message(error):
            self._held.add()
            self._errands.append(partial(self._send_alone, pending, message.value() or b""))
            return
        if error is not None and not self._closing and ended_with_producer(error):
            if not pending.again:
                pending.again = True
                self._held.add()
                value = message.value() or b""
                self._errands.append(partial(self._send_on, producer, pending, value))
                return
            error = producer.last_end or error
        report(pending.on_delivery, None if error is None else to_delivery_failure(error))
        self._release(pending.key)
        if error is None:
            self._log.note_delivery()

    def _run_errands(self) -> None:
        """Do what needs the lock, if it is free soon; else whoever calls next does."""
        while self._errands:
            self._stuck = not self._lock.acquire(timeout=_TURN_S)
            if self._stuck:
                return
            try:
                for _ in range(len(self._errands)):
                    with suppress(IndexError):  # a signal handler did it
                        self._errands.popleft()()
            finally:
                self._lock.release()
            if not self._undeliverable:
                return
            self._tell_undeliverable()  # the next of the same key may be so, too

    def _tell_undeliverable(self) -> None:
        with suppress(IndexError):
            while True:
                pending, error = self._undeliverable.popleft()
                report(pending.on_delivery, error)
                self._sent_on.add()
                self._release(pending.key)

    def _send_alone(self, pending: PendingMessage, value: bytes) -> None:
        """Send a message by itself that was refused together with others."""
        pending.alone = True
        if self._alone is None:
            more = {"queue.buffering.max.messages": 0, "linger.ms": 0, "batch.num.messages": 1}
            self._alone = LastingProducer({**self._settings, **more}, self._log)
        self._send_on(self._alone, pending, value)

    def _release(self, key: bytes) -> None:
        """Let the next message of a key go, if there is one. Needs no lock, as each report comes here.

        `_hold` writes what is behind and then reads what is under way, and this the other way round:
        at least one of them sees that there is something to send.
        """
        self._under_way.pop(key, None)
        if key in self._behind:
            self._errands.append(partial(self._send_next, key))

    def _send_next(self, key: bytes) -> None:
        """Send the first message that is held back under a key, unless one is under way again."""
        if key in self._under_way:
            return
        behind = self._behind.get(key)
        following = behind.popleft() if behind else None
        if not behind and not self._holding:
            self._behind.pop(key, None)
        if following is not None:
            pending, value = following
            self._under_way[key] = pending
            self._held_bytes -= len(value) + _HELD_BYTES
            self._send_on(self._producer, pending, value)

    def _send_on(self, producer: LastingProducer, pending: PendingMessage, value: bytes) -> None:
        """Send a message that was taken before; later, while there is no room."""
        if self._closing:
            self._undeliverable.append((pending, RetryableError(CLOSED)))
            return
        try:
            self._produce(producer, pending, value)
        except (QueueFullError, ProducerEndedError):
            self._errands.append(partial(self._send_on, producer, pending, value))
        except (RetryableError, RefusedError) as error:
            self._undeliverable.append((pending, error))
        else:
            self._sent_on.add()

    def _hold(self, pending: PendingMessage, value: bytes) -> None:
        """Keep a message back until the one of its key that is under way has arrived."""
        size = len(value) + _HELD_BYTES
        count = len(self._under_way) + self._held.value - self._sent_on.value
        if count >= self._max_messages or self._held_bytes + size > self._max_held_bytes:
            raise QueueFullError(_FULL)
        self._held_bytes += size
        self._holding += 1  # a signal handler may send what is behind, and must not drop the deque
        self._behind.setdefault(pending.key, deque()).append((pending, value))
        self._holding -= 1
        self._held.add()  # late: a signal handler that comes before it does not wait for this one
        if pending.key not in self._under_way:
            self._errands.append(partial(self._send_next, pending.key))
            self._bell.ring()
