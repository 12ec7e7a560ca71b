"""When the next request may be made, after some that failed."""

import logging
from time import monotonic
from typing import Final

from afterword_schemas.backoff import Backoff

_log = logging.getLogger("afterword.http")

_BACKOFF: Final = Backoff(first_s=0.1, max_s=10.0)
_LOUD_FAILURES: Final = 3


class RetrySchedule:
    """Waits that double with jitter, and a word in the log when they begin to matter and when they end.

    Attributes:
        due_s: When the next request may be made, on the monotonic clock.
        reason: Why the last one failed; empty if it did not.
    """

    def __init__(self) -> None:
        self.due_s = 0.0
        self.reason = ""
        self._failures = 0

    def fail(self, at_least_s: float) -> None:
        """Wait after a failure, and as long as the other end asked for."""
        self._failures += 1
        if self._failures == _LOUD_FAILURES:
            _log.warning("Events wait and are sent again: %s", self.reason)
        self.due_s = monotonic() + max(_BACKOFF.pause_s(self._failures), at_least_s)

    def succeed(self) -> None:
        """Wait no more."""
        if self._failures >= _LOUD_FAILURES:
            _log.warning("The gateway takes events again.")
        self.due_s, self.reason, self._failures = 0.0, "", 0

    def hurry(self) -> None:
        """Let one more try be made at once, whatever was agreed; the reason stays."""
        self.due_s, self._failures = 0.0, 0

    def explain(self, what: str) -> str:
        """Return what happened, with the reason if there is one."""
        return f"{what}; {self.reason}" if self.reason else what
