"""The worker on the fakes: what is committed, what is read again, and that nothing is lost."""

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.waiting import wait_until

from afterword_consumers.ingest import worker as worker_module
from afterword_consumers.ingest.source import EndOffsets
from afterword_schemas import ConfigurationError, RetryableError

if TYPE_CHECKING:
    from tests.consumers.conftest import WorkerHarness

GROUP = "afterword"


def at(seconds: float) -> datetime:
    """Return a time so many seconds after one that has passed."""
    return datetime(2026, 1, 31, 9, 30, tzinfo=UTC) + timedelta(seconds=seconds)


def test_offsets_are_committed_after_the_rows_are_stored(harness: "WorkerHarness") -> None:
    """While a batch is on its way to the store its offsets are not committed; then they are."""
    harness.publish(10)
    worker, source = harness.worker()
    committed_before: list[dict[int, int]] = []
    harness.store.before_insert = lambda _: committed_before.append(harness.committed)
    source.before_poll = lambda: worker.stop() if source.taken == 10 else None
    worker.run()
    assert committed_before == [{}]
    assert harness.stored == list(range(10))
    assert harness.committed == {0: 5, 1: 5}
    assert (worker.stats.stored, worker.stats.rejected, worker.stats.batches) == (10, 0, 1)


def test_nothing_is_committed_while_inserting_fails(harness: "WorkerHarness") -> None:
    """A store that refuses every try gets many, and the offsets stay where they are."""
    harness.publish(10)
    worker, _ = harness.worker(age_s=0.0)
    tries: list[bytes] = []

    def fail(lines: bytes) -> None:
        tries.append(lines)
        if len(tries) == 5:
            worker.abort()
        raise RetryableError("away")

    harness.store.before_insert = fail
    worker.run()
    assert len(tries) >= 5
    assert len(set(tries)) == 1
    assert worker.stats.retries >= 1
    assert (harness.stored, harness.committed) == ([], {})


def test_a_store_that_comes_back_gets_everything(harness: "WorkerHarness") -> None:
    """After failures the same rows go in, and only then the offsets move on."""
    harness.publish(10)
    worker, source = harness.worker(age_s=0.0)
    failures = iter(range(3))

    def fail_thrice(_: bytes) -> None:
        assert harness.committed == {}
        if next(failures, None) is not None:
            raise RetryableError("away")

    harness.store.before_insert = fail_thrice
    source.before_poll = lambda: worker.stop() if harness.store.inserts else None
    worker.run()
    assert harness.stored == list(range(10))
    assert worker.stats.retries == 3
    assert harness.committed == {0: 5, 1: 5}


@pytest.mark.parametrize("rows", [5, 1000], ids=["while it reads", "while it ends"])
def test_a_store_that_hangs_is_told_of_before_it_fails(
    harness: "WorkerHarness",
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    rows: int,
) -> None:
    """A request may last for minutes before it fails; the log would be silent all that time."""
    monkeypatch.setattr(worker_module, "_STORE_HANGS_S", 0.001)
    harness.publish(5)
    worker, source = harness.worker(rows=rows)

    def hang_until_it_is_told(_: bytes) -> None:
        wait_until(lambda: caplog.messages)

    harness.store.before_insert = hang_until_it_is_told
    source.before_poll = lambda: worker.stop() if rows > 5 or harness.store.inserts else None
    worker.run()
    assert caplog.messages == ["waiting for ClickHouse for 0 s; the batch is kept"]
    assert harness.stored == list(range(5))


def test_a_stop_stores_and_commits_what_was_fetched(harness: "WorkerHarness") -> None:
    """A batch far from full or due is not left behind at the end."""
    harness.publish(3)
    worker, source = harness.worker()
    source.before_poll = lambda: worker.stop() if source.taken == 3 else None
    worker.run()
    assert harness.stored == [0, 1, 2]
    assert harness.broker.lag(harness.group) == 0


def test_an_abort_leaves_everything_to_the_next(harness: "WorkerHarness") -> None:
    """A worker that ends at once commits nothing, and its successor reads all of it."""
    harness.publish(10)
    worker, source = harness.worker()
    source.before_poll = lambda: worker.abort() if source.taken == 10 else None
    worker.run()
    assert (harness.stored, harness.committed) == ([], {})
    successor, its_source = harness.worker()
    its_source.before_poll = lambda: successor.stop() if its_source.taken == 10 else None
    successor.run()
    assert harness.stored == list(range(10))


