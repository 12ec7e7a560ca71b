"""A lock between processes that the kernel frees when its holder dies.

    with FileLock(data_dir / "lock", busy=ConfigurationError("Already running.", "Stop it first.")):
        ...

It never goes stale: there is no pid to trust and nothing to clean up after a crash.
"""

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_POLL_S: Final = 0.05


class FileLock:
    """An exclusive lock on a file that is created if need be and never removed.

    Args:
        path: The file; its folder must exist.
        busy: Raised when another holder keeps it beyond `wait_s`.
        wait_s: How long to wait for the other holder.
    """

    def __init__(self, path: Path, *, busy: Exception, wait_s: float = 0.0) -> None:
        self._path, self._busy, self._wait_s = path, busy, wait_s
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock, or raise `busy`."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + self._wait_s
        while not _try_lock(file):
            if time.monotonic() >= deadline:
                os.close(file)
                raise self._busy
            time.sleep(_POLL_S)
        self._file = file

    def release(self) -> None:
        """Free the lock; harmless when it is not held."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def is_locked(path: Path) -> bool:
    """Return whether some process holds the lock on this file now."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _try_lock(file)
    finally:
        os.close(file)


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
