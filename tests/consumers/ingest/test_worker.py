"""The worker on the twins: what is committed, what is read again, and that nothing is lost."""

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.waiting import wait_until

from afterword_consumers.ingest import worker as worker_module
from afterword_consumers.ingest.source import EndOffsets
from afterword_schemas import ConfigurationError, RetryableError

if TYPE_CHECKING:
    from tests.consumers.conftest import Bench

GROUP = "afterword"


def at(seconds: float) -> datetime:
    """Return a time so many seconds after one that has passed."""
    return datetime(2026, 1, 31, 9, 30, tzinfo=UTC) + timedelta(seconds=seconds)


def test_offsets_are_committed_after_the_rows_are_stored(bench: "Bench") -> None:
    """While a batch is on its way to the store its offsets are not committed; then they are."""
    bench.publish(10)
    worker, source = bench.worker()
    committed_before: list[dict[int, int]] = []
    bench.store.before_insert = lambda _: committed_before.append(bench.committed)
    source.before_poll = lambda: worker.stop() if source.taken == 10 else None
    worker.run()
    assert committed_before == [{}]
    assert bench.stored == list(range(10))
    assert bench.committed == {0: 5, 1: 5}
    assert (worker.stats.stored, worker.stats.rejected, worker.stats.batches) == (10, 0, 1)


def test_nothing_is_committed_while_inserting_fails(bench: "Bench") -> None:
    """A store that refuses every try gets many, and the offsets stay where they are."""
    bench.publish(10)
    worker, _ = bench.worker(age_s=0.0)
    tries: list[bytes] = []

    def fail(lines: bytes) -> None:
        tries.append(lines)
        if len(tries) == 5:
            worker.abort()
        raise RetryableError("away")

    bench.store.before_insert = fail
    worker.run()
    assert len(tries) >= 5
    assert len(set(tries)) == 1
    assert worker.stats.retries >= 1
    assert (bench.stored, bench.committed) == ([], {})


def test_a_store_that_comes_back_gets_everything(bench: "Bench") -> None:
    """After failures the same rows go in, and only then the offsets move on."""
    bench.publish(10)
    worker, source = bench.worker(age_s=0.0)
    failures = iter(range(3))

    def fail_thrice(_: bytes) -> None:
        assert bench.committed == {}
        if next(failures, None) is not None:
            raise RetryableError("away")

    bench.store.before_insert = fail_thrice
    source.before_poll = lambda: worker.stop() if bench.store.inserts else None
    worker.run()
    assert bench.stored == list(range(10))
    assert worker.stats.retries == 3
    assert bench.committed == {0: 5, 1: 5}