def test_memory_holds_two_batches_however_long_the_store_is_away(harness: "WorkerHarness") -> None:
    """With one batch on its way and one full, fetching pauses but polling goes on."""
    harness.publish(100)
    worker, source = harness.worker(rows=10)
    back = threading.Event()
    harness.store.before_insert = lambda _: back.wait(20)
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
    assert harness.stored == list(range(100))
    assert harness.broker.lag(harness.group) == 0
    assert max(harness.store.inserts) == 10


def test_what_one_fetch_brings_beyond_a_full_batch_goes_into_the_next(
    harness: "WorkerHarness",
) -> None:
    """100 messages in one fetch fill many batches by their bytes; each is stored and committed.

    What is left at the end fills none, and would wait for the batch's age: a stop stores it.
    """
    harness.publish(100)
    worker, source = harness.worker(size=1_000)
    source.before_poll = lambda: worker.stop() if harness.broker.lag(harness.group) < 10 else None

    worker.run()

    assert harness.stored == list(range(100))
    assert max(harness.store.inserts) < 10
    assert worker.stats.stored == 100


def test_a_stop_takes_along_what_was_fetched_beyond_a_full_batch(harness: "WorkerHarness") -> None:
    """It was handed out already: the drain stores it batch by batch."""
    harness.publish(100)
    worker, source = harness.worker(size=1_000)
    harness.store.before_insert = lambda _: worker.stop()

    worker.run()

    assert source.polls == 1
    assert harness.stored == list(range(100))
    assert harness.broker.lag(harness.group) == 0


def test_what_was_fetched_of_a_lost_partition_is_left_to_its_owner(
    harness: "WorkerHarness",
) -> None:
    """Messages that wait for a batch are dropped with their partitions, and read by the next owner."""
    harness.publish(100)
    worker, source = harness.worker(size=1_000)
    lost, successor = threading.Event(), harness.broker.member(harness.group)
    harness.store.before_insert = lambda _: lost.wait(20)

    def lose() -> None:
        if source.taken == 100 and not lost.is_set():
            harness.broker.expel(source.source)
            worker.stop()
            lost.set()

    source.before_poll = lose
    worker.run()

    assert harness.committed == {}
    assert len(harness.stored) < 20
    harness.broker.join(successor)
    assert len(successor.poll(1_000, 0)) == 100


def test_a_revoke_stores_and_commits_first(harness: "WorkerHarness") -> None:
    """When a second member comes, what the first has read is done and is not read twice."""
    harness.publish(10)
    worker, source = harness.worker()
    newcomer = harness.broker.member(harness.group)

    def let_another_in() -> None:
        if source.taken == 10:
            harness.broker.join(newcomer)
            assert harness.stored == list(range(10))
            assert harness.committed == {0: 5, 1: 5}
            assert newcomer.poll(100, 0) == []
            worker.stop()

    source.before_poll = let_another_in
    worker.run()
    assert worker.stats.stored == 10


def test_a_revoke_in_the_middle_of_an_insert_waits_for_it(harness: "WorkerHarness") -> None:
    """A batch on its way and one being filled are both stored before the partitions go."""
    harness.publish(10)
    worker, source = harness.worker(rows=5, age_s=0.0)
    inserting, joined = threading.Event(), threading.Event()
    harness.store.before_insert = lambda _: inserting.set()

    def let_another_in() -> None:
        if source.taken == 10 and not joined.is_set():
            assert inserting.wait(20)
            harness.broker.join(harness.broker.member(harness.group))
            joined.set()
            assert harness.broker.lag(harness.group) == 0
            worker.stop()

    source.before_poll = let_another_in
    worker.run()
    assert joined.is_set()
    assert harness.stored == list(range(10))


def test_a_revoke_does_not_wait_for_ever(harness: "WorkerHarness") -> None:
    """With the store away, the partitions go uncommitted and the next owner reads all again."""
    harness.publish(10)
    worker, source = harness.worker(age_s=0.0, drain_s=0.1)
    newcomer = harness.broker.member(harness.group)
    away = threading.Event()
    harness.store.before_insert = lambda _: (_ for _ in ()).throw(RetryableError("away"))

    def let_another_in() -> None:
        if source.taken == 10 and not away.is_set():
            away.set()
            harness.broker.join(newcomer)
            assert harness.committed == {}
            assert [message.offset() for message in newcomer.poll(100, 0)] == [0, 1, 2, 3, 4]
            worker.abort()

    source.before_poll = let_another_in
    worker.run()
    assert away.is_set()
    assert harness.committed == {}


