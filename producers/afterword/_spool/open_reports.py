"""The messages of one file whose end is not known, and the callbacks that are to be told of it.

    reports.add(7, on_delivery)      # before the row is written
    reports.confirm(1)               # it is
    reports.settle(7)                # its end is known: whom to tell

Two sides use it without a lock. Whoever emits adds, withdraws and confirms, one at a time (see
`fork_gate.writing`); the delivering side settles. Each counter has one side that writes it, and each step is
one operation on the dict, which no other thread can come into.
"""

from collections.abc import Iterable, Set
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from afterword._transport import DeliveryCallback


class OpenReports:
    """What the rows of a file that this process writes are waiting for."""

    def __init__(self) -> None:
        self._callbacks: dict[int, DeliveryCallback] = {}
        self._written = self._settled = 0

    def add(self, row_id: int, on_delivery: "DeliveryCallback") -> None:
        """Note whom to tell, before the row is written: right after, it may be delivered."""
        self._callbacks[row_id] = on_delivery

    def withdraw(self, row_ids: Iterable[int]) -> None:
        """Tell nobody: the rows were not written."""
        for row_id in row_ids:
            self._callbacks.pop(row_id, None)

    def confirm(self, count: int) -> None:
        """Count rows that were written."""
        self._written += count

    def settle(self, row_id: int) -> "DeliveryCallback | None":
        """Count a row whose end is known, and return whom to tell."""
        self._settled += 1
        return self._callbacks.pop(row_id, None)

    def missing(self, held: Set[int], under_way: int) -> list[int]:
        """Return the ids of rows that wait and are not held; 0 for each whose id nobody remembers."""
        known = self._callbacks.keys() - held
        unknown = self._written - self._settled - under_way - len(known)
        return [*known, *([0] * unknown)]
