"""The transport to Kafka, and the only module that imports the Kafka producer.

    transport = KafkaTransport("localhost:9092", topic="feedback.events")

librdkafka queues, batches, compresses and retries in threads of its own; one daemon thread here
collects its delivery reports, unless the caller does so. Memory is bounded, order per key is kept, retries make no doubles.
"""

import ctypes
import logging
import threading
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from afterword._errors import ClosedError, QueueFullError
from afterword._transport import DeliveryCallback, Headers
from afterword_schemas.errors import SetupError, StoreError

KAFKA_DEFAULTS: Final[Mapping[str, object]] = MappingProxyType(
    {
        "client.id": "afterword",
        "enable.idempotence": True,
        "acks": "all",
        # As Java's clients choose: one id meets one partition, whatever language sent it.
        "partitioner": "murmur2_random",
        # A third fewer bytes than lz4 on batches of small events, for the same time (README).
        "compression.type": "zstd",
        "linger.ms": 5,
        # Kafka's own default. librdkafka's 1,000,000 would refuse an event of the largest size.
        "message.max.bytes": 1_048_588,
        # What bounds an outage is memory, not the clock: librdkafka would give up after 5 minutes.
        "message.timeout.ms": 3_600_000,
        "queue.buffering.max.messages": 100_000,
        "queue.buffering.max.kbytes": 65_536,
    }
)
"""librdkafka settings of every producer here; what the caller passes goes before them."""

_OURS: Final = frozenset({"delivery.report.only.error", "on_delivery", "transactional.id"})
_POLL_S: Final = 0.1
_REPORT_S: Final = 5.0


class KafkaTransport:
    """Sends to one topic; see `Transport`.

    Args:
        bootstrap_servers: `host:port`, several separated by commas or in a list.
        topic: Where messages go.
        kafka: Further librdkafka settings by their dotted names, before `KAFKA_DEFAULTS`.
        collector: Whether a thread collects delivery reports; else they come from `collect`.

    Raises:
        SetupError: No server is named, or librdkafka refuses a setting. Whether a server answers
            is not looked at.
    """

    def __init__(
        self,
        bootstrap_servers: str | Sequence[str],
        *,
        topic: str,
        kafka: Mapping[str, object] | None = None,
        collector: bool = True,
    ) -> None:
        self._settings = _settings(bootstrap_servers, kafka or {})
        self._collector = collector
        self._topic = topic
        self._closed = False
        self._lock = threading.RLock()  # re-entrant: a signal handler may send or close
        self._line: _Line | None = _Line(self._settings, collector=collector)

    def send(
        self,
        key: bytes,
        value: bytes,
        headers: Headers,
        on_delivery: DeliveryCallback,
        *,
        timestamp_ms: int | None = None,
    ) -> None:
        """See `Transport.send`."""

        def report(error: KafkaError | None, _: object) -> None:
            on_delivery(None if error is None else StoreError(_explain(error)))

        with self._lock:  # or a message could slip in behind the last flush of `close`
            if self._closed:
                raise ClosedError
            if self._line is None:
                self._line = _Line(self._settings, collector=self._collector)
            try:
                self._line.producer.produce(
                    self._topic,
                    value,
                    key,
                    headers=[*headers],
                    on_delivery=report,
                    timestamp=timestamp_ms or 0,  # 0 is now
                )
            except BufferError:
                raise QueueFullError("the queue is full, this event was not taken") from None
            except KafkaException as error:
                raise StoreError(_explain(error.args[0])) from None

    def collect(self) -> None:
        """Report the deliveries that are known by now, in this thread; for `collector=False`.

        An event loop does this for less than a thread beside it, which must be given the interpreter for
        each single report.
        """
        if line := self._line:
            line.producer.poll(0)

    def flush(self, timeout_s: float) -> None:
        """See `Transport.flush`."""
        if line := self._line:
            line.producer.flush(timeout_s)

    def close(self, timeout_s: float) -> None:
        """See `Transport.close`."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            line, self._line = self._line, None
        if line:
            line.close(timeout_s)

    def after_fork(self) -> None:
        """See `Transport.after_fork`; the child connects anew with its first message."""
        self._lock = threading.RLock()
        if self._line is not None:
            self._line.abandon()
            self._line = None


class _Line:
    """A producer, and the thread that collects its delivery reports, where there is one."""

    def __init__(self, settings: dict[str, Any], *, collector: bool) -> None:
        try:
            self.producer = Producer(settings, logger=logging.getLogger("afterword.kafka"))
        except (KafkaException, TypeError, ValueError) as error:
            raise SetupError(f"The Kafka settings are refused: {_first_line(error)}") from None
        self._over = threading.Event()
        self._thread = None
        if collector:
            self._thread = threading.Thread(target=self._collect, name="afterword", daemon=True)
            self._thread.start()

    def close(self, timeout_s: float) -> None:
        if self.producer.flush(timeout_s):
            self.producer.purge()
            self.producer.flush(_REPORT_S)
        self._over.set()
        if self._thread is not None:
            # Bounded: a callback may wait for a lock that a signal handler's own thread holds.
            self._thread.join(_REPORT_S)
        # No producer.close(): it would free the producer under a thread that still flushes it.
        # It ends when the last reference goes, at once, because its queue is empty.

    def abandon(self) -> None:
        """Never touch the producer again, and never free it.

        Its threads did not survive the fork: freeing it would wait for them for ever.
        """
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.producer))

    def _collect(self) -> None:
        while not self._over.is_set():
            self.producer.poll(_POLL_S)


def _settings(servers: str | Sequence[str], kafka: Mapping[str, object]) -> dict[str, Any]:
    listed = servers if isinstance(servers, str) else ",".join(servers)
    if not listed.strip():
        raise SetupError("No Kafka server is named.", 'Pass bootstrap_servers="host:port".')
    if listed.lower().startswith(("http://", "https://")):
        raise SetupError(f"{listed} is no Kafka server but an HTTP address.", "Pass it as url=….")
    if taken := sorted(_OURS & kafka.keys()):
        raise SetupError(f"The Kafka setting {taken[0]} is not open: delivery counts rest on it.")
    return {**KAFKA_DEFAULTS, "bootstrap.servers": listed, **kafka}


def _explain(error: KafkaError) -> str:
    if error.name() in {"_PURGE_QUEUE", "_PURGE_INFLIGHT"}:
        return "closed before Kafka took it"
    return f"{error.str()} [{error.name()}]"


def _first_line(error: Exception) -> str:
    cause = error.args[0] if error.args else error
    text = cause.str() if isinstance(cause, KafkaError) else str(cause)
    return text.strip().partition("\n")[0]
