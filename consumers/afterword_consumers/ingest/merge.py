"""Merge a patch into the row that is stored, path by path, and let a clear take it back.

    merge(base, patch, arrays, given, read_ms)    # the newer of the two wins where both speak

A patch that is newer than the row, or as new, writes its paths: a value replaces whatever stood at
or below its path, and an array replaces the whole array, so that no old element survives beside
new ones. An older patch, come late, only fills gaps. No late patch undoes what a newer event said.

A patch that is read again, as after a crash, changes nothing: the row tells by its place in the topic
that it has it already. Filling gaps would bring back what a later event removed.

A row may say a time that is still to come. Its clock was wrong then, and the order of arrival decides.
`OLDER_THAN_STORED` is the error for a message of which nothing could be kept.
"""

from collections.abc import Iterable
from typing import Final

from afterword_consumers.ingest.rows import (
    BOOLEANS,
    CREATED_AT,
    ENVIRONMENT,
    IS_DELETED,
    KAFKA_OFFSET,
    KAFKA_PARTITION,
    KAFKA_TOPIC,
    NUMBERS,
    SOURCE,
    STRINGS,
    TOPIC_ID,
    TRACE_ID,
    UPDATED_AT,
    USER_ID,
    VALUE,
    WEIGHT,
    Row,
    version,
)
from afterword_schemas import InvalidEventError, RejectCode
from afterword_schemas.limits import MAX_AHEAD_MS, MAX_EVENT_BYTES, MAX_LEAVES

_FEW: Final = 16
"""So many paths are compared with each path of a row at once; of more, those that the row goes through."""

_MAPS = (NUMBERS, BOOLEANS, STRINGS)
_NAMED = ((SOURCE, "source"), (WEIGHT, "weight"))
_TEXTS = (*range(TRACE_ID, SOURCE), *range(USER_ID, ENVIRONMENT + 1))


def merge(
    base: Row, patch: Row, arrays: Iterable[str], given: frozenset[str], read_ms: int
) -> Row | None:
    """Merge a patch or a clear into its base.

    Args:
        base: The row that is stored, a tombstone perhaps. Not changed.
        patch: The patch or clear as `to_row` makes it.
        arrays: The dotted paths at which the patch holds arrays.
        given: The fields that the patch names: its row alone cannot tell a default from a value.
        read_ms: When its message was read.

    Returns:
        The row to write; None if there is nothing to add.

    Raises:
        InvalidEventError: `TOO_MANY_LEAVES` or `TOO_LARGE` if row and patch together exceed what one event
            may hold, `OLDER_THAN_STORED` if nothing of it could be kept.
    """
    if _holds(base, patch):
        # Written once more: an older row, read again too, may have been inserted after it.
        return base
    newer = _is_newer(base, patch, read_ms)
    if patch[IS_DELETED] or base[IS_DELETED]:
        if newer:
            return _above(base, list(patch))
        if patch[IS_DELETED] and base[IS_DELETED]:
            return None
        raise _older()
    merged = [*base[:KAFKA_TOPIC], *patch[KAFKA_TOPIC:]]
    merged[UPDATED_AT] = max(base[UPDATED_AT], patch[UPDATED_AT])
    if "created_at" in given:
        earliest = min(base[CREATED_AT], patch[CREATED_AT])
        merged[CREATED_AT] = patch[CREATED_AT] if newer else earliest
    _merge_columns(merged, patch, given, newer=newer)
    keep = _overwrite if newer else _fill
    merged[NUMBERS], merged[BOOLEANS], merged[STRINGS] = keep(base, patch, frozenset(arrays))
    if sum(len(merged[column]) for column in _MAPS) > MAX_LEAVES:
        detail = f"with what is stored, more than {MAX_LEAVES} values in one event"
        raise InvalidEventError(RejectCode.TOO_MANY_LEAVES, "$", detail)
    if sum(map(len, merged[STRINGS].values())) > MAX_EVENT_BYTES:
        detail = f"with what is stored, more than {MAX_EVENT_BYTES:,} letters of text in one event"
        raise InvalidEventError(RejectCode.TOO_LARGE, "$", detail)
    if (
        not newer
        and merged[:KAFKA_TOPIC] == base[:KAFKA_TOPIC]
        and _contradicts(patch, base, given)
    ):
        raise _older()
    return _above(base, merged)


def _is_newer(base: Row, patch: Row, read_ms: int) -> bool:
    """Whether a patch or a clear wins over a row that came before it.

    A row that says a time which is still to come is from a clock that was ahead, or from before such
    times were capped. A clear, which is a person's wish, wins then. A patch wins past the limit to which
    clocks may differ: below it, it may be one that waited, as a span does for its export. Here the time
    of reading decides, not that of publishing: a spool or a replay publishes under an old time.
    """
    ahead_ms = 0 if patch[IS_DELETED] else MAX_AHEAD_MS
    return bool(
        patch[UPDATED_AT] >= base[UPDATED_AT] or round(base[UPDATED_AT] * 1000) > read_ms + ahead_ms
    )


