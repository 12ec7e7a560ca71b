"""A queue on disk that outlives its process: a folder with a SQLite file, and a lock on the folder.

    file = SpoolFile.create(root)       # the writer's; the kernel frees its lock, however it ends
    orphan = SpoolFile.claim(folder)    # one whose process is gone
    rows = orphan.page()

The folder `spool-<UUIDv7>` appears with its file complete, so one without is damage. It is locked
before it is renamed into place, and goes away while its lock is held: of two that want it, one
gets it, and nobody opens what another is deleting.
"""

import ctypes
import os
import shutil
import sqlite3
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, NamedTuple, Self

from afterword._fork_gate import fork_gate, watch_forks
from afterword._identity import new_id
from afterword._spool.open_reports import OpenReports
from afterword_schemas.errors import ConfigurationError

if sys.platform != "win32":
    import fcntl

PAGE_BYTES: Final = 4096
"""In which SQLite takes and limits room."""

MAX_LOCKED_S: Final = 0.5
"""How long a statement waits where another program has the file locked: all who emit may wait with it."""

_QUEUE: Final = "queue.db"
_SCHEMA: Final = """
CREATE TABLE queue (
    id INTEGER PRIMARY KEY, key BLOB, value BLOB, headers TEXT, timestamp_ms INTEGER
)
"""
_NEXT: Final = "SELECT id, key, value, headers, timestamp_ms FROM queue WHERE id > ? ORDER BY id"
_MAX_ROWS: Final = 500
_MAX_BYTES: Final = 1 << 20
_WAL_BYTES: Final = 8 << 20
# The statements here are right, so an error in one says that the table is not the one that was made.
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
_UNFINISHED_S: Final = 60.0


class Row(NamedTuple):
    """A message in its place.

    Attributes:
        id: Unique in the process that wrote it, in the order of writing.
    """

    file: "SpoolFile"
    id: int
    key: bytes
    value: bytes
    headers: str
    timestamp_ms: int


