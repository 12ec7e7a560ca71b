"""Messages that wait while Kafka hands out none: the worker is well, and yet nothing comes.

    watch = StallWatch()
    watch.reach({0: 41}, now_s)            # whenever something came, or the end of a partition
    watch.look({0: 47}, now_s)             # None, or what to tell, at growing intervals

An open transaction of a producer is such a case, and so is a fetch that the broker refuses again and
again while the client keeps it to itself.
"""

from collections.abc import Collection, Mapping
from typing import Final

from afterword_consumers.ingest.reminder import Reminder
from afterword_schemas.counted import counted

STALLED_S: Final = 8.0
"""After so long without a message the log tells of those that wait; a new leader takes less."""


class StallWatch:
    """Knows how far the member has come in its partitions, and when it last got further; one thread."""

    def __init__(self) -> None:
        self._reached: dict[int, int] = {}
        self._since_s = 0.0
        self._reminder = Reminder(STALLED_S)

    def reach(self, offsets: Mapping[int, int], now_s: float) -> None:
        """Take in up to where partitions are read, marks of transactions included."""
        self._reached |= offsets
        self._since_s = now_s

    def forget(self, partitions: Collection[int]) -> None:
        """Own them no longer."""
        for partition in partitions:
            self._reached.pop(partition, None)

    def rest(self, now_s: float) -> None:
        """Count from now on: nothing was to be handed out so far."""
        self._since_s = now_s

    def look(self, ends: Mapping[int, int], now_s: float) -> str | None:
        """Return a sentence for the log if it is time for one.

        Args:
            ends: Of the partitions, by the broker.
            now_s: By the clock of `reach`.
        """
        waiting = {
            partition: end - reached
            for partition, end in ends.items()
            # Before the first message librdkafka's position is a negative number of its own.
            if end > (reached := max(0, self._reached.get(partition, end)))
        }
        lasted_s = now_s - self._since_s if waiting else 0.0
        if not self._reminder.is_due(lasted_s):
            return None
        return (
            f"{counted(sum(waiting.values()), 'message waits', 'messages wait')} in partitions "
            f"{sorted(waiting)}, but Kafka has handed out none for {lasted_s:.0f} s: "
            "look for an open transaction of a producer, and at the broker's log"
        )
