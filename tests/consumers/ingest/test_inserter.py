"""The inserting thread: tries for ever, finds the one refused row, and says when it is done."""

from collections.abc import Iterator, Mapping, Sequence

import orjson
import pytest

from afterword_consumers.ingest.batch import Batch
from afterword_consumers.ingest.inserter import Inserter
from afterword_consumers.ingest.path_index import PathIndex
from afterword_consumers.ingest.rejection import Rejection
from afterword_consumers.testing import MemoryBroker, MemoryStore
from afterword_schemas import RetryableError, RowsRejectedError
from afterword_schemas.backoff import Backoff

ID = "019b0000-0000-7000-8000-"
RANDOM_ID = "5f0e2f0a-0000-4000-8000-"
"""Of sets that need what is stored, for their `created_at`."""


def batch_of(*events: Mapping[str, object], ids: str = ID) -> Batch:
    """Return a batch of events, numbered by their ids."""
    broker = MemoryBroker(partitions=1)
    for number, event in enumerate(events):
        whole = {"feedback_id": f"{ids}{number:012}", "project": "acme", "trace_id": "t", **event}
        broker.publish(orjson.dumps(whole), key=str(whole["feedback_id"]).encode())
    batch = Batch("topic-id")
    batch.take(broker.log[0], PathIndex())
    return batch


@pytest.fixture
def store() -> MemoryStore:
    """An empty store."""
    return MemoryStore()


@pytest.fixture
def inserter(store: MemoryStore) -> Iterator[Inserter]:
    """An inserter into `store` that hardly waits between tries."""
    inserting = Inserter(store, Backoff(first_s=0.001, max_s=0.004))
    yield inserting
    inserting.abandon()


def test_a_batch_goes_in_with_one_insert(store: MemoryStore, inserter: Inserter) -> None:
    """A batch of a thousand rows is one insert, and is reported once."""
    batch = batch_of(*[{"value": 1}] * 1000)
    inserter.submit(batch)
    assert inserter.wait(20)
    assert inserter.finished() == [batch]
    assert inserter.finished() == []
    assert store.inserts == [1000]


