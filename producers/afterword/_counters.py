"""Count what was sent and what became of it, so that nothing gets lost unnoticed."""

import threading
from dataclasses import dataclass


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


class Counters:
    """Thread-safe counters of one client.

    Nothing is called while the lock is held. Python runs signal handlers at calls, and one that
    ran in here would wait for deliveries that in turn wait for this lock.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._sent = self._delivered = self._refused = self._undelivered = 0
        self._reason = ""

    def count_sent(self) -> None:
        """One more was handed over."""
        with self._lock:
            self._sent += 1

    def count_refused(self) -> None:
        """One that was handed over was not taken; its caller got the error."""
        with self._lock:
            self._refused += 1

    def count_settled(self, error: Exception | None) -> bool:
        """One that was taken arrived, or did not for this reason; True for the first that did not."""
        reason = "" if error is None else str(error)
        with self._lock:
            if error is None:
                self._delivered += 1
                return False
            self._undelivered += 1
            self._reason = reason
            return self._undelivered == 1

    def snapshot(self) -> Stats:
        """Return all counters at one moment."""
        with self._lock:
            sent, delivered = self._sent, self._delivered
            failed = self._refused + self._undelivered
        return Stats(sent, delivered, failed, waiting=sent - delivered - failed)

    def undelivered(self) -> tuple[int, str]:
        """Return how many were taken and did not arrive, and why the last of them."""
        with self._lock:
            return self._undelivered, self._reason
