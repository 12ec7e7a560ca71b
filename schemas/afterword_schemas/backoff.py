"""How long to wait before another try: pauses that double, with jitter.

Backoff(first_s=0.1, max_s=10).pause_s(3)      # between 0.2 and 0.4
"""

import random
from dataclasses import dataclass
from typing import Final

_MAX_DOUBLINGS: Final = 32
"""Enough to get from any first pause to any longest one, and no number that a float cannot hold."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """The pauses between the tries of one thing.

    Attributes:
        first_s: After the first failure; it doubles with each further one ...
        max_s: ... up to this. Each pause is shortened at random by up to a half, so that many
            processes do not come back at once.
    """

    first_s: float = 0.1
    max_s: float = 10.0

    def pause_s(self, failures: int) -> float:
        """Return the pause after so many failures in a row, at least one."""
        full_s = min(self.max_s, self.first_s * 2.0 ** min(failures - 1, _MAX_DOUBLINGS))
        return full_s * random.uniform(0.5, 1.0)  # noqa: S311  # spreads load, guards nothing
