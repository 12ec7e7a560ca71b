"""Rows of the events that need what is stored, made in pieces that bound the memory they take."""

import gc
from collections.abc import Collection, Generator, Mapping, Sequence

import orjson
import pytest
from tests.consumers.written import write

from afterword_consumers.ingest.batch import Batch
from afterword_consumers.ingest.chains import Resolver
from afterword_consumers.ingest.path_index import PathIndex
from afterword_consumers.ingest.rows import CREATED_AT, NUMBERS, STRINGS, VALUE, Key, Row, encode
from afterword_consumers.testing import MemoryBroker, MemoryMessage, MemoryStore
from afterword_schemas import RetryableError

ID = "019b0000-0000-7000-8000-"
RANDOM_ID = "5f0e2f0a-0000-4000-8000-000000000001"
AT_MS = 1_767_225_600_000
LEAVES_900 = {f"step{number}": number for number in range(900)}


def publish(*events: Mapping[str, object]) -> list[MemoryMessage]:
    """Return events as messages of one partition, a second apart."""
    broker = MemoryBroker(partitions=1)
    for number, event in enumerate(events):
        whole = {"feedback_id": f"{ID}{0:012}", "project": "acme", **event}
        key = str(whole["feedback_id"]).encode()
        broker.publish(orjson.dumps(whole), key=key, timestamp_ms=AT_MS + 1_000 * number)
    return broker.log[0]


def batch_of(*messages: MemoryMessage) -> Batch:
    """Return a batch of messages."""
    batch = Batch("topic-id")
    assert batch.take(messages, PathIndex()) == len(messages)
    return batch


def events(ids: Sequence[str], **event: object) -> list[dict[str, object]]:
    """Return the same event for each id."""
    return [{"feedback_id": id_, **event} for id_ in ids]


class CountedRow(list[object]):
    """A row that tells its store when nobody holds it any more."""

    def __init__(self, row: Row, store: "CountingStore") -> None:
        super().__init__(row)
        self._store = store
        store.held += 1
        store.most_held = max(store.most_held, store.held)

    def __del__(self) -> None:
        self._store.held -= 1


class CountingStore(MemoryStore):
    """Counts how many rows that it gave out are held at once, and how large inserts are."""

    def __init__(self) -> None:
        super().__init__()
        self.held = self.most_held = self.questions = 0
        self.inserted_bytes: list[int] = []

    def stored(self, keys: Collection[Key]) -> Generator[Row, None, None]:
        """See `Sink`."""
        self.questions += 1
        for row in super().stored(keys):
            yield CountedRow(row, self)

    def insert_feedback(self, lines: bytes, token: str) -> None:
        """See `Sink`."""
        super().insert_feedback(lines, token)
        self.inserted_bytes.append(len(lines))


def test_small_patches_of_large_events_are_bounded_by_bytes() -> None:
    """300 patches of 100 bytes make rows of 6 MB: two stored rows are held at once, and one piece."""
    store = CountingStore()
    ids = [f"{ID}{number:012}" for number in range(300)]
    messages = publish(
        *events(ids, trace_id="t", feedback=LEAVES_900), *events(ids, op="patch", value=3)
    )
    write(batch_of(*messages[:300]), store)
    one_row = len(encode(next(iter(store.rows.values()))))
    store.inserted_bytes.clear()

    write(batch_of(*messages[300:]), store, piece_bytes=500_000)

    assert store.most_held <= 2
    assert max(store.inserted_bytes) < 500_000 + 2 * one_row
    assert len(store.inserted_bytes) == store.questions > 10
    assert [row[VALUE] for row in store.current] == [3] * 300
    assert {len(row[NUMBERS]) for row in store.current} == {900}


def test_a_chain_is_one_row_however_many_events_it_has() -> None:
    """100 patches of one large event do not write its 900 leaves 100 times."""
    store = MemoryStore()
    patches = [{"op": "patch", "feedback": {"note": str(number)}} for number in range(100)]
    messages = publish({"trace_id": "t", "feedback": LEAVES_900}, *patches)
    write(batch_of(messages[0]), store)

    write(batch_of(*messages[1:]), store)

    assert store.inserts[-1] == 1
    [row] = store.current
    assert (len(row[NUMBERS]), row[STRINGS]) == (900, {"feedback.note": "99"})


def test_pieces_give_what_one_piece_gives() -> None:
    """Stored and new ids, one a piece or all in one: the rows are the same, in any case."""
    kinds: list[dict[str, object]] = [
        {"trace_id": "t", "value": 1},
        {"op": "patch", "feedback": {"a": 1}},
        {"op": "clear"},
        {"op": "patch", "value": 5},
        {"trace_id": "t", "feedback": {"b": 2}},
    ]
    messages = publish(
        *({"feedback_id": f"{ID}{number % 7:012}", **kinds[number % 5]} for number in range(35))
    )
    states = []
    for piece_bytes in (1, 300, 1_000_000):
        store = MemoryStore()
        write(batch_of(*messages[:10]), store, piece_bytes=piece_bytes)
        write(batch_of(*messages[10:]), store, piece_bytes=piece_bytes)
        states.append(store.rows)
    assert states[0] == states[1] == states[2]
    assert len(states[0]) == 7