class SpoolFile:
    """One process's queue, held by this process: its own, or one that it adopted.

    All that it keeps is for the delivering side, and changed by its methods alone; of a file of this
    process, who emits reaches only `reports`, and writes rows by a connection of its own: see `SpoolWriter`.

    Attributes:
        mine: Whether this process wrote it.
        rows: How many are in there, once `count` was called.
        read: Whether all that is in there was read, where nobody writes to it any more.
        gone: Whether it was closed, set aside or removed.
        reports: What the rows of this process are waiting for; empty in one that it adopted.
    """

    def __init__(self, folder: Path, lock: int, *, mine: bool = False) -> None:
        self.folder = folder
        self.mine = mine
        self.rows = 0
        self.read = False
        self.gone = False
        self.reports = OpenReports()
        self._cursor = 0  # the last id that was read
        self._held: set[int] = set()  # in memory or delivered: not to be loaded again
        self._done: list[int] = []  # may be deleted
        self._lock = lock
        self._db: sqlite3.Connection | None = None

    def __str__(self) -> str:
        return str(self.folder)

    @classmethod
    def create(cls, root: Path) -> Self:
        """Make an empty one, and the folder too if need be.

        Raises:
            ConfigurationError: The folder cannot be written or locked, or the system has no such locks.
        """
        name = new_id()
        making, folder = root / f"new-{name}", root / f"spool-{name}"
        lock: int | None = None
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            making.mkdir(mode=0o700)
            lock = _lock(making)
            with closing(_connect(making / _QUEUE, "rwc")) as db:
                db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
                db.execute("PRAGMA journal_mode = WAL")
                db.execute(_SCHEMA)
            making.rename(folder)
            _sync(root)
        except (OSError, sqlite3.Error) as error:
            if lock is not None:
                os.close(lock)
            shutil.rmtree(making, ignore_errors=True)
            detail = f"The spool {root} cannot be used: {error}."
            raise ConfigurationError(detail, "It takes a folder on a local disk.") from None
        if lock is None:
            raise ConfigurationError(f"The spool {root} cannot be used: somebody took {making}.")
        file = cls(folder, lock, mine=True)
        with suppress(sqlite3.Error):
            file.count()  # what is open can be read to its end, also where somebody removes the folder
        return file

    @classmethod
    def claim(cls, folder: Path) -> Self | None:
        """Take over what a process left behind; None if it lives, or left nothing.

        Raises:
            OSError: The folder cannot be opened.
        """
        lock = _lock(folder)
        if lock is None:
            return None
        try:
            folder.rmdir()  # it was killed while it removed the folder
        except OSError:
            return cls(folder, lock)
        os.close(lock)
        return None

    def connect(self, *, fsync: bool) -> sqlite3.Connection:
        """Open a further connection.

        Args:
            fsync: Whether a commit waits for the disk, and so survives a power cut.
        """
        db = _connect(self.folder / _QUEUE, "rw")
        try:
            db.execute(f"PRAGMA synchronous = {'FULL' if fsync else 'NORMAL'}")
            db.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        except sqlite3.Error:
            db.close()
            raise
        return db

    def page(self) -> list[Row]:
        """Return the next rows after the cursor, and move it; none at the end."""
        rows: list[Row] = []
        size = 0
        with fork_gate.draining, closing(self._execute(_NEXT, self._cursor)) as found:
            for columns in found:
                rows.append(Row(self, *columns))
                size += len(columns[2])
                if size >= _MAX_BYTES or len(rows) >= _MAX_ROWS:
                    break
        if rows:
            self._cursor = rows[-1].id
        self.read = not rows and not self.mine
        return rows

    def follow(self, rows: list[Row]) -> list[Row]:
        """Return those of the rows just written that were not read, and count them as read."""
        unread = [row for row in rows if row.id > self._cursor]
        self._cursor = max(self._cursor, rows[-1].id)
        return unread

    def rewind(self) -> None:
        """Read from the beginning again."""
        self._cursor, self.read = 0, False

    def hold(self, row_id: int) -> bool:
        """Note that a row is in memory; False if it is already."""
        if row_id in self._held:
            return False
        self._held.add(row_id)
        return True

    def release(self, row_id: int) -> None:
        """Note that a row is in memory no more, and is to be read again after `rewind`."""
        self._held.discard(row_id)

    def finish(self, row_id: int) -> None:
        """Note that a row may be deleted."""
        self._done.append(row_id)

    @property
    def has_done(self) -> bool:
        """Whether `forget` has something to delete."""
        return bool(self._done)

    def missing(self) -> list[int]:
        """Return the rows of this process that wait and are not in memory: see `OpenReports.missing`."""
        return self.reports.missing(self._held, len(self._held) - len(self._done))

    def forget(self) -> None:
        """Delete what is done."""
        done = self._done[:_MAX_ROWS]
        while done:
            # One statement, so that it waits once for the interpreter's lock.
            with fork_gate.a_turn():
                self._execute(f"DELETE FROM queue WHERE id IN ({','.join(map(str, done))})")
            del self._done[: len(done)]
            self._held.difference_update(done)
            self.rows -= len(done)
            done = self._done[:_MAX_ROWS]

    def count(self) -> None:
        """Set `rows`."""
        (self.rows,) = self._execute("SELECT count(*) FROM queue").fetchone()

    def is_empty(self) -> bool:
        """Whether nothing is in there."""
        return self._execute("SELECT 1 FROM queue LIMIT 1").fetchone() is None

    def is_damaged_by(self, error: Exception) -> bool:
        """Whether an error says that the file is broken, rather than the disk full or away."""
        return is_damage(error) or not self.exists()

    def exists(self) -> bool:
        """Whether it still has its place on the disk."""
        return (self.folder / _QUEUE).exists()

    def used_bytes(self) -> int:
        """Return what its rows take on the disk."""
        return self._measure("page_count") - self.reusable_bytes()

    def reusable_bytes(self) -> int:
        """Return what deleted rows have left, for further rows only as long as the file exists."""
        return self._measure("freelist_count")

    def free_bytes(self) -> int:
        """Return what its disk has left."""
        disk = os.fstatvfs(self._lock)
        return disk.f_bavail * disk.f_frsize

    def rest(self) -> None:
        """Keep its lock and nothing else open until it is needed again, if it can be opened again."""
        with fork_gate.draining:
            if self._db is not None and self.exists():
                self._db.close()
                self._db = None

    def close(self) -> None:
        """Let go of it; what is in there is for whoever adopts it."""
        self._disconnect()
        os.close(self._lock)

    def remove(self) -> None:
        """Delete it; it must be empty, and no connection open but its own."""
        self._disconnect()
        try:
            for name in (f"{_QUEUE}-shm", f"{_QUEUE}-wal", _QUEUE):  # no log outlives its database
                (self.folder / name).unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                self.folder.rmdir()
        finally:
            os.close(self._lock)

    def set_aside(self) -> Path:
        """Move it out of the way as it is, and return where it is now."""
        aside = self.folder.with_suffix(".damaged")
        with suppress(FileNotFoundError):
            self.folder.rename(aside)
        self.close()
        return aside

    def abandon(self) -> None:
        """In a forked child: let go of the parent's lock, and never touch its connection again."""
        if self._db is not None:
            never_free(self._db)
        if not self.gone:
            os.close(self._lock)

    def _execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
        with fork_gate.draining:
            if self._db is None:
                self._db = self.connect(fsync=False)  # a lost deletion costs a repeated delivery
            return self._db.execute(sql, parameters)

    def _measure(self, pages: str) -> int:
        count, size = (
            self._execute(f"PRAGMA {name}").fetchone()[0] for name in (pages, "page_size")
        )
        return int(count) * int(size)

    def _disconnect(self) -> None:
        self.gone = True
        with fork_gate.draining, suppress(sqlite3.Error):
            if self._db is not None:
                self._db.close()


def is_damage(error: Exception) -> bool:
    """Whether an error says that a database is broken, or is not the one that was made."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def orphan_bytes(folder: Path) -> int:
    """Return what the queue in a folder takes on the disk, 0 if its process lives."""
    with suppress(OSError):
        if (lock := _lock(folder)) is not None:
            try:
                return (folder / _QUEUE).stat().st_size
            finally:
                os.close(lock)
    return 0


def remove_unfinished(root: Path) -> None:
    """Delete the folders of processes that were killed while they made them."""
    for folder in root.glob("new-*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime < _UNFINISHED_S:
                continue  # its process may be about to lock it
            if (lock := _lock(folder)) is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def never_free(connection: sqlite3.Connection) -> None:
    """Keep a connection of the parent's from being closed in a child, now and at its end."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    watch_forks()
    uri = f"{path.as_uri()}?mode={mode}"
    return sqlite3.connect(
        uri, MAX_LOCKED_S, uri=True, isolation_level=None, check_same_thread=False
    )


def _lock(folder: Path) -> int | None:
    """Lock a folder; None if another process has it, or had it and removed it."""
    if sys.platform == "win32":
        raise ConfigurationError(
            "A spool needs locks that Windows does not have.", "Leave spool= out."
        )
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if folder.exists():
            return lock
    except BlockingIOError:
        pass
    except OSError:
        os.close(lock)
        raise
    os.close(lock)
    return None


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
