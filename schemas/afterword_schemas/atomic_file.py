"""Replace a file whole: a reader sees what it was or what it is now, also when the power fails in between.

    with replacing(Path("feedback.csv")) as file: file.write(b"…")

It is written under another name in the same folder and renamed in the end, so that Ctrl-C, an error or a
full disk leaves what was there before.
"""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL


@contextmanager
def replacing(path: Path, *, mode: int = 0o666, keep_owner: bool = False) -> Iterator[BinaryIO]:
    """Give a file to write, which takes the place of another when the block ends without an error.

    Where two write at the same time, the last to end wins.

    Args:
        path: No symbolic link, which would be replaced itself.
        mode: Permissions of a new file, less the umask. An existing one keeps its own.
        keep_owner: Whether to fail where the owner of an existing file cannot be kept.

    Raises:
        OSError: It could not be replaced; the file is as before.
    """
    part = path.with_name(f".{secrets.token_hex(8)}.part")  # its own may be as long as names can be
    descriptor = os.open(part, _NEW, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            with suppress(FileNotFoundError):
                _take_after(path.stat(), descriptor, keep_owner=keep_owner)
            yield file
            file.flush()
            os.fsync(descriptor)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def replace_file(
    path: Path, content: bytes, *, mode: int = 0o666, keep_owner: bool = False
) -> None:
    """Replace a file by this content; see `replacing`."""
    with replacing(path, mode=mode, keep_owner=keep_owner) as file:
        file.write(content)


def _take_after(old: os.stat_result, descriptor: int, *, keep_owner: bool) -> None:
    made = os.fstat(descriptor)
    if (old.st_uid, old.st_gid) != (made.st_uid, made.st_gid):
        try:
            os.fchown(descriptor, old.st_uid, old.st_gid)
        except PermissionError:
            if keep_owner:
                raise
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def _sync_folder(path: Path) -> None:
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # one that may be written to, but not listed
        return
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
