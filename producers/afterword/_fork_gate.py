"""Keep a fork from happening while another thread is inside SQLite.

    with fork_gate.writing:
        db.execute(...)

SQLite has mutexes of the whole process. A child that is forked while another thread holds one
inherits it locked, by a thread that the child does not have, and hangs in its own first statement.
So every use of SQLite here stands under one of two locks, and a fork takes both first.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

_PATIENCE_S: Final = 2.0
_TURN_S: Final = 0.5


class ForkGate:
    """Two re-entrant locks that a fork waits for, though not for ever.

    Attributes:
        writing: For threads that emit. A signal handler may run while its thread holds it, and may
            emit and close in there; so nothing that a close waits for may need it.
        draining: For the thread that delivers.
    """

    def __init__(self) -> None:
        self.writing = threading.RLock()
        self.draining = threading.RLock()
        self._shut: list[threading.RLock] = []

    @contextmanager
    def a_turn(self) -> Iterator[None]:
        """Let the draining thread write, and the others wait; but go on if one does not let go.

        SQLite would see to it too, by looking again after a millisecond, and later and later.
        """
        writing = self.writing
        mine = writing.acquire(timeout=_TURN_S)
        try:
            yield
        finally:
            if mine:
                writing.release()

    def close(self) -> None:
        """Before a fork: wait until no thread is inside."""
        locks = (self.writing, self.draining)
        self._shut = [lock for lock in locks if lock.acquire(timeout=_PATIENCE_S)]

    def open(self) -> None:
        """In the parent: go on."""
        for lock in self._shut:
            lock.release()

    def renew(self) -> None:
        """In the child: begin with locks that nobody holds."""
        self.writing, self.draining = threading.RLock(), threading.RLock()


fork_gate: Final = ForkGate()
"""The one of this process."""


@cache
def watch_forks() -> None:
    """Let forks wait at the gate from now on."""
    if hasattr(os, "register_at_fork"):
        gate = fork_gate
        os.register_at_fork(before=gate.close, after_in_parent=gate.open, after_in_child=gate.renew)