def test_the_inserter_says_how_long_a_batch_has_been_in_flight(
    store: MemoryStore, inserter: Inserter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through all requests for it and tries that fail; nothing, while there is nothing in flight."""
    waited: list[float] = []

    def look(_: MemoryStore, __: object) -> None:  # before the rows: a path that is new
        waited.append(inserter.waited_s)

    monkeypatch.setattr(MemoryStore, "insert_paths_seen", look)

    def fail_twice(_: bytes) -> None:
        waited.append(inserter.waited_s)
        if len(waited) < 4:
            raise RetryableError("away")

    store.before_insert = fail_twice
    assert inserter.waited_s == 0
    inserter.submit(batch_of({"feedback": {"seen": True}}))
    assert inserter.wait(20)
    assert len(waited) == 4
    assert waited == sorted(waited)
    assert inserter.waited_s == 0


def test_missing_tables_name_the_next_step(
    store: MemoryStore, inserter: Inserter, caplog: pytest.LogCaptureFixture
) -> None:
    """The batch waits for them, as for everything."""
    failures = iter(
        [RetryableError("Database afterword does not exist", 81), RetryableError("away", 999)]
    )

    def fail(_: bytes) -> None:
        if error := next(failures, None):
            raise error

    store.before_insert = fail
    inserter.submit(batch_of({"value": 1}))
    assert inserter.wait(20)
    assert [line.endswith("run `afterword migrate`)") for line in caplog.messages] == [True, False]
    assert store.inserts == [1]


def test_paths_are_known_before_their_rows(store: MemoryStore, inserter: Inserter) -> None:
    """A question asked between the two looks in every map that the rows may be in."""
    known: list[str] = []
    store.before_insert = lambda _: known.extend(path_seen.path for path_seen in store.paths_seen)
    inserter.submit(batch_of({"feedback": {"score": 3}}))
    assert inserter.wait(20)
    assert known == ["feedback.score"]


def test_the_inserter_tries_until_the_store_is_back(store: MemoryStore, inserter: Inserter) -> None:
    """Twenty failures are not too many; every try sends the same lines."""
    tries: list[bytes] = []

    def fail_often(lines: bytes) -> None:
        tries.append(lines)
        if len(tries) <= 20:
            raise RetryableError("away")

    store.before_insert = fail_often
    inserter.submit(batch_of({"value": 1}, {"value": 2}))
    assert inserter.wait(20)
    assert len(inserter.finished()) == 1
    assert inserter.retries == 20
    assert len(tries) == 21
    assert len(set(tries)) == 1
    assert store.inserts == [2]


@pytest.mark.parametrize("ids", [ID, RANDOM_ID])
def test_only_the_refused_row_is_rejected(store: MemoryStore, inserter: Inserter, ids: str) -> None:
    """Of 100 rows the store refuses two: they are kept whole in rejected, 98 go in, in order."""

    def refuse_some(lines: bytes) -> None:
        if b'"poison"' in lines:
            raise RowsRejectedError("a constraint is violated")

    store.before_insert = refuse_some
    poison = {"feedback": {"text": "poison"}}
    events: list[Mapping[str, object]] = [{"value": number % 10} for number in range(100)]
    events[17] = events[64] = poison
    batch = batch_of(*events, ids=ids)
    raw = batch.messages[17].value()
    inserter.submit(batch)
    assert inserter.wait(20)
    assert len(inserter.finished()) == 1
    numbers = [int(row[1][-12:]) for row in store.current]
    assert numbers == [number for number in range(100) if number not in {17, 64}]
    assert [place[2] for place in store.rejections] == [17, 64]
    rejection = store.rejections["topic-id", 0, 17]
    assert (rejection.code, rejection.path) == ("store_refused", "$")
    assert rejection.detail == "ClickHouse refused the row: a constraint is violated"
    assert (rejection.payload, rejection.key) == (raw, f"{ids}{17:012}".encode())
    assert inserter.retries == 0


def test_of_the_events_of_one_id_only_the_refused_one_is_rejected(
    store: MemoryStore, inserter: Inserter
) -> None:
    """They are one row at first: refused, its events are written by halves, on top of each other."""
    tries = 0

    def refuse_some(lines: bytes) -> None:
        nonlocal tries
        tries += 1
        if b'"poison"' in lines:
            raise RowsRejectedError("a constraint is violated")

    store.before_insert = refuse_some
    patches: list[dict[str, object]] = [
        {"feedback": {"a": 1, "text": "fine"}},
        {"feedback": {"text": "poison"}},
    ]
    patches += [{"feedback": {"b": number}} for number in range(98)]
    one = {"feedback_id": f"{ID}{0:012}"}
    inserter.submit(batch_of(*({"op": "patch"} | one | patch for patch in patches), {"value": 9}))
    assert inserter.wait(20)
    assert [(row[12], row[14]) for row in store.current] == [
        ({}, {}),
        ({"feedback.a": 1, "feedback.b": 97}, {"feedback.text": "fine"}),
    ]
    assert [place[2] for place in store.rejections] == [1]
    assert tries < 20
    assert inserter.retries == 0


def test_a_store_that_goes_away_while_bisecting_is_waited_for(
    store: MemoryStore, inserter: Inserter
) -> None:
    """Failures between refusals change nothing about which row is refused."""
    calls = 0

    def refuse_and_fail(lines: bytes) -> None:
        nonlocal calls
        calls += 1
        if calls % 2:
            raise RetryableError("away")
        if b'"poison"' in lines:
            raise RowsRejectedError("refused")

    store.before_insert = refuse_and_fail
    inserter.submit(batch_of({"value": 1}, {"feedback": {"a": "poison"}}, {"value": 3}))
    assert inserter.wait(20)
    assert [row[10] for row in store.current] == [1, 3]
    assert [place[2] for place in store.rejections] == [1]


def test_what_was_judged_is_recorded_before_the_rows(
    store: MemoryStore, inserter: Inserter
) -> None:
    """After a crash between the two, a patch refused by its base would look like one merged."""
    recorded: list[int] = []
    store.before_insert = lambda _: recorded.append(len(store.rejections))
    full = {f"k{number}": number for number in range(1000)}
    batch = batch_of(
        {"feedback": full},
        {"feedback_id": f"{ID}{0:012}", "op": "patch", "feedback": {"one": "too many"}},
    )
    inserter.submit(batch)
    assert inserter.wait(20)
    assert recorded == [1]
    assert store.rejections["topic-id", 0, 1].code == "too_many_leaves"


def test_a_rejection_that_cannot_be_written_is_tried_again(inserter: Inserter) -> None:
    """A batch is not reported before what it refused is kept."""
    failures = iter(range(3))

    class Flaky(MemoryStore):
        def insert_rejections(self, rejections: Sequence[Rejection]) -> None:
            if next(failures, None) is not None:
                raise RetryableError("away")
            super().insert_rejections(rejections)

    store = Flaky()
    flaky = Inserter(store, Backoff(first_s=0.001, max_s=0.004))
    batch = batch_of({"typo": 1}, {"value": 1})
    flaky.submit(batch)
    assert flaky.wait(20)
    assert flaky.finished() == [batch]
    assert flaky.retries == 3
    assert [place[2] for place in store.rejections] == [0]
    flaky.abandon()


def test_an_unplanned_exception_surfaces(store: MemoryStore, inserter: Inserter) -> None:
    """A bug is raised where the batch would have been reported, each time one asks."""

    def break_down(_: bytes) -> None:
        raise ZeroDivisionError("a bug")

    store.before_insert = break_down
    inserter.submit(batch_of({"value": 1}))
    assert inserter.wait(20)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match="a bug"):
            inserter.finished()


def test_an_abandoned_batch_is_not_reported(store: MemoryStore, inserter: Inserter) -> None:
    """Giving up ends the tries, and nobody is told that the batch is stored."""

    def fail(_: bytes) -> None:
        inserter.abandon()
        raise RetryableError("away")

    store.before_insert = fail
    inserter.submit(batch_of({"value": 1}))
    assert inserter.wait(20)
    assert inserter.finished() == []
    assert store.rows == {}
