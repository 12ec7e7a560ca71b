"""Where the worker writes: four operations.

Every insert can be repeated: rows replace themselves by their key, so a batch that arrived although
its answer was lost is simply sent again.
"""

from collections.abc import Collection, Generator, Sequence
from typing import Protocol

from afterword_consumers.ingest.path_index import PathSeen
from afterword_consumers.ingest.rejection import Rejection
from afterword_consumers.ingest.rows import Key, Row


class Sink(Protocol):
    """What a worker needs of a store.

    Every method raises `RetryableError` to be called again, and `insert_feedback` raises
    `RowsRejectedError` where the rows themselves are at fault.
    """

    def stored(self, keys: Collection[Key]) -> Generator[Row, None, None]:
        """Yield the newest row of each key that has one, once, tombstones included.

        It reads as it yields: however large the rows are, a few are in memory. Close it to stop early.
        """

    def insert_feedback(self, lines: bytes, token: str) -> None:
        """Insert encoded rows.

        Args:
            lines: As `rows.encode` makes them, one after another.
            token: The same for every try of the same lines, and for nothing else.
        """

    def insert_rejections(self, rejections: Sequence[Rejection]) -> None:
        """Insert rejected messages."""

    def insert_paths_seen(self, paths_seen: Sequence[PathSeen]) -> None:
        """Insert paths into the path index."""
