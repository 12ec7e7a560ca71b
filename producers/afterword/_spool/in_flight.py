"""What is in memory of a spool: of each key one message under way, and those behind it.

    window.take(rows)
    while (row := window.next_row()) is not None: ...   # hand it over, and once its end is known:
    window.finish(row)                                  # the next of its key may go
    window.postpone(row)                                # none of its key may go, until a rewind

A message that is tried again would come behind a later one of its key that was under way meanwhile,
and an event that comes behind its own update is lost. So none is.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

from afterword._spool.queue_file import Row

_MAX_ROWS: Final = 10_000
_MAX_BYTES: Final = 16 << 20
_MAX_POSTPONED: Final = 10_000


class Window:
    """Bounded in rows and bytes, and in keys that wait for another try."""

    def __init__(self) -> None:
        self._lanes: dict[bytes, list[Row]] = {}
        self._ready: deque[Row] = deque()
        self._postponed: set[bytes] = set()
        self._rows = self._bytes = 0

    @property
    def has_room(self) -> bool:
        """Whether there is room for another page."""
        within = self._rows < _MAX_ROWS and self._bytes < _MAX_BYTES
        return within and len(self._postponed) < _MAX_POSTPONED

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is under way or waits for another try."""
        return not self._lanes and not self._postponed

    def take(self, rows: Iterable[Row]) -> None:
        """Take rows in their order, but for those that are here already or must wait."""
        for row in rows:
            if row.key in self._postponed or not row.file.hold(row.id):
                continue
            self._rows += 1
            self._bytes += len(row.value)
            lane = self._lanes.setdefault(row.key, [])
            lane.append(row)
            if len(lane) == 1:
                self._ready.append(row)

    def next_row(self) -> Row | None:
        """Return the next that may be handed over; it stays the next until `pass_on`."""
        return self._ready[0] if self._ready else None

    def pass_on(self) -> None:
        """The next row was handed over."""
        self._ready.popleft()

    def finish(self, row: Row) -> None:
        """Its end is known: the next of its key may go. It stays held by its file."""
        lane = self._lanes[row.key]
        self._leave(lane.pop(0))
        if lane:
            self._ready.append(lane[0])
        else:
            del self._lanes[row.key]

    def postpone(self, row: Row) -> None:
        """Leave it and all behind it to the file, for another try after `rewind`."""
        self._postponed.add(row.key)
        for behind in self._lanes.pop(row.key):
            self._leave(behind)
            behind.file.release(behind.id)

    def rewind(self) -> None:
        """From now on the postponed may be taken again."""
        self._postponed.clear()

    def _leave(self, row: Row) -> None:
        self._rows -= 1
        self._bytes -= len(row.value)
