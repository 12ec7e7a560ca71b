"""Start a part of `afterword up` again when it has ended, but not for ever.

    part = Part("ClickHouse", alive, start, failure)
    for sentence in Restarts().restart_ended([part]): ...

A part that ends again and again has a fault that a restart does not mend: then its failure is raised.
"""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from afterword_schemas import ConfigurationError

_MAX_RESTARTS: Final = 3
_WINDOW_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Part:
    """A process that should run.

    Attributes:
        name: What to call it.
        alive: Whether it runs.
        start: Starts it again, on the same address, and returns when it serves.
        failure: Says that it has ended, and where to look.
    """

    name: str
    alive: Callable[[], bool]
    start: Callable[[], None]
    failure: Callable[[], ConfigurationError]


class Restarts:
    """Counts the restarts of each part: at most 3 within 5 minutes."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._at_s: dict[str, deque[float]] = defaultdict(deque)

    def restart_ended(self, parts: Iterable[Part]) -> Iterator[str]:
        """Start the parts that have ended, and yield a sentence for each.

        Raises:
            ConfigurationError: A part ended too often, or does not start.
        """
        for part in parts:
            if not part.alive():
                self._take(part)
                part.start()
                yield f"{part.name} had ended, and runs again"

    def _take(self, part: Part) -> None:
        taken, now_s = self._at_s[part.name], self._now_s()
        while taken and taken[0] < now_s - _WINDOW_S:
            taken.popleft()
        if len(taken) >= _MAX_RESTARTS:
            raise part.failure()
        taken.append(now_s)
