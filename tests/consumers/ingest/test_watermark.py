"""What a worker can prove of its own completeness: from ends, offsets and nothing else."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterword_consumers.ingest.source import Committed, EndOffsets
from afterword_consumers.ingest.watermark import (
    Watermark,
    from_metadata,
    read_committed,
    to_metadata,
)

START = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """Return a time so many seconds after the start."""
    return START + timedelta(seconds=seconds)


def owner(**committed: Committed) -> Watermark:
    """Return what the owner of some partitions, named `p0` and so on, knows at first."""
    one = Watermark()
    one.assign({int(name[1:]): value for name, value in committed.items()}, now=at(0))
    return one


def test_an_offset_is_complete_until_the_latest_ends_that_it_reaches() -> None:
    """Not until later ones, and in each partition for itself."""
    known = owner(p0=Committed(0), p1=Committed(0))
    for second, end in ((1, 10), (2, 20), (3, 30)):
        known.learn(EndOffsets(at(second), {0: end, 1: 5}))
    assert known.proven({0: 9, 1: 5}) == {1: at(3)}
    assert known.proven({0: 10, 1: 4}) == {0: at(1)}
    assert known.proven({0: 29}) == {0: at(2)}
    assert known.proven({0: 99}) == {0: at(3)}


def test_a_watermark_never_goes_back() -> None:
    """Rows stay in the tables: what stands there holds without ends, and after going back."""
    known = owner(p0=Committed(10, at(-5)))
    assert known.proven({0: 3}) == {0: at(-5)}
    known.learn(EndOffsets(at(-9), {0: 3}))  # by a clock that was set back
    assert known.proven({0: 12}) == {0: at(-5)}


def test_a_time_still_to_come_proves_nothing() -> None:
    """The last owner's clock was ahead: its word is not kept for as long as that."""
    assert owner(p0=Committed(10, at(1))).proven({0: 10}) == {}


def test_a_commit_that_says_nothing_new_is_not_due() -> None:
    """Only what was committed without a time, or with one much older, is worth a commit."""
    known = owner(p0=Committed(3), p1=Committed(7, at(-20)), p2=Committed(7, at(-5)))
    assert known.overdue(timedelta(seconds=10)) == {}
    known.learn(EndOffsets(at(0), {0: 3, 1: 7, 2: 7}))
    assert known.overdue(timedelta(seconds=10)) == {0: 3, 1: 7}
    known.record({0: 3, 1: 7}, {0: at(0), 1: at(0)})
    assert known.overdue(timedelta(seconds=10)) == {}
    assert known.overdue(timedelta(0)) == {2: 7}


def test_a_partition_that_is_not_read_to_its_end_is_not_due() -> None:
    """Committing its offset again could not say anything later."""
    known = owner(p0=Committed(3), p1=Committed(0))
    known.learn(EndOffsets(at(0), {0: 4, 1: 0}))
    assert known.overdue(timedelta(0)) == {1: 0}


def test_a_partition_given_up_is_nobodys_to_commit() -> None:
    """After a revoke nothing is due there, and its last time is the next owner's to read."""
    known = owner(p0=Committed(3, at(-60)))
    known.learn(EndOffsets(at(0), {0: 3}))
    known.forget([0, 1])
    assert known.overdue(timedelta(0)) == {}


def test_memory_is_bounded_and_times_stay_close() -> None:
    """Through three hours of backlog 64 answers are kept, evenly: a time is at most 6 minutes coarse."""
    known = owner(p0=Committed(0))
    for second in range(3 * 3600):
        known.learn(EndOffsets(at(second), {0: 1000 + second}))
    assert len(known._ends) == 64
    times = [known.proven({0: 1000 + second})[0] for second in range(3 * 3600)]
    late = [at(second) - time for second, time in enumerate(times)]
    assert min(late) == timedelta(0)
    assert max(late) < timedelta(minutes=6)


def test_answers_that_prove_nothing_more_are_dropped() -> None:
    """Once all partitions have come to an answer, those before it are of no use."""
    known = owner(p0=Committed(0), p1=Committed(0))
    for second in range(10):
        known.learn(EndOffsets(at(second), {0: second, 1: 3}))
    known.record({0: 5}, {0: at(5)})
    assert len(known._ends) == 10  # partition 1 has reached none
    known.record({1: 3}, {1: at(9)})
    assert [ends.asked_at for ends in known._ends] == [at(second) for second in range(5, 10)]


@given(st.datetimes(timezones=st.just(UTC)), st.integers(-12, 12))
def test_a_time_reads_back_as_it_was_less_what_milliseconds_cannot_say(
    time: datetime, hours: int
) -> None:
    """It is never later, and the same whatever zone it was given in."""
    if not datetime(2, 1, 1, tzinfo=UTC) < time < datetime(9998, 1, 1, tzinfo=UTC):
        time = START
    text = to_metadata("tPAQ2C2kT2y0bYRO2Za78A", time.astimezone(timezone(timedelta(hours=hours))))
    read = from_metadata(text)
    assert read is not None
    assert read[0] == "tPAQ2C2kT2y0bYRO2Za78A"
    assert read[1] is not None
    assert timedelta(0) <= time - read[1] < timedelta(milliseconds=1)


def test_the_text_is_what_it_is_documented_to_be() -> None:
    """Whoever lists a group's offsets can read it."""
    text = to_metadata("tPAQ2C2kT2y0bYRO2Za78A", at(0.0625))
    assert text == "afterword/1 caught-up 2026-11-20T11:00:00.062Z topic tPAQ2C2kT2y0bYRO2Za78A"
    text = to_metadata("tPAQ2C2kT2y0bYRO2Za78A", None)
    assert text == "afterword/1 topic tPAQ2C2kT2y0bYRO2Za78A"
    assert from_metadata(text) == ("tPAQ2C2kT2y0bYRO2Za78A", None)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "NO_METADATA",
        "afterword/2 caught-up 2026-11-20T11:00:00.062Z topic x",
        "afterword/1 caught-up yesterday topic x",
        "afterword/1 caught-up 2026-11-20T11:00:00.062 topic x",
        "afterword/1 caught-up 2026-11-20T11:00:00.062Z",
    ],
)
def test_the_text_of_others_says_nothing(text: str | None) -> None:
    """Other tools commit with metadata of their own, and later versions with another form."""
    assert from_metadata(text) is None


@pytest.mark.parametrize(
    ("offset", "metadata", "committed"),
    [
        (7, to_metadata("here", at(1)), Committed(7, at(1))),
        (7, to_metadata("here", None), Committed(7)),
        (7, to_metadata("before", at(1)), None),
        (7, to_metadata("before", None), None),
        (0, to_metadata("before", None), None),
        (7, None, Committed(7)),
        (7, "of another tool", Committed(7)),
        (-1001, None, None),
    ],
)
def test_an_offset_counts_unless_it_names_another_topic(
    offset: int, metadata: str | None, committed: Committed | None
) -> None:
    """One without an id was set by hand or by an older version, for the topic that is there."""
    assert read_committed("here", offset, metadata) == committed
