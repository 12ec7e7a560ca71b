"""Wake a thread that waits, from any other thread, from a greenlet, and from a signal handler.

    bell.wait(1.0)      # in the thread that has nothing to do
    bell.ring()         # wherever there is something to do

An `Event` and a `Condition` hold a lock while they notify. A signal handler that interrupts them and
notifies, too, would wait for itself. Here all is one operation on one lock.
"""

import threading
from contextlib import suppress


class Bell:
    """Wakes one waiter. A ring that nobody waits for is heard by the next who waits."""

    def __init__(self) -> None:
        self._silence = threading.Lock()  # held while nobody rang; of gevent's where it patches
        self._silence.acquire()

    def ring(self) -> None:
        """Wake who waits; several rings before that are one."""
        with suppress(RuntimeError):  # it was rung before
            self._silence.release()

    def wait(self, timeout_s: float) -> bool:
        """Wait until somebody rings; False after `timeout_s`."""
        return self._silence.acquire(timeout=max(timeout_s, 0.0))
