"""Change a file that other processes read and change at the same time.

with sole_writer(path):
replace_file(path, change(path.read_bytes()))
"""

import fcntl
import os
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
