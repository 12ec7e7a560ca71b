"""What the fork and the end of a process mean for the clients that are open in it.

At the end every open client is closed, which delivers what it holds. In a forked child every
client starts afresh: its counters at zero, and the parent's messages left to the parent.
"""

import atexit
import logging
import os
import sys
from functools import cache
from typing import Protocol

from afterword_schemas.errors import AfterwordError

_log = logging.getLogger("afterword")


class Member(Protocol):
    """A client, as far as its process is concerned."""

    def close(self) -> None:
        """Deliver what is held, and end."""

    def after_fork(self) -> None:
        """Start afresh in a child."""


# Strong references: a client that its owner dropped still delivers what it took.
_open: set[Member] = set()


def enter(member: Member) -> None:
    """Look after a client in this process; called again in each forked child that uses it."""
    _watch_forks()
    _open.add(member)
    atexit.unregister(_close_all)
    atexit.register(_close_all)
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        # Before Python 3.14 a child of multiprocessing ends without atexit.
        from multiprocessing.util import Finalize  # noqa: PLC0415  # loaded already, or not wanted

        Finalize(None, _close_all, exitpriority=-100)


def leave(member: Member) -> None:
    """Forget a client that is closed."""
    _open.discard(member)


@cache
def _watch_forks() -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_restart_all)


def _restart_all() -> None:
    for member in _open:
        member.after_fork()


def _close_all() -> None:
    for member in list(_open):
        try:
            member.close()
        except AfterwordError as error:
            _log.error("At exit: %s", error)