def test_lost_partitions_are_never_committed(harness: "WorkerHarness") -> None:
    """What was on its way when the group gave up on the member is stored, its offsets are not."""
    harness.publish(10)
    worker, source = harness.worker(age_s=0.0)
    lost = threading.Event()
    harness.store.before_insert = lambda _: lost.wait(20)

    def lose() -> None:
        if source.taken == 10 and not lost.is_set():
            harness.broker.expel(source.source)
            lost.set()
        elif harness.store.inserts:
            worker.stop()

    source.before_poll = lose
    worker.run()
    assert harness.stored == list(range(10))
    assert harness.committed == {}


def test_a_commit_that_fails_is_made_up_for(harness: "WorkerHarness") -> None:
    """The rows are stored either way, and the next commit covers both batches."""
    harness.publish(10)
    worker, source = harness.worker(rows=5)
    failures = iter([RetryableError("coordinator away")])

    def fail_once() -> None:
        if error := next(failures, None):
            raise error

    source.before_commit = fail_once
    source.before_poll = lambda: worker.stop() if source.taken == 10 else None
    worker.run()
    assert harness.stored == list(range(10))
    assert worker.stats.batches == 2
    assert sum(harness.committed.values()) >= 5


def test_a_commit_that_fails_is_tried_again_without_new_messages(harness: "WorkerHarness") -> None:
    """On a quiet topic the last rows are committed too, before the worker ends."""
    harness.publish(10)
    worker, source = harness.worker()
    failures = iter([RetryableError("coordinator moved"), RetryableError("coordinator moved")])

    def fail_twice() -> None:
        if error := next(failures, None):
            raise error

    source.before_commit = fail_twice
    source.before_poll = lambda: worker.stop() if source.taken == 10 else None
    worker.run()

    assert sum(harness.committed.values()) == 10


def test_a_fetch_that_fails_is_tried_again(harness: "WorkerHarness") -> None:
    """An error of the broker's ends nothing."""
    harness.publish(10)
    worker, source = harness.worker()
    failures = iter(range(3))

    def fail_thrice() -> None:
        if next(failures, None) is not None:
            raise RetryableError("broker away")
        if source.taken == 10:
            worker.stop()

    source.before_poll = fail_thrice
    worker.run()
    assert harness.stored == list(range(10))


def test_what_a_person_must_mend_ends_the_worker_at_once(harness: "WorkerHarness") -> None:
    """A setup error comes out as it is; nothing is committed, and nobody waits for the store."""
    harness.publish(10)
    worker, source = harness.worker(drain_s=3600.0)

    def fail() -> None:
        if source.taken == 10:
            raise ConfigurationError("offset gone")

    source.before_poll = fail
    with pytest.raises(ConfigurationError, match="offset gone"):
        worker.run()
    assert (harness.stored, harness.committed) == ([], {})
    assert source.source.partitions == []


def test_a_fault_of_the_inserting_thread_ends_the_worker(harness: "WorkerHarness") -> None:
    """An exception that nobody planned for comes out of `run`, and nothing is committed."""
    harness.publish(10)
    worker, source = harness.worker(age_s=0.0)

    def break_down(_: bytes) -> None:
        raise ZeroDivisionError("a bug")

    harness.store.before_insert = break_down
    with pytest.raises(ZeroDivisionError, match="a bug"):
        worker.run()
    assert (harness.stored, harness.committed) == ([], {})
    assert source.source.partitions == []


def test_refused_messages_are_kept_and_the_rest_goes_in(harness: "WorkerHarness") -> None:
    """Refused and good messages in one batch: each is stored or rejected, and all are committed."""
    harness.publish(3)
    harness.broker.publish(b"\xff\xfe", key=b"k\x00", headers=[("h", b"\xff")], partition=0)
    harness.broker.publish(None, partition=1)
    harness.publish(3, first=3)
    worker, source = harness.worker()
    source.before_poll = lambda: worker.stop() if source.taken == 8 else None
    worker.run()
    assert harness.stored == list(range(6))
    assert harness.broker.lag(harness.group) == 0
    assert (worker.stats.stored, worker.stats.rejected) == (6, 2)
    refused = [harness.store.rejections[place] for place in sorted(harness.store.rejections)]
    told = [(r.partition, r.offset, r.code, r.payload, r.key, r.headers) for r in refused]
    assert told == [
        (0, 2, "invalid_utf8", b"\xff\xfe", b"k\x00", ((b"h", b"\xff"),)),
        (1, 1, "empty_message", b"", b"", ()),
    ]


