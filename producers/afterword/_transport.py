"""The seam to the network: what a `Client` asks of whatever carries its messages.

`KafkaTransport` carries them to Kafka, `HttpTransport` to the gateway, `SpoolTransport` by way of the
disk to either, and `MemoryTransport` keeps them for a test. One contract suite,
`tests/producers/test_transport_contract.py`, holds all of them to what is written here.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from afterword._errors import DeliveryFailure

_log = logging.getLogger("afterword")

Headers = Sequence[tuple[str, bytes]]
"""Names and values, in the order in which they are sent."""

DeliveryCallback = Callable[[DeliveryFailure | None], None]
"""Told once per message: None when it arrived, else why not. What it raises is only logged."""


def report(on_delivery: DeliveryCallback, error: DeliveryFailure | None) -> None:
    """Tell a callback of the end of its message, and let nothing that it raises end the caller's thread."""
    try:
        on_delivery(error)
    except (Exception, SystemExit):  # noqa: BLE001  # the caller's own code, and logged in full
        _log.exception("A delivery callback raised")


class Transport(Protocol):
    """Carries messages in the background; safe to call from any thread."""

    def send(
        self,
        key: bytes,
        value: bytes,
        headers: Headers,
        on_delivery: DeliveryCallback,
        *,
        timestamp_ms: int | None = None,
    ) -> None:
        """Take one message without waiting; messages of one key stay in order.

        Args:
            key: What decides the partition.
            value: The payload.
            headers: Names and values.
            on_delivery: Called once, from any thread, unless this call raises.
            timestamp_ms: When it was first published, in milliseconds since 1970; now if None.

        Raises:
            QueueFullError: No room; nothing was taken.
            ClosedError: Closed before; nothing was taken.
            RefusedError: It never can be taken.
            RetryableError: Refused for another reason; nothing was taken.
        """

    def flush(self, timeout_s: float) -> None:
        """Wait until all messages that were taken are reported, but at most `timeout_s`."""

    def close(self, timeout_s: float) -> None:
        """Flush, then give up on the rest and report it failed. A second call does nothing.

        A spool gives nothing up: what it still holds is not reported, and waits on disk.
        """

    def after_fork(self) -> None:
        """In a forked child: leave the parent's messages and connection to the parent."""