def _older() -> InvalidEventError:
    detail = "what is stored was changed at a later time; send it again with a later updated_at"
    return InvalidEventError(RejectCode.OLDER_THAN_STORED, "$.updated_at", detail)


def _above(base: Row, row: Row) -> Row:
    """Give a row a version that wins over its base, also where it came later with an older time.

    It keeps its own place in the topic, by which it is known when it is read again.
    """
    row[UPDATED_AT] = max(base[UPDATED_AT], row[UPDATED_AT])
    if version(row) <= version(base):
        row[UPDATED_AT] = (round(base[UPDATED_AT] * 1000) + 1) / 1000
    return row


def _contradicts(patch: Row, base: Row, given: frozenset[str]) -> bool:
    """Whether a patch says anything that is not in a row already."""
    columns = [column for column in _TEXTS if patch[column]]
    columns += [VALUE] if patch[VALUE] is not None else []
    columns += [column for column, name in _NAMED if name in given]
    return any(patch[column] != base[column] for column in columns) or any(
        base[column].get(path) != leaf for column in _MAPS for path, leaf in patch[column].items()
    )


def _holds(base: Row, patch: Row) -> bool:
    """Whether a row was made of a patch's message, or of one after it in the same partition.

    All events of an id meet in one partition, so the row then has all that were before it. Offsets
    begin again in a topic that is created again: that one has another id. Rows of older versions have
    no id, and there what is newer by its time is never taken for old.
    """
    return bool(
        base[KAFKA_TOPIC] == patch[KAFKA_TOPIC]
        and base[TOPIC_ID] in ("", patch[TOPIC_ID])
        and base[KAFKA_PARTITION] == patch[KAFKA_PARTITION]
        and base[KAFKA_OFFSET] >= patch[KAFKA_OFFSET]
        and base[UPDATED_AT] >= patch[UPDATED_AT]
    )


def _merge_columns(merged: Row, patch: Row, given: frozenset[str], *, newer: bool) -> None:
    for column in _TEXTS:
        if patch[column] and (newer or not merged[column]):
            merged[column] = patch[column]
    if newer and "source" in given:
        merged[SOURCE] = patch[SOURCE]
    if newer and "weight" in given:
        merged[WEIGHT] = patch[WEIGHT]
    if patch[VALUE] is not None and (newer or merged[VALUE] is None):
        # A weight belongs to the value it came with.
        if not newer and "weight" in given:
            merged[WEIGHT] = patch[WEIGHT]
        merged[VALUE] = patch[VALUE]


_Maps = tuple[dict[str, object], dict[str, object], dict[str, object]]


def _overwrite(base: Row, patch: Row, arrays: frozenset[str]) -> _Maps:
    # An array of no leaf leaves no path; as in a whole event, it says nothing.
    yields = _Yields(patch, base, arrays)
    numbers, booleans, strings = (yields.rest_of(base[at]) | patch[at] for at in _MAPS)
    return numbers, booleans, strings


def _fill(base: Row, patch: Row, arrays: frozenset[str]) -> _Maps:
    yields = _Yields(base, patch, arrays)
    numbers, booleans, strings = (base[at] | yields.rest_of(patch[at]) for at in _MAPS)
    return numbers, booleans, strings


class _Yields:
    """Which paths of one row give way to those of another: the same, those above, and those below."""

    def __init__(self, winner: Row, loser: Row, arrays: frozenset[str]) -> None:
        leaves = _paths(winner)
        above = _ancestors(leaves)
        taken = leaves | (arrays & above)
        self._gone = taken | above
        if len(taken) > _FEW:  # each is compared with each path of the loser
            taken &= _ancestors(_paths(loser))
        self._below = tuple([f"{path}." for path in taken])

    def rest_of(self, leaves: dict[str, object]) -> dict[str, object]:
        """Return the leaves that stay."""
        gone, below = self._gone, self._below
        return {
            path: leaf
            for path, leaf in leaves.items()
            if path not in gone and not path.startswith(below)
        }


def _paths(row: Row) -> set[str]:
    return set().union(*(row[column] for column in _MAPS))


def _ancestors(paths: Iterable[str]) -> set[str]:
    """Return the paths of the containers that paths go through."""
    ancestors: set[str] = set()
    for path in paths:
        parent = path.rpartition(".")[0]
        # Paths share their containers: those of a known one are known.
        while parent and parent not in ancestors:
            ancestors.add(parent)
            parent = parent.rpartition(".")[0]
    return ancestors