def test_two_workers_share_the_work(harness: "WorkerHarness") -> None:
    """A second member takes over a partition in the middle; each event is stored by one of them."""
    harness.publish(1000)
    first, its_source = harness.worker(rows=50)
    second, other_source = harness.worker(rows=50)

    def let_the_second_finish_its_share() -> None:
        if its_source.polls == 4:
            second.run()  # within this poll: the fakes know no threads
            assert harness.committed[1] == 500
            assert harness.committed[0] < 500
        if harness.broker.lag(harness.group) == 0:
            first.stop()

    its_source.before_poll = let_the_second_finish_its_share
    other_source.before_poll = lambda: second.stop() if harness.committed.get(1) == 500 else None
    first.run()
    assert harness.stored == list(range(1000))
    assert first.stats.stored + second.stats.stored == 1000
    assert min(first.stats.stored, second.stats.stored) > 0


def test_a_commit_says_until_when_it_is_complete(harness: "WorkerHarness") -> None:
    """The latest time by which no more was published than is committed, in each partition."""
    harness.publish(10)  # five in each partition
    worker, source = harness.worker()
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
    assert harness.committed == {0: 5, 1: 5}
    assert harness.caught_up == {0: at(2), 1: at(3)}


def test_an_idle_worker_commits_again_with_a_later_time(harness: "WorkerHarness") -> None:
    """About every ten seconds, whatever it owns and nothing that it has not read; also what is empty."""
    harness.publish(1)
    harness.broker.committed[GROUP] = {0: 1}
    worker, source = harness.worker()
    commits: list[tuple[dict[int, int], dict[int, datetime]]] = []
    source.after_commit = lambda: commits.append((harness.committed, harness.caught_up))
    answers = iter([EndOffsets(at(second), {0: 1, 1: 0}) for second in range(21)])
    source.answer = lambda: next(answers, None)
    source.before_poll = lambda: worker.abort() if source.polls == 30 else None
    worker.run()
    assert commits == [
        ({0: 1, 1: 0}, {0: at(0), 1: at(0)}),
        ({0: 1, 1: 0}, {0: at(11), 1: at(11)}),
    ]


