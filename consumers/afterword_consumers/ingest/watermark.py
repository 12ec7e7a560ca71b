"""Until when a worker has everything, as it can prove: ends of the log, and what it committed.

    completeness.learn(EndOffsets(asked_at, {0: 42}))      # what the broker said, and when it was asked
    completeness.proven({0: 42})                        # {0: asked_at}: commit it with the offset

Whatever the topic held when the ends were asked for stands before them. So once an offset is committed
that is not before the end, all of it is in the tables, and stays there. No time that a message carries
is looked at: the clocks of producers are anyone's.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

from afterword_consumers.ingest.source import Committed, EndOffsets
from afterword_consumers.rfc3339 import rfc3339

_MAX_END_OFFSETS: Final = 64
"""So many answers are kept until offsets catch up with them; a worker that is hours behind has one of
each few minutes, and its times are coarser by that."""

_FORM: Final = "afterword/1"


class Watermark:
    """What one worker knows of the partitions that it owns; for one thread."""

    def __init__(self) -> None:
        self._committed: dict[int, Committed] = {}
        self._ends: list[EndOffsets] = []

    def assign(self, committed: Mapping[int, Committed], now: datetime) -> None:
        """Own partitions, from what is committed; a time still to come proves nothing."""
        for partition, one in committed.items():
            is_past = one.caught_up is not None and one.caught_up <= now
            self._committed[partition] = one if is_past else Committed(one.offset)

    def forget(self, partitions: Collection[int]) -> None:
        """Own them no longer."""
        for partition in partitions:
            self._committed.pop(partition, None)

    def learn(self, ends: EndOffsets) -> None:
        """Take an answer in; later ones must have been asked for later."""
        self._ends.append(ends)
        if len(self._ends) > _MAX_END_OFFSETS:
            # The one that leaves the shortest gap, so that they stay evenly apart.
            times = [one.asked_at for one in self._ends]
            gaps = [(times[at + 1] - times[at - 1], at) for at in range(1, len(times) - 1)]
            del self._ends[min(gaps)[1]]

    def proven(self, offsets: Mapping[int, int]) -> dict[int, datetime]:
        """Return until when each partition is complete once these offsets are committed.

        Never before what is committed there already: what is in the tables stays in them. A partition of
        which nothing can be said is left out.
        """
        times = {partition: self._proven(partition, offsets[partition]) for partition in offsets}
        return {partition: time for partition, time in times.items() if time is not None}

    def record(self, offsets: Mapping[int, int], times: Mapping[int, datetime]) -> None:
        """Note what has been committed, and drop the answers that can prove nothing new."""
        for partition, offset in offsets.items():
            self._committed[partition] = Committed(offset, times.get(partition))
        reached = [self._reached(at, one.offset) for at, one in self._committed.items()]
        del self._ends[: max(0, min(reached, default=0))]

    def overdue(self, after: timedelta) -> dict[int, int]:
        """Return the committed offsets that are proven until so much later than was committed."""
        found = {}
        for partition, one in self._committed.items():
            time = self._proven(partition, one.offset)
            if time is not None and (one.caught_up is None or time - one.caught_up > after):
                found[partition] = one.offset
        return found

    def _proven(self, partition: int, offset: int) -> datetime | None:
        before = self._committed.get(partition, Committed(0)).caught_up
        at = self._reached(partition, offset)
        if at < 0:
            return before
        time = self._ends[at].asked_at
        return time if before is None else max(before, time)

    def _reached(self, partition: int, offset: int) -> int:
        """Return the place of the latest answer whose end is not after an offset, else -1."""
        for at in range(len(self._ends) - 1, -1, -1):
            end = self._ends[at].offsets.get(partition)
            if end is not None and end <= offset:
                return at
        return -1


def to_metadata(topic_id: str, caught_up: datetime | None) -> str:
    """Write what is committed beside an offset: of which topic, and until when it is complete.

    Milliseconds are cut off, so that the text says no more than the time.
    """
    if caught_up is None:
        return f"{_FORM} topic {topic_id}"
    return f"{_FORM} caught-up {rfc3339(caught_up)} topic {topic_id}"


def from_metadata(text: str | None) -> tuple[str, datetime | None] | None:
    """Read the topic's id and the time back; None of what is not by `to_metadata`."""
    match (text or "").split(" "):
        case [form, "topic", topic_id] if form == _FORM:
            return topic_id, None
        case [form, "caught-up", written, "topic", topic_id] if form == _FORM:
            try:
                time = datetime.fromisoformat(written)
            except ValueError:
                return None
            return (topic_id, time) if time.tzinfo is not None else None
    return None


def read_committed(topic_id: str, offset: int, metadata: str | None) -> Committed | None:
    """Return what a group has committed of a topic; None where it has committed nothing.

    An offset that names another topic id is of a topic that had this name before, and says nothing of
    this one. An offset that names none counts: Kafka deletes a topic's offsets with the topic, so this
    one was set by hand, or by an older version, for the topic that is there.

    Args:
        topic_id: Of the topic that is there.
        offset: What Kafka has; negative for none.
        metadata: The text beside it.
    """
    mark = from_metadata(metadata)
    if offset < 0 or (mark is not None and mark[0] != topic_id):
        return None
    return Committed(offset, None if mark is None else mark[1])
