"""A patch that waits for the row it merges into, or a clear for the row that it takes back.

    line = Patch.of(event, row, read_ms).encode()
    Patch.decode(line).merge(base)

In a batch it is a line like the others: as objects of Python, 100,000 small patches take 300 MB.
"""

from dataclasses import dataclass
from typing import Self

import orjson

from afterword_consumers.ingest.merge import merge
from afterword_consumers.ingest.rows import Row, encode
from afterword_schemas import Event, array_paths

# What `merge` asks of the names: of all other fields, the row tells a default from a value.
_TOLD_BY_NAME = ("created_at", "source", "weight")


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch or a clear that was judged.

    Attributes:
        row: As `to_row` makes it.
        arrays: Where it holds arrays.
        given: Which of `created_at`, `source` and `weight` it names.
        read_ms: When its message was read; when it was published, if that is later.
    """

    row: Row
    arrays: tuple[str, ...]
    given: frozenset[str]
    read_ms: int

    @classmethod
    def of(cls, event: Event, row: Row, read_ms: int) -> Self:
        """Return the patch of an event."""
        arrays = [
            path
            for name, root in (
                ("feedback", event.feedback),
                ("metadata", event.metadata),
                ("metrics", event.metrics),
            )
            for path in array_paths(name, root)
        ]
        given = event.model_fields_set.intersection(_TOLD_BY_NAME)
        return cls(
            row,
            tuple(arrays),
            frozenset(name for name in given if getattr(event, name) is not None),
            read_ms,
        )

    def encode(self) -> bytes:
        """Return it as a line that begins with its row."""
        return encode([*self.row, self.arrays, sorted(self.given), self.read_ms])

    @classmethod
    def decode(cls, line: bytes) -> Self:
        """Return the patch of a line made by `encode`."""
        *row, arrays, given, read_ms = orjson.loads(line)
        return cls(row, tuple(arrays), frozenset(given), read_ms)

    def merge(self, base: Row | None) -> Row | None:
        """Return the row to write on top of a base; None if the patch has nothing to add.

        Raises:
            InvalidEventError: Row and patch together exceed a limit of one event, or the row is newer.
        """
        if base is None:
            return self.row
        return merge(base, self.row, self.arrays, self.given, self.read_ms)
