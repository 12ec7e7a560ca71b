"""Rows of the events that need what is stored: patches, and sets that keep their `created_at`.

    resolver = Resolver(batch, batch.chains(), sink, max_bytes=DEFAULT_PIECE_BYTES)
    while not resolver.is_done:
        piece = resolver.next_piece()      # then write it; after a RetryableError, call again

The events of one id are its chain: each builds on the one before it, the first on the stored row. A chain
becomes one row, its last state, because the states before it would only be replaced. Nobody knows how large
a stored row is before it is read, so rows are read one by one, and a piece ends when its own rows fill it.
"""

import uuid
from array import array
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from afterword_consumers.ingest.batch import Batch, Kind
from afterword_consumers.ingest.patch import Patch
from afterword_consumers.ingest.rows import (
    CREATED_AT,
    IS_DELETED,
    Key,
    Row,
    decode,
    encode,
    key,
    version,
)
from afterword_consumers.ingest.sink import Sink
from afterword_schemas import InvalidEventError

DEFAULT_PIECE_BYTES: Final = 16 * 1024 * 1024


@dataclass(slots=True)
class Piece:
    """Rows of some chains, one each.

    Attributes:
        token: The same for every try to insert this piece.
        chains: Of each row, the positions of the events that it is made of.
        rejected: Positions of events that do not fit what is stored, and why.
    """

    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    chains: list[tuple[Key, list[int]]] = field(default_factory=list)
    rejected: list[tuple[int, InvalidEventError]] = field(default_factory=list)
    _lines: bytearray = field(default_factory=bytearray)
    _ends: "array[int]" = field(default_factory=lambda: array("Q"))

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def size(self) -> int:
        """Bytes of its lines."""
        return len(self._lines)

    def add(self, chain: tuple[Key, list[int]], row: Row) -> None:
        """Add a row, and what it is made of."""
        self._lines += encode(row)
        self._ends.append(len(self._lines))
        self.chains.append(chain)

    def body(self, start: int, stop: int) -> bytes:
        """Return the lines from one row to before another."""
        first = self._ends[start - 1] if start else 0
        with memoryview(self._lines) as lines:
            return bytes(lines[first : self._ends[stop - 1]]) if stop > start else b""


class Resolver:
    """Makes the rows of chains, piece by piece.

    Args:
        batch: Where the events are.
        chains: By key, the positions of its events.
        sink: Where the rows are that the chains begin at.
        max_bytes: A piece ends with the row that brings its lines to so many bytes.
    """

    def __init__(
        self, batch: Batch, chains: Mapping[Key, list[int]], sink: Sink, *, max_bytes: int
    ) -> None:
        self._batch, self._sink, self._max_bytes = batch, sink, max_bytes
        self._unread = dict(chains)
        # Of these nothing is stored. The last one comes first.
        self._new: list[tuple[Key, list[int]]] = []

    @property
    def is_done(self) -> bool:
        """Whether all chains were resolved."""
        return not self._unread and not self._new

    def next_piece(self) -> Piece:
        """Resolve chains until they fill a piece. Write it before the next one.

        Raises:
            RetryableError: The stored rows could not be read; the next call begins where this one did.
        """
        piece = Piece()
        if self._unread:
            self._resolve_stored(piece)
        while self._new and piece.size < self._max_bytes:
            self._resolve(piece, *self._new.pop(), None)
        return piece

    def _resolve_stored(self, piece: Piece) -> None:
        read: list[Key] = []
        is_all_read = False
        with closing(self._sink.stored(self._unread)) as bases:
            for base in bases:
                read.append(key(base))
                self._resolve(piece, read[-1], self._unread[read[-1]], base)
                if piece.size >= self._max_bytes:
                    break
            else:
                is_all_read = True
        for chain_key in read:
            del self._unread[chain_key]
        if is_all_read:
            self._new = list(reversed(self._unread.items()))
            self._unread.clear()

    def _resolve(
        self, piece: Piece, chain_key: Key, positions: list[int], base: Row | None
    ) -> None:
        """Add the last state of a chain, if any of its events changed what was there."""
        state, accepted = base, list[int]()
        changed = False
        for position in positions:
            try:
                row = self._state_after(position, state)
            except InvalidEventError as error:
                # Its traceback would lead back to the piece, and the worker runs without the collector.
                piece.rejected.append((position, error.with_traceback(None)))
                continue
            accepted.append(position)
            if row is not None:
                state, changed = row, True
        if changed and state is not None:
            piece.add((chain_key, accepted), state)

    def _state_after(self, position: int, base: Row | None) -> Row | None:
        """Return the row of an id after the event at a position, None if that left it alone."""
        line, kind = self._batch.line(position), self._batch.kinds[position]
        if kind == Kind.PATCH:
            return Patch.decode(line).merge(base)
        whole = decode(line)
        if base is None:
            return whole
        if version(whole) < version(base):
            return None
        if kind == Kind.REPEATABLE and not base[IS_DELETED]:
            whole[CREATED_AT] = base[CREATED_AT]
        return whole
