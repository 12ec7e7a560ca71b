"""What the fork and the end of a process mean for the clients that are open in it.

At the end every open client is closed, which delivers what it holds. In a forked child every
client starts afresh: its counters at zero, and the parent's messages left to the parent.
"""

import atexit
import logging
import os
import sys
import threading
from functools import cache
from typing import Protocol

from afterword._fork_gate import fork_gate
from afterword_schemas.errors import AfterwordError

_log = logging.getLogger("afterword")


class Member(Protocol):
    """A client, as far as its process is concerned."""

    def close(self) -> None:
        """Deliver what is held, and end."""

    def after_fork(self) -> None:
        """Start afresh in a child."""


class _Home:
    """The process that the clients of this module were last used in."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        # Strong references: a client that its owner dropped still delivers what it took.
        self.members: set[Member] = set()


_home = _Home()


def notice_fork() -> None:
    """Start afresh in a child that was forked by C, as uWSGI does; Python's own forks are watched.

    Called before a client is used.
    """
    if os.getpid() != _home.pid:
        fork_gate.renew()
        _restart_all()


def enter(member: Member) -> None:
    """Look after a client in this process; called again in each forked child that uses it."""
    _watch_forks()
    _home.members.add(member)
    _watch_end()
    _warn_without_threads()


def leave(member: Member) -> None:
    """Forget a client that is closed."""
    _home.members.discard(member)


def _watch_end() -> None:
    if not threading.main_thread().is_alive():
        # `atexit` runs: what is registered from here on is never called, and would replace what is.
        return
    atexit.unregister(_close_all)
    atexit.register(_close_all)
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        # Before Python 3.14 a child of multiprocessing ends without atexit.
        from multiprocessing.util import Finalize  # noqa: PLC0415  # loaded already, or not wanted

        Finalize(None, _close_all, exitpriority=-100)
    if celery := sys.modules.get("celery.signals"):  # its workers end without atexit, too
        celery.worker_process_shutdown.connect(_close_all)


@cache
def _watch_forks() -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_restart_all)


@cache
def _warn_without_threads() -> None:
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is not None and not getattr(uwsgi, "has_threads", 0):
        _log.warning(
            "uWSGI runs no threads between requests, so events wait: start it with --enable-threads."
        )


def _restart_all() -> None:
    _home.pid = os.getpid()
    for member in _home.members:
        member.after_fork()


def _close_all(*_: object, **__: object) -> None:
    for member in list(_home.members):
        try:
            member.close()
        except AfterwordError as error:
            _log.error("At exit: %s", error)
        except Exception:  # noqa: BLE001  # or the others would not be closed
            _log.exception("At exit a client could not be closed")
