"""When to repeat in the log that something still lasts: soon at first, then at growing intervals.

    reminder = Reminder(first_s=30.0)
    reminder.is_due(lasted_s)      # True at 30 s, 60 s, 120 s, 240 s, ...

For one thread.
"""

from typing import Final

_MIN_STEP_S: Final = 30.0
_MAX_STEP_S: Final = 600.0


class Reminder:
    """Doubles the interval between two reminders, up to ten minutes.

    Args:
        first_s: When the first one is due.
    """

    def __init__(self, first_s: float) -> None:
        self._first_s = self._next_s = first_s
        self._lasted_s = 0.0

    def is_due(self, lasted_s: float) -> bool:
        """Whether to say it now; a shorter time than the last one is of something new.

        Args:
            lasted_s: How long it has lasted, 0 while there is nothing to wait for.
        """
        if lasted_s < self._lasted_s:
            self._next_s = self._first_s
        self._lasted_s = lasted_s
        if lasted_s < self._next_s:
            return False
        self._next_s = lasted_s + min(max(_MIN_STEP_S, lasted_s), _MAX_STEP_S)
        return True