@pytest.mark.parametrize("fails_after", [0, 1, 5])
def test_a_lookup_that_breaks_off_is_begun_again(fails_after: int) -> None:
    """What was read of it before is not taken twice, and a refusal is recorded once."""

    class Flaky(MemoryStore):
        failures = 3

        def stored(self, keys: Collection[Key]) -> Generator[Row, None, None]:
            for number, row in enumerate(super().stored(keys)):
                if number == fails_after and self.failures:
                    self.failures -= 1
                    raise RetryableError("away")
                yield row

    store = Flaky()
    ids = [f"{ID}{number:012}" for number in range(10)]
    full = {f"k{number}": number for number in range(1_000)}
    messages = publish(
        *events(ids, trace_id="t", feedback=full),
        {"feedback_id": ids[0], "op": "patch", "feedback": {"one": "too many"}},
        *events(ids, op="patch", value=4),
    )
    write(batch_of(*messages[:10]), store)
    batch = batch_of(*messages[10:])

    write(batch, store)

    assert store.failures == 0
    assert [row[VALUE] for row in store.current] == [4] * 10
    assert [rejection.code for rejection in batch.rejections] == ["too_many_leaves"]


def test_patches_do_not_grow_a_row_without_end() -> None:
    """Text of many patches adds up to what one event may hold; the one that exceeds it is refused."""
    store = MemoryStore()
    texts: list[dict[str, object]] = [
        {"op": "patch", "feedback": {f"part{number}": "x" * 300_000}} for number in range(4)
    ]
    batch = batch_of(*publish({"trace_id": "t", "value": 1}, *texts))

    write(batch, store)

    [row] = store.current
    assert sorted(row[STRINGS]) == ["feedback.part0", "feedback.part1", "feedback.part2"]
    assert [(r.code, r.path, r.offset) for r in batch.rejections] == [("too_large", "$", 4)]


@pytest.mark.parametrize("batches", [1, 3])
def test_a_set_again_keeps_when_it_was_first_given(batches: int) -> None:
    """Under a random id without a time of its own: in one batch, and batch by batch."""
    store = MemoryStore()
    one = {"feedback_id": RANDOM_ID, "trace_id": "t"}
    messages = publish(one | {"value": 1}, one | {"value": 2}, one | {"value": 3})
    for part in (messages,) if batches == 1 else ([message] for message in messages):
        write(batch_of(*part), store)
    [row] = store.current
    assert (row[VALUE], row[CREATED_AT]) == (3, AT_MS / 1000)


def test_a_set_again_keeps_a_time_that_was_named() -> None:
    """It was the person who said when; a set that names another one moves it."""
    store = MemoryStore()
    one = {"feedback_id": RANDOM_ID, "trace_id": "t", "value": 1}
    named = one | {"created_at": "2025-12-31T00:00:00Z"}
    messages = publish(named, one, one | {"created_at": "2025-12-30T00:00:00Z"})
    write(batch_of(*messages[:2]), store)
    assert [row[CREATED_AT] for row in store.current] == [1_767_139_200.0]
    write(batch_of(messages[2]), store)
    assert [row[CREATED_AT] for row in store.current] == [1_767_052_800.0]


def test_a_set_after_a_clear_is_given_anew() -> None:
    """What was taken back is over: its time is not that of what comes later."""
    store = MemoryStore()
    one = {"feedback_id": RANDOM_ID, "trace_id": "t", "value": 1}
    write(batch_of(*publish(one, {"feedback_id": RANDOM_ID, "op": "clear"}, one)), store)
    assert [row[CREATED_AT] for row in store.current] == [AT_MS / 1000 + 2]


def test_a_piece_leaves_no_cycles_behind() -> None:
    """The worker runs without the garbage collector: a piece with a refusal goes when nobody holds it."""
    store = MemoryStore()
    full = {f"k{number}": number for number in range(1_000)}
    batch = batch_of(
        *publish(
            {"trace_id": "t", "feedback": full}, {"op": "patch", "feedback": {"one": "too many"}}
        )
    )
    gc.collect()
    gc.disable()
    try:
        piece = Resolver(batch, batch.chains(), store, max_bytes=1_000_000).next_piece()
        assert [position for position, _ in piece.rejected] == [1]
        del piece
        assert gc.collect() == 0
    finally:
        gc.enable()
