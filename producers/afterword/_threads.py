"""Do work in a thread, unless that thread could do nothing, or harm.

    background = Background(work, "afterword")
    if not background.start():
        work()      # who calls must do it

- A program that runs its `atexit` handlers starts no threads any more, and freezes those it has soon.
- uWSGI loads an app and then forks its workers in C, where Python does not see it. A child that is
  forked while a thread of its parent holds the interpreter can never have it, and hangs.
"""

import sys
import threading
from collections.abc import Callable
from contextlib import suppress


def may_start_threads() -> bool:
    """Whether a thread that is started now can work in the background."""
    return threading.main_thread().is_alive() and not _is_before_fork()


class Background:
    """A daemon thread that is started when it is first needed.

    Args:
        work: What it does until it ends.
        name: Of the thread.
    """

    def __init__(self, work: Callable[[], None], name: str) -> None:
        self._name = name
        self._unstarted = [work]  # whoever takes it out starts it, and nobody else
        self._thread: threading.Thread | None = None  # which lets go of its work at its end

    @property
    def started(self) -> bool:
        """Whether it was started."""
        return not self._unstarted

    def start(self) -> bool:
        """Start it if need be; False where no thread can do the work."""
        if not may_start_threads():
            return self.started
        if self._unstarted:
            with suppress(IndexError):
                self._start(self._unstarted.pop())
        return True

    def join(self, timeout_s: float) -> None:
        """Wait for its end, but not for ever."""
        if self._thread is not None:
            with suppress(RuntimeError):  # a signal handler came before it was quite started
                self._thread.join(timeout_s)

    def _start(self, work: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=work, name=self._name, daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the system grants no more threads now: the next call tries again
            # With another one: since Python 3.13, one that could not start never can.
            self._unstarted.append(work)


def _is_before_fork() -> bool:
    """Whether this is uWSGI's first process, which forks the others or becomes worker 1."""
    uwsgi = sys.modules.get("uwsgi")
    return uwsgi is not None and uwsgi.worker_id() == 0
