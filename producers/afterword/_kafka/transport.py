"""The transport to Kafka.

    transport = KafkaTransport("localhost:9092", topic="feedback.events")

Memory is bounded, order per key is kept, and retries make no doubles. `send_queue` says how.
"""

import threading
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from afterword._errors import ClosedError
from afterword._kafka.send_queue import KafkaSendQueue, PendingMessage
from afterword._transport import DeliveryCallback, Headers
from afterword_schemas.errors import ConfigurationError

KAFKA_DEFAULTS: Final[Mapping[str, object]] = MappingProxyType(
    {
        "client.id": "afterword",
        "enable.idempotence": True,
        "acks": "all",
        # As Java's clients choose: one id meets one partition, whatever language sent it.
        "partitioner": "murmur2_random",
        # A third fewer bytes than lz4 on batches of small events, for the same time:
        # see deploy/docs/benchmarks.md.
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


class KafkaTransport:
    """Sends to one topic; see `Transport`.

    Args:
        bootstrap_servers: `host:port`, several separated by commas or in a list.
        topic: Where messages go.
        kafka: Further librdkafka settings by their dotted names, before `KAFKA_DEFAULTS`.
        collector: Whether a thread collects delivery reports; else they come from `collect`.

    Raises:
        ConfigurationError: No server is named, or librdkafka refuses a setting. Whether a server answers
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
        settings = _settings(bootstrap_servers, kafka or {})
        self._new_queue = partial(KafkaSendQueue, settings, topic, collector=collector)
        self._closed = False
        self._lock = threading.RLock()  # re-entrant: a signal handler may send or close
        self._queue: KafkaSendQueue | None = self._new_queue()

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
        pending = PendingMessage(key, headers, timestamp_ms, on_delivery)
        with self._lock:  # or a message could slip in behind the last flush of `close`
            if self._closed:
                raise ClosedError
            if self._queue is None:
                self._queue = self._new_queue()
            self._queue.send(pending, value)

    def collect(self) -> None:
        """Report the deliveries that are known by now, in this thread; for `collector=False`.

        An event loop does this for less than a thread beside it, which must be given the interpreter for
        each single report.
        """
        if queue := self._queue:
            queue.serve()

    def flush(self, timeout_s: float) -> None:
        """See `Transport.flush`."""
        if queue := self._queue:
            queue.flush(timeout_s)

    def close(self, timeout_s: float) -> None:
        """See `Transport.close`."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            queue, self._queue = self._queue, None
        if queue:
            queue.close(timeout_s)

    def after_fork(self) -> None:
        """See `Transport.after_fork`; the child connects anew with its first message."""
        self._lock = threading.RLock()
        if self._queue is not None:
            self._queue.abandon()
            self._queue = None


def _settings(servers: str | Sequence[str], kafka: Mapping[str, object]) -> dict[str, Any]:
    listed = servers if isinstance(servers, str) else ",".join(servers)
    if not listed.strip():
        raise ConfigurationError("No Kafka server is named.", 'Pass bootstrap_servers="host:port".')
    if listed.lower().startswith(("http://", "https://")):
        raise ConfigurationError(
            f"{listed} is an HTTP address, not a Kafka server.", "Pass it as url=…."
        )
    if taken := sorted(_OURS & kafka.keys()):
        raise ConfigurationError(
            f"The Kafka setting {taken[0]} is not open: delivery counts rest on it."
        )
    return {**KAFKA_DEFAULTS, "bootstrap.servers": listed, **kafka}
