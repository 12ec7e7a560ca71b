"""Messages that wait while none comes: when that is told, and when it is no fault."""

import pytest

from afterword_consumers.kafka.stall import STALLED_S, StallWatch


@pytest.fixture
def watch() -> StallWatch:
    """A watch over two partitions, read up to 5 and not at all, at second 100."""
    watch = StallWatch()
    watch.reach({0: 5, 1: -2}, 100.0)
    return watch


def test_messages_that_wait_are_told_of_within_ten_seconds(watch: StallWatch) -> None:
    """With their number, and where they are; again after half a minute more."""
    told = {second: watch.look({0: 7, 1: 40}, 100.0 + second) for second in range(60)}
    said = [second for second, text in told.items() if text is not None]
    assert said == [STALLED_S, STALLED_S + 30]
    assert said[0] < 10
    assert told[8] is not None
    assert told[8].startswith(
        "42 messages wait in partitions [0, 1], but Kafka has handed out none"
    )


def test_a_worker_that_advances_on_any_partition_is_not_stalled(watch: StallWatch) -> None:
    """A client hands out one partition after another, and of a slow worker it takes its time."""
    for second in range(100):
        watch.reach({0: 6 + second}, 100.0 + second)
        assert watch.look({0: 1000, 1: 40}, 100.0 + second) is None


def test_the_end_of_a_partition_is_reached_without_a_message(watch: StallWatch) -> None:
    """Marks of transactions, and what was deleted, are before the end and never handed out."""
    watch.reach({0: 7, 1: 40}, 101.0)
    assert watch.look({0: 7, 1: 40}, 1000.0) is None


def test_a_pause_is_no_stall(watch: StallWatch) -> None:
    """Nothing is handed out then because nothing is asked for."""
    for second in range(100):
        watch.rest(100.0 + second)
        assert watch.look({0: 7}, 100.0 + second) is None


def test_partitions_of_others_are_not_looked_at(watch: StallWatch) -> None:
    """An answer may come after they were given up."""
    watch.forget([0, 1])
    assert watch.look({0: 7, 1: 40, 2: 3}, 1000.0) is None


def test_an_empty_partition_that_was_never_read_does_not_wait(watch: StallWatch) -> None:
    """Its position is a negative number of librdkafka's, which is before no message."""
    assert watch.look({0: 5, 1: 0}, 1000.0) is None
    told = watch.look({0: 7, 1: 0}, 2000.0)
    assert told is not None
    assert told.startswith("2 messages wait in partitions [0], but")
