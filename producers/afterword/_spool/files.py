"""The files of a spool that one process looks after: its own, and those it adopted.

What processes left behind that died goes before what this one writes: an event before its update.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from afterword._fork_gate import fork_gate
from afterword._spool.queue_file import Row, SpoolFile, orphan_bytes, remove_unfinished
from afterword_schemas.errors import ConfigurationError

_log = logging.getLogger("afterword")

_SHRINK_BYTES: Final = 1 << 20
_MAX_ADOPTED: Final = 100
"""Each holds a descriptor open, of which a process may have as few as 256."""


class SpoolFiles:
    """For the draining thread alone. Whatever is done to a damaged file sets it aside.

    Args:
        root: The folder that all processes of the spool share.
        on_lost: Told of a file that can be read no more, and why.

    Attributes:
        own: The file that this process writes; None while none can be made.
        crowded: Whether more was left behind than can be adopted at once.

    Raises:
        ConfigurationError: The folder cannot be used.
    """

    def __init__(self, root: Path, on_lost: Callable[[SpoolFile, str], None]) -> None:
        self._root = root
        self._on_lost = on_lost
        self._adopted: list[SpoolFile] = []
        self._complained: set[Path] = set()
        self._beyond_bytes = 0
        self.crowded = False
        self.own: SpoolFile | None = None
        self._begin()

    @property
    def adopted_rows(self) -> int:
        """How many messages of other processes wait here."""
        return sum(file.rows for file in self._adopted if not file.mine)

    @property
    def adopted_bytes(self) -> int:
        """What they take on the disk, and those that are still to be adopted."""
        sizes = []
        for file in list(self._adopted):
            with self._guard(file):
                sizes.append(file.used_bytes())
                file.rest()
        return sum(sizes) + self._beyond_bytes

    @property
    def has_room(self) -> bool:
        """Whether half of the places for adopted files are free."""
        return len(self._adopted) <= _MAX_ADOPTED // 2

    def renew(self) -> SpoolFile | None:
        """Begin another file to write, if there is none, or somebody removed it, or it would shrink.

        The one before is worked off as if it were adopted. A file never shrinks, it only goes.
        """
        if self.own is not None and not self.own.exists():
            _log.error("Somebody removed %s; what waits there is lost with this process", self.own)
            self._retire()
        if self.own is None or self._would_shrink(self.own):
            try:
                self._begin()
            except ConfigurationError as error:
                self._complain(self._root, error)
        return self.own

    def adopt(self) -> bool:
        """Take over what other processes left behind, as far as there is room; False if there is nothing."""
        remove_unfinished(self._root)
        held = {file.folder for file in self._files()}
        claimed = []
        self._beyond_bytes = 0
        for folder in sorted(self._root.glob("spool-*")):  # the oldest first
            if folder in held or folder.suffix:
                continue
            if len(self._adopted) >= _MAX_ADOPTED:
                self._beyond_bytes += orphan_bytes(folder)
            elif file := self._claim(folder):
                claimed.append(file)
                with self._guard(file):
                    file.count()
                    file.rest()
                if file.rows:
                    _log.info("Adopted %d events of %s, whose process is gone", file.rows, file)
        self.crowded = self._beyond_bytes > 0
        self.forget()
        return bool(claimed)

    def rewind(self) -> None:
        """Read all files from their beginning again."""
        for file in self._files():
            file.rewind()

    def page(self) -> list[Row]:
        """Return the next rows, oldest file first; none when all are read."""
        for file in self._files():
            if file.read:
                continue
            with self._guard(file):
                if rows := file.page():
                    return rows
                if file is not self.own:
                    file.rest()
        return []

    def forget(self) -> None:
        """Delete what is done, and the files of others that are empty."""
        for file in self._files():
            if not file.mine and file.rows and not file.has_done:
                continue  # it is not empty, and stays as it is
            with self._guard(file):
                file.forget()
                if file is not self.own:
                    self._remove_if_empty(file)

    def _remove_if_empty(self, file: SpoolFile) -> None:
        if file.is_empty():
            self._adopted.remove(file)
            file.remove()
        else:
            file.rest()

    def give_up(self, file: SpoolFile, error: Exception) -> None:
        """Move a damaged file out of the way, for a person to look at; there is none if somebody removed it."""
        if file.gone:
            return
        if file.folder.exists():
            aside = file.set_aside()
            _log.error("%s is damaged (%s) and was moved to %s", file, error, aside)
            reason = f"its file was damaged, see {aside}"
        else:
            file.close()
            _log.error("Somebody removed %s; what was not read from it is lost", file)
            reason = "somebody removed its file"
        self._drop(file)
        self._on_lost(file, reason)

    def close(self) -> None:
        """Delete what is done, and let go of everything."""
        for file in self._files():
            try:
                with self._guard(file):
                    file.forget()
                    if file.is_empty():
                        file.remove()
            finally:
                if not file.gone:
                    file.close()

    def abandon(self) -> None:
        """In a forked child: see `SpoolFile.abandon`."""
        for file in self._files():
            file.abandon()

    def _would_shrink(self, file: SpoolFile) -> bool:
        with self._guard(file):
            return file.reusable_bytes() > _SHRINK_BYTES
        return False

    def _begin(self) -> None:
        with fork_gate.draining:  # a child must know of every lock that it inherits
            begun = SpoolFile.create(self._root)
            self._retire()
            self.own = begun

    def _retire(self) -> None:
        if self.own is not None:
            self._adopted.append(self.own)
            self.own = None

    def _claim(self, folder: Path) -> SpoolFile | None:
        with fork_gate.draining:  # likewise
            try:
                file = SpoolFile.claim(folder)
            except OSError as error:
                self._complain(folder, error)
                return None
            if file is not None:
                self._adopted.append(file)
            return file

    def _complain(self, folder: Path, error: Exception) -> None:
        if folder not in self._complained:
            _log.error("%s cannot be used: %s", folder, error)
        self._complained.add(folder)

    def _drop(self, file: SpoolFile) -> None:
        if file is self.own:
            self.own = None
        else:
            self._adopted.remove(file)

    def _files(self) -> list[SpoolFile]:
        return [*self._adopted, *([self.own] if self.own else [])]

    @contextmanager
    def _guard(self, file: SpoolFile) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if file.is_damaged_by(error):
                self.give_up(file, error)
            elif file is self.own:
                raise
            else:  # it may not stand in the way of the others; the next look for orphans finds it
                self._complain(file.folder, error)
                self._drop(file)
                file.close()
