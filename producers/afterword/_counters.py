"""Count what was sent and what became of it, so that nothing gets lost unnoticed."""

from dataclasses import dataclass
from itertools import count
from typing import Final

_BEFORE_NUMBER: Final = len("count(")


@dataclass(frozen=True, slots=True)
class Stats:
    """One moment of a client's counters, since it was made or its process was forked.

    Attributes:
        sent: Valid events handed over; always `delivered + failed + waiting`.
        delivered: Acknowledged by Kafka.
        failed: Refused by a full queue, or given up on.
        waiting: On the way: in memory, or in the spool.
        adopted: In the spool, of processes that died; not in `sent`.
    """

    sent: int
    delivered: int
    failed: int
    waiting: int
    adopted: int = 0


class Tally:
    """A number that any thread and any signal handler may raise, without a lock.

    A handler that interrupted the holder of a lock could wait for a delivery whose thread waits for
    that lock. Raising an `itertools.count` is one operation that nothing interrupts.
    """

    def __init__(self) -> None:
        self._count = count()

    @property
    def value(self) -> int:
        """How often it was raised."""
        return int(repr(self._count)[_BEFORE_NUMBER:-1])  # next() would raise it

    def add(self) -> int:
        """Raise it by one, and return the new value."""
        return next(self._count) + 1


class Counters:
    """Thread-safe counters of one client, which nobody ever waits for."""

    def __init__(self) -> None:
        self._sent, self._delivered = Tally(), Tally()
        self._refused, self._undelivered = Tally(), Tally()
        self._reason = ""

    def count_sent(self) -> None:
        """One more was handed over."""
        self._sent.add()

    def count_refused(self) -> None:
        """One that was handed over was not taken; its caller got the error."""
        self._refused.add()

    def count_settled(self, error: Exception | None) -> bool:
        """One that was taken arrived, or did not for this reason; True for the first that did not."""
        if error is None:
            self._delivered.add()
            return False
        self._reason = str(error)
        return self._undelivered.add() == 1

    def snapshot(self) -> Stats:
        """Return the counters; what is sent last is read last, so that none settles unsent."""
        delivered = self._delivered.value
        failed = self._refused.value + self._undelivered.value
        sent = self._sent.value
        return Stats(sent, delivered, failed, waiting=sent - delivered - failed)

    def undelivered(self) -> tuple[int, str]:
        """Return how many were taken and did not arrive, and why the last of them."""
        return self._undelivered.value, self._reason
