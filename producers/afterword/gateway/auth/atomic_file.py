"""Change a small file that other processes read and change at the same time.

    with sole_writer(path):
        replace_file(path, change(path.read_bytes()))

A reader sees the file of before or of after, whole, also when the power fails in between.
"""

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def sole_writer(path: Path) -> Iterator[None]:
    """Let one process at a time change the files of a folder; others wait here for their turn.

    The lock is on the folder, since the file itself is another after each change. The kernel frees it when its
    holder dies.

    Raises:
        OSError: There is no such folder.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file, or make it readable to its owner only; an existing one keeps owner and mode.

    Args:
        path: No symbolic link, which would be replaced itself.
        content: What it holds then.

    Raises:
        OSError: It could not be; the file is as before.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as new:
            _take_after(path, handle)
            new.write(content)
            new.flush()
            os.fsync(handle)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise
    _sync_folder(path.parent)


def _take_after(path: Path, handle: int) -> None:
    if path.exists():
        found, made = path.stat(), os.fstat(handle)
        if (found.st_uid, found.st_gid) != (made.st_uid, made.st_gid):
            os.fchown(handle, found.st_uid, found.st_gid)
        os.fchmod(handle, stat.S_IMODE(found.st_mode))


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