@pytest.mark.parametrize("rows", [5, 1000], ids=["while it reads", "while it ends"])
def test_a_store_that_hangs_is_told_of_before_it_fails(
    bench: "Bench", caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """A request may last for minutes before it fails; the log would be silent all that time."""
    monkeypatch.setattr(worker_module, "_STORE_HANGS_S", 0.001)
    bench.publish(5)
    worker, source = bench.worker(rows=rows)

    def hang_until_it_is_told(_: bytes) -> None:
        wait_until(lambda: caplog.messages)

    bench.store.before_insert = hang_until_it_is_told
    source.before_poll = lambda: worker.stop() if rows > 5 or bench.store.inserts else None
    worker.run()
    assert caplog.messages == ["waiting for ClickHouse for 0 s; the batch is kept"]
    assert bench.stored == list(range(5))


def test_a_stop_stores_and_commits_what_was_fetched(bench: "Bench") -> None:
    """A batch far from full or due is not left behind at the end."""
    bench.publish(3)
    worker, source = bench.worker()
    source.before_poll = lambda: worker.stop() if source.taken == 3 else None
    worker.run()
    assert bench.stored == [0, 1, 2]
    assert bench.broker.lag(bench.group) == 0


def test_an_abort_leaves_everything_to_the_next(bench: "Bench") -> None:
    """A worker that ends at once commits nothing, and its successor reads all of it."""
    bench.publish(10)
    worker, source = bench.worker()
    source.before_poll = lambda: worker.abort() if source.taken == 10 else None
    worker.run()
    assert (bench.stored, bench.committed) == ([], {})
    successor, its_source = bench.worker()
    its_source.before_poll = lambda: successor.stop() if its_source.taken == 10 else None
    successor.run()
    assert bench.stored == list(range(10))


def test_memory_holds_two_batches_however_long_the_store_is_away(bench: "Bench") -> None:
    """With one batch on its way and one full, fetching pauses but polling goes on."""
    bench.publish(100)
    worker, source = bench.worker(rows=10)
    back = threading.Event()
    bench.store.before_insert = lambda _: back.wait(20)
    paused_polls = 0

    def watch() -> None:
        nonlocal paused_polls
        if not back.is_set():
            assert source.taken <= 20
            paused_polls += source.pauses > 0
            if paused_polls == 2:
                back.set()
        elif source.taken == 100:
            worker.stop()

    source.before_poll = watch
    worker.run()
    assert source.pauses == 1
    assert bench.stored == list(range(100))
    assert bench.broker.lag(bench.group) == 0
    assert max(bench.store.inserts) == 10


def test_what_one_fetch_brings_beyond_a_full_batch_goes_into_the_next(bench: "Bench") -> None:
    """100 messages in one fetch fill many batches by their bytes; each is stored and committed.

    What is left at the end fills none, and would wait for the batch's age: a stop stores it.
    """
    bench.publish(100)
    worker, source = bench.worker(size=1_000)
    source.before_poll = lambda: worker.stop() if bench.broker.lag(bench.group) < 10 else None

    worker.run()

    assert bench.stored == list(range(100))
    assert max(bench.store.inserts) < 10
    assert worker.stats.stored == 100


def test_a_stop_takes_along_what_was_fetched_beyond_a_full_batch(bench: "Bench") -> None:
    """It was handed out already: the drain stores it batch by batch."""
    bench.publish(100)
    worker, source = bench.worker(size=1_000)
    bench.store.before_insert = lambda _: worker.stop()

    worker.run()

    assert source.polls == 1
    assert bench.stored == list(range(100))
    assert bench.broker.lag(bench.group) == 0


def test_what_was_fetched_of_a_lost_partition_is_left_to_its_owner(bench: "Bench") -> None:
    """Messages that wait for a batch are dropped with their partitions, and read by the next owner."""
    bench.publish(100)
    worker, source = bench.worker(size=1_000)
    lost, successor = threading.Event(), bench.broker.member(bench.group)
    bench.store.before_insert = lambda _: lost.wait(20)

    def lose() -> None:
        if source.taken == 100 and not lost.is_set():
            bench.broker.expel(source.source)
            worker.stop()
            lost.set()

    source.before_poll = lose
    worker.run()

    assert bench.committed == {}
    assert len(bench.stored) < 20
    bench.broker.join(successor)
    assert len(successor.poll(1_000, 0)) == 100


def test_a_revoke_stores_and_commits_first(bench: "Bench") -> None:
    """When a second member comes, what the first has read is done and is not read twice."""
    bench.publish(10)
    worker, source = bench.worker()
    newcomer = bench.broker.member(bench.group)

    def let_another_in() -> None:
        if source.taken == 10:
            bench.broker.join(newcomer)
            assert bench.stored == list(range(10))
            assert bench.committed == {0: 5, 1: 5}
            assert newcomer.poll(100, 0) == []
            worker.stop()

    source.before_poll = let_another_in
    worker.run()
    assert worker.stats.stored == 10


def test_a_revoke_in_the_middle_of_an_insert_waits_for_it(bench: "Bench") -> None:
    """A batch on its way and one being filled are both stored before the partitions go."""
    bench.publish(10)
    worker, source = bench.worker(rows=5, age_s=0.0)
    inserting, joined = threading.Event(), threading.Event()
    bench.store.before_insert = lambda _: inserting.set()

    def let_another_in() -> None:
        if source.taken == 10 and not joined.is_set():
            assert inserting.wait(20)
            bench.broker.join(bench.broker.member(bench.group))
            joined.set()
            assert bench.broker.lag(bench.group) == 0
            worker.stop()

    source.before_poll = let_another_in
    worker.run()
    assert joined.is_set()
    assert bench.stored == list(range(10))


def test_a_revoke_does_not_wait_for_ever(bench: "Bench") -> None:
    """With the store away, the partitions go uncommitted and the next owner reads all again."""
    bench.publish(10)
    worker, source = bench.worker(age_s=0.0, drain_s=0.1)
    newcomer = bench.broker.member(bench.group)
    away = threading.Event()
    bench.store.before_insert = lambda _: (_ for _ in ()).throw(RetryableError("away"))

    def let_another_in() -> None:
        if source.taken == 10 and not away.is_set():
            away.set()
            bench.broker.join(newcomer)
            assert bench.committed == {}
            assert [message.offset() for message in newcomer.poll(100, 0)] == [0, 1, 2, 3, 4]
            worker.abort()

    source.before_poll = let_another_in
    worker.run()
    assert away.is_set()
    assert bench.committed == {}


def test_lost_partitions_are_never_committed(bench: "Bench") -> None:
    """What was on its way when the group gave up on the member is stored, its offsets are not."""
    bench.publish(10)
    worker, source = bench.worker(age_s=0.0)
    lost = threading.Event()
    bench.store.before_insert = lambda _: lost.wait(20)

    def lose() -> None:
        if source.taken == 10 and not lost.is_set():
            bench.broker.expel(source.source)
            lost.set()
        elif bench.store.inserts:
            worker.stop()

    source.before_poll = lose
    worker.run()
    assert bench.stored == list(range(10))
    assert bench.committed == {}


def test_a_commit_that_fails_is_made_up_for(bench: "Bench") -> None:
    """The rows are stored either way, and the next commit covers both batches."""
    bench.publish(10)
    worker, source = bench.worker(rows=5)
    failures = iter([RetryableError("coordinator away")])

    def fail_once() -> None:
        if error := next(failures, None):
            raise error

    source.before_commit = fail_once
    source.before_poll = lambda: worker.stop() if source.taken == 10 else None
    worker.run()
    assert bench.stored == list(range(10))
    assert worker.stats.batches == 2
    assert sum(bench.committed.values()) >= 5


def test_a_commit_that_fails_is_tried_again_without_new_messages(bench: "Bench") -> None:
    """On a quiet topic the last rows are committed too, before the worker ends."""
    bench.publish(10)
    worker, source = bench.worker()
    failures = iter([RetryableError("coordinator moved"), RetryableError("coordinator moved")])

    def fail_twice() -> None:
        if error := next(failures, None):
            raise error

    source.before_commit = fail_twice
    source.before_poll = lambda: worker.stop() if source.taken == 10 else None
    worker.run()

    assert sum(bench.committed.values()) == 10


def test_a_fetch_that_fails_is_tried_again(bench: "Bench") -> None:
    """An error of the broker's ends nothing."""
    bench.publish(10)
    worker, source = bench.worker()
    failures = iter(range(3))

    def fail_thrice() -> None:
        if next(failures, None) is not None:
            raise RetryableError("broker away")
        if source.taken == 10:
            worker.stop()

    source.before_poll = fail_thrice
    worker.run()
    assert bench.stored == list(range(10))


def test_what_a_person_must_mend_ends_the_worker_at_once(bench: "Bench") -> None:
    """A setup error comes out as it is; nothing is committed, and nobody waits for the store."""
    bench.publish(10)
    worker, source = bench.worker(drain_s=3600.0)

    def fail() -> None:
        if source.taken == 10:
            raise ConfigurationError("offset gone")

    source.before_poll = fail
    with pytest.raises(ConfigurationError, match="offset gone"):
        worker.run()
    assert (bench.stored, bench.committed) == ([], {})
    assert source.source.partitions == []


def test_a_fault_of_the_inserting_thread_ends_the_worker(bench: "Bench") -> None:
    """An exception that nobody planned for comes out of `run`, and nothing is committed."""
    bench.publish(10)
    worker, source = bench.worker(age_s=0.0)

    def break_down(_: bytes) -> None:
        raise ZeroDivisionError("a bug")

    bench.store.before_insert = break_down
    with pytest.raises(ZeroDivisionError, match="a bug"):
        worker.run()
    assert (bench.stored, bench.committed) == ([], {})
    assert source.source.partitions == []


def test_refused_messages_are_kept_and_the_rest_goes_in(bench: "Bench") -> None:
    """Refused and good messages in one batch: each is stored or rejected, and all are committed."""
    bench.publish(3)
    bench.broker.publish(b"\xff\xfe", key=b"k\x00", headers=[("h", b"\xff")], partition=0)
    bench.broker.publish(None, partition=1)
    bench.publish(3, first=3)
    worker, source = bench.worker()
    source.before_poll = lambda: worker.stop() if source.taken == 8 else None
    worker.run()
    assert bench.stored == list(range(6))
    assert bench.broker.lag(bench.group) == 0
    assert (worker.stats.stored, worker.stats.rejected) == (6, 2)
    refused = [bench.store.rejections[place] for place in sorted(bench.store.rejections)]
    told = [(r.partition, r.offset, r.code, r.payload, r.key, r.headers) for r in refused]
    assert told == [
        (0, 2, "invalid_utf8", b"\xff\xfe", b"k\x00", ((b"h", b"\xff"),)),
        (1, 1, "empty_message", b"", b"", ()),
    ]


def test_two_workers_share_the_work(bench: "Bench") -> None:
    """A second member takes over a partition in the middle; each event is stored by one of them."""
    bench.publish(1000)
    first, its_source = bench.worker(rows=50)
    second, other_source = bench.worker(rows=50)

    def let_the_second_finish_its_share() -> None:
        if its_source.polls == 4:
            second.run()  # within this poll: the twins know no threads
            assert bench.committed[1] == 500
            assert bench.committed[0] < 500
        if bench.broker.lag(bench.group) == 0:
            first.stop()

    its_source.before_poll = let_the_second_finish_its_share
    other_source.before_poll = lambda: second.stop() if bench.committed.get(1) == 500 else None
    first.run()
    assert bench.stored == list(range(1000))
    assert first.stats.stored + second.stats.stored == 1000
    assert min(first.stats.stored, second.stats.stored) > 0


def test_a_commit_says_until_when_it_is_complete(bench: "Bench") -> None:
    """The latest time by which no more was published than is committed, in each partition."""
    bench.publish(10)  # five in each partition
    worker, source = bench.worker()
    answers = iter(
        [
            EndOffsets(at(1), {0: 5, 1: 4}),
            EndOffsets(at(2), {0: 5, 1: 5}),
            EndOffsets(at(3), {0: 6, 1: 5}),
        ]
    )
    source.answer = lambda: next(answers, None)
    source.before_poll = lambda: worker.stop() if source.polls == 4 else None
    worker.run()
    assert bench.committed == {0: 5, 1: 5}
    assert bench.caught_up == {0: at(2), 1: at(3)}


def test_an_idle_worker_commits_again_with_a_later_time(bench: "Bench") -> None:
    """About every ten seconds, whatever it owns and nothing that it has not read; also what is empty."""
    bench.publish(1)
    bench.broker.committed[GROUP] = {0: 1}
    worker, source = bench.worker()
    commits: list[tuple[dict[int, int], dict[int, datetime]]] = []
    source.after_commit = lambda: commits.append((bench.committed, bench.caught_up))
    answers = iter([EndOffsets(at(second), {0: 1, 1: 0}) for second in range(21)])
    source.answer = lambda: next(answers, None)
    source.before_poll = lambda: worker.abort() if source.polls == 30 else None
    worker.run()
    assert commits == [
        ({0: 1, 1: 0}, {0: at(0), 1: at(0)}),
        ({0: 1, 1: 0}, {0: at(11), 1: at(11)}),
    ]


def test_a_stop_says_the_latest_that_is_known(
    bench: "Bench", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time beside the offsets is that of the last answer, also between two commits."""
    monkeypatch.setattr(
        worker_module, "_ANSWERED", timedelta(days=1)
    )  # however slow this machine is
    worker, source = bench.worker()
    now = datetime.now(UTC)
    answers = iter([EndOffsets(now - timedelta(seconds=age), {0: 0, 1: 0}) for age in (2, 1)])
    source.answer = lambda: next(answers, None)
    source.before_poll = lambda: worker.stop() if source.polls == 3 else None
    worker.run()
    assert bench.caught_up == {0: now - timedelta(seconds=1), 1: now - timedelta(seconds=1)}


def test_a_stop_does_not_wait_for_a_broker_that_is_away(bench: "Bench") -> None:
    """With nothing to commit, and no answer for some time, nothing is asked of it."""
    worker, source = bench.worker()
    answers = iter(
        [EndOffsets(datetime.now(UTC) - timedelta(seconds=age), {0: 0, 1: 0}) for age in (9, 4)]
    )
    source.answer = lambda: next(answers, None)
    commits: list[dict[int, int]] = []
    source.before_commit = lambda: commits.append(bench.committed)
    source.before_poll = lambda: worker.stop() if source.polls == 3 else None
    worker.run()
    assert len(commits) == 1


def test_a_later_time_that_cannot_be_committed_ends_nothing(bench: "Bench") -> None:
    """It is tried again with the next answer."""
    worker, source = bench.worker()
    failures = iter([RetryableError("coordinator away")])

    def fail_once() -> None:
        if error := next(failures, None):
            raise error

    source.before_commit = fail_once
    answers = iter([EndOffsets(at(second), {0: 0, 1: 0}) for second in (1, 2)])
    source.answer = lambda: next(answers, None)
    source.before_poll = lambda: worker.abort() if source.polls == 3 else None
    worker.run()
    assert bench.caught_up == {0: at(2), 1: at(2)}


def test_the_next_owner_keeps_the_time_that_it_finds(bench: "Bench") -> None:
    """A commit by one that has no answer yet takes nothing away."""
    bench.publish(10)
    bench.broker.committed[GROUP] = {0: 2, 1: 2}
    bench.broker.caught_up[GROUP] = {0: at(0)}
    worker, source = bench.worker()
    source.answer = lambda: None
    source.before_poll = lambda: worker.stop() if source.taken == 6 else None
    worker.run()
    assert bench.committed == {0: 5, 1: 5}
    assert bench.caught_up == {0: at(0)}


def test_a_partition_that_was_lost_is_not_committed_again(bench: "Bench") -> None:
    """Its next owner may be further; only what is owned gets a later time."""
    worker, source = bench.worker()
    source.answer = lambda: (
        EndOffsets(datetime.now(UTC), {0: 0, 1: 0}) if source.polls > 1 else None
    )
    source.before_poll = lambda: (
        bench.broker.expel(source.source) if source.polls == 1 else worker.stop()
    )
    worker.run()
    assert bench.caught_up == {}


def test_what_was_read_of_a_deleted_topic_is_stored_and_the_next_is_read_from_its_start(
    bench: "Bench",
) -> None:
    """Nothing is committed of the old one, in flight or not; refused messages keep the id of their topic."""
    bench.publish(10)
    bench.broker.publish(b"refused", partition=0)
    worker, source = bench.worker(rows=6)
    old_id, deletions = source.topic_id, iter(range(1))

    def recreate() -> None:
        if source.taken == 11 and next(deletions, None) is not None:
            bench.broker.recreate()
            bench.publish(4, first=100)
            bench.broker.publish(b"refused too", partition=0)
        elif source.taken == 16:
            worker.stop()

    source.before_poll = recreate
    worker.run()
    assert bench.stored == [*range(10), 100, 101, 102, 103]
    assert bench.committed == {0: 3, 1: 2}
    assert source.topic_id != old_id
    assert set(bench.store.rejections) == {(old_id, 0, 5), (source.topic_id, 0, 2)}


def test_what_was_fetched_of_a_deleted_topic_is_stored_before_the_next_is_read(
    bench: "Bench",
) -> None:
    """Messages that wait for a batch belong to the old topic: they are written before the worker rejoins."""
    bench.publish(100)
    worker, source = bench.worker(size=1_000)
    recreated: list[bytes] = []

    def recreate(lines: bytes) -> None:
        if not recreated:
            bench.broker.recreate()
            bench.publish(10, first=100)
        recreated.append(lines)

    bench.store.before_insert = recreate
    source.before_poll = lambda: worker.stop() if source.taken == 110 else None

    worker.run()

    assert bench.stored == list(range(110))
    assert bench.committed == {0: 5, 1: 5}


def test_a_topic_that_is_deleted_is_waited_for(
    bench: "Bench", caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker stores what it has, says once for what it waits, and reads on once the topic is there."""
    monkeypatch.setattr(worker_module, "_REJOIN_EVERY_S", 0.0)
    bench.publish(10)
    worker, source = bench.worker()
    failures, deletions = iter(range(5)), iter(range(1))

    def delete() -> None:
        if source.taken == 10 and next(deletions, None) is not None:
            bench.broker.recreate()
            bench.publish(4, first=100)
        elif source.taken == 14:
            worker.stop()

    def fail() -> None:
        assert bench.stored == list(range(10))
        if next(failures, None) is not None:
            raise RetryableError("Topic feedback.events does not exist.")

    source.before_poll, source.before_rejoin = delete, fail
    worker.run()
    assert bench.stored == [*range(10), 100, 101, 102, 103]
    waits = [line for line in caplog.messages if line.startswith("waiting for the topic: ")]
    assert waits == ["waiting for the topic: Topic feedback.events does not exist."]


def test_a_stop_while_a_deleted_topic_is_waited_for_ends_at_once(bench: "Bench") -> None:
    """What was read is stored by then; there is nothing to commit."""
    bench.publish(10)
    worker, source = bench.worker(drain_s=3600.0)

    def fail() -> None:
        worker.stop()
        raise RetryableError("no such topic")

    source.before_poll = lambda: bench.broker.recreate() if source.taken == 10 else None
    source.before_rejoin = fail
    worker.run()
    assert bench.stored == list(range(10))
    assert bench.committed == {}