def test_a_stop_says_the_latest_that_is_known(
    harness: "WorkerHarness", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time beside the offsets is that of the last answer, also between two commits."""
    monkeypatch.setattr(
        worker_module, "_ANSWERED", timedelta(days=1)
    )  # however slow this machine is
    worker, source = harness.worker()
    now = datetime.now(UTC)
    answers = iter([EndOffsets(now - timedelta(seconds=age), {0: 0, 1: 0}) for age in (2, 1)])
    source.answer = lambda: next(answers, None)
    source.before_poll = lambda: worker.stop() if source.polls == 3 else None
    worker.run()
    assert harness.caught_up == {0: now - timedelta(seconds=1), 1: now - timedelta(seconds=1)}


def test_a_stop_does_not_wait_for_a_broker_that_is_away(harness: "WorkerHarness") -> None:
    """With nothing to commit, and no answer for some time, nothing is asked of it."""
    worker, source = harness.worker()
    answers = iter(
        [EndOffsets(datetime.now(UTC) - timedelta(seconds=age), {0: 0, 1: 0}) for age in (9, 4)]
    )
    source.answer = lambda: next(answers, None)
    commits: list[dict[int, int]] = []
    source.before_commit = lambda: commits.append(harness.committed)
    source.before_poll = lambda: worker.stop() if source.polls == 3 else None
    worker.run()
    assert len(commits) == 1


def test_a_later_time_that_cannot_be_committed_ends_nothing(harness: "WorkerHarness") -> None:
    """It is tried again with the next answer."""
    worker, source = harness.worker()
    failures = iter([RetryableError("coordinator away")])

    def fail_once() -> None:
        if error := next(failures, None):
            raise error

    source.before_commit = fail_once
    answers = iter([EndOffsets(at(second), {0: 0, 1: 0}) for second in (1, 2)])
    source.answer = lambda: next(answers, None)
    source.before_poll = lambda: worker.abort() if source.polls == 3 else None
    worker.run()
    assert harness.caught_up == {0: at(2), 1: at(2)}


def test_the_next_owner_keeps_the_time_that_it_finds(harness: "WorkerHarness") -> None:
    """A commit by one that has no answer yet takes nothing away."""
    harness.publish(10)
    harness.broker.committed[GROUP] = {0: 2, 1: 2}
    harness.broker.caught_up[GROUP] = {0: at(0)}
    worker, source = harness.worker()
    source.answer = lambda: None
    source.before_poll = lambda: worker.stop() if source.taken == 6 else None
    worker.run()
    assert harness.committed == {0: 5, 1: 5}
    assert harness.caught_up == {0: at(0)}


def test_a_partition_that_was_lost_is_not_committed_again(harness: "WorkerHarness") -> None:
    """Its next owner may be further; only what is owned gets a later time."""
    worker, source = harness.worker()
    source.answer = lambda: (
        EndOffsets(datetime.now(UTC), {0: 0, 1: 0}) if source.polls > 1 else None
    )
    source.before_poll = lambda: (
        harness.broker.expel(source.source) if source.polls == 1 else worker.stop()
    )
    worker.run()
    assert harness.caught_up == {}


def test_what_was_read_of_a_deleted_topic_is_stored_and_the_next_is_read_from_its_start(
    harness: "WorkerHarness",
) -> None:
    """Nothing is committed of the old one, in flight or not; refused messages keep the id of their topic."""
    harness.publish(10)
    harness.broker.publish(b"refused", partition=0)
    worker, source = harness.worker(rows=6)
    old_id, deletions = source.topic_id, iter(range(1))

    def recreate() -> None:
        if source.taken == 11 and next(deletions, None) is not None:
            harness.broker.recreate()
            harness.publish(4, first=100)
            harness.broker.publish(b"refused too", partition=0)
        elif source.taken == 16:
            worker.stop()

    source.before_poll = recreate
    worker.run()
    assert harness.stored == [*range(10), 100, 101, 102, 103]
    assert harness.committed == {0: 3, 1: 2}
    assert source.topic_id != old_id
    assert set(harness.store.rejections) == {(old_id, 0, 5), (source.topic_id, 0, 2)}


def test_what_was_fetched_of_a_deleted_topic_is_stored_before_the_next_is_read(
    harness: "WorkerHarness",
) -> None:
    """Messages that wait for a batch belong to the old topic: they are written before the worker rejoins."""
    harness.publish(100)
    worker, source = harness.worker(size=1_000)
    recreated: list[bytes] = []

    def recreate(lines: bytes) -> None:
        if not recreated:
            harness.broker.recreate()
            harness.publish(10, first=100)
        recreated.append(lines)

    harness.store.before_insert = recreate
    source.before_poll = lambda: worker.stop() if source.taken == 110 else None

    worker.run()

    assert harness.stored == list(range(110))
    assert harness.committed == {0: 5, 1: 5}


def test_a_topic_that_is_deleted_is_waited_for(
    harness: "WorkerHarness", caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker stores what it has, says once for what it waits, and reads on once the topic is there."""
    monkeypatch.setattr(worker_module, "_REJOIN_EVERY_S", 0.0)
    harness.publish(10)
    worker, source = harness.worker()
    failures, deletions = iter(range(5)), iter(range(1))

    def delete() -> None:
        if source.taken == 10 and next(deletions, None) is not None:
            harness.broker.recreate()
            harness.publish(4, first=100)
        elif source.taken == 14:
            worker.stop()

    def fail() -> None:
        assert harness.stored == list(range(10))
        if next(failures, None) is not None:
            raise RetryableError("Topic feedback.events does not exist.")

    source.before_poll, source.before_rejoin = delete, fail
    worker.run()
    assert harness.stored == [*range(10), 100, 101, 102, 103]
    waits = [line for line in caplog.messages if line.startswith("waiting for the topic: ")]
    assert waits == ["waiting for the topic: Topic feedback.events does not exist."]


def test_a_stop_while_a_deleted_topic_is_waited_for_ends_at_once(harness: "WorkerHarness") -> None:
    """What was read is stored by then; there is nothing to commit."""
    harness.publish(10)
    worker, source = harness.worker(drain_s=3600.0)

    def fail() -> None:
        worker.stop()
        raise RetryableError("no such topic")

    source.before_poll = lambda: harness.broker.recreate() if source.taken == 10 else None
    source.before_rejoin = fail
    worker.run()
    assert harness.stored == list(range(10))
    assert harness.committed == {}
