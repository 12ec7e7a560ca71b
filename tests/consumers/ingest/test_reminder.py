"""When the log says again that something lasts."""

from afterword_consumers.ingest.reminder import Reminder


def due_within(reminder: Reminder, seconds: int) -> list[int]:
    """Return the seconds at which it is due, asked each second."""
    return [second for second in range(seconds) if reminder.is_due(second)]


def test_intervals_double_up_to_ten_minutes() -> None:
    """So a long outage fills no log."""
    assert due_within(Reminder(30.0), 2700) == [30, 60, 120, 240, 480, 960, 1560, 2160]


def test_what_is_said_at_once_is_said_again_after_half_a_minute() -> None:
    """And not each time that somebody looks."""
    assert due_within(Reminder(0.0), 300) == [0, 30, 60, 120, 240]


def test_something_new_begins_anew() -> None:
    """A shorter time than the last one is of another wait."""
    reminder = Reminder(30.0)
    assert due_within(reminder, 100) == [30, 60]
    assert due_within(reminder, 100) == [30, 60]
