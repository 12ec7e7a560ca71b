"""The durable mode: what a call returned for is on disk, and stays there until it is delivered."""

import fcntl
import os
import shutil
import signal
import socket
import sqlite3
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import wait_until

from afterword import (
    Client,
    ClosedError,
    ConfigurationError,
    Delivery,
    DeliveryCallback,
    DeliveryError,
    DeliveryFailure,
    Headers,
    HttpTransport,
    KafkaTransport,
    MemoryTransport,
    QueueFullError,
    RefusedError,
    RetryableError,
    SpoolTransport,
    Stats,
    Transport,
)
from afterword._fork_gate import fork_gate
from afterword._spool import delivery, in_flight, queue_file
from afterword._spool import files as spool_files
from afterword._spool import writer as spool_writer
from afterword._spool.delivery import Drainer
from afterword._spool.queue_file import SpoolFile
from afterword.gateway import GatewayServer
from afterword_schemas.backoff import Backoff

FEEDBACK_ID = "019c12e9-8b3d-7000-8000-000000000000"
HEADERS = [("schema", b"feedback/v1"), ("traceparent", b"\xff\x00")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of a spool that does not exist yet."""
    return tmp_path / "spool"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for orphans, and try again, often."""
    monkeypatch.setattr(delivery, "_SCAN_S", 0.05)
    monkeypatch.setattr(delivery, "_BACKOFF", Backoff(max_s=0.1))


def queues(root: Path) -> list[Path]:
    """Return the folders of the processes that write, or died."""
    return sorted(path for path in root.iterdir() if path.name.startswith("spool-"))


def rows(root: Path) -> list[tuple[Any, ...]]:
    """Return what stands on disk, whoever wrote it, without touching it."""
    found = []
    for queue in queues(root):
        with sqlite3.connect(f"file:{queue}/queue.db?mode=ro", uri=True) as db:
            found += db.execute("SELECT key, value, timestamp_ms FROM queue ORDER BY id").fetchall()
        db.close()
    return found


def values(memory: MemoryTransport) -> list[bytes]:
    """Return the payloads that arrived, in their order."""
    return [message.value for message in memory.messages]


def leave_behind(root: Path, *messages: tuple[bytes, bytes]) -> None:
    """Leave messages in the spool, as a process that ended while the broker was away."""
    memory = MemoryTransport()
    memory.hold()
    spool = SpoolTransport(memory, root)
    for number, (key, value) in enumerate(messages):
        spool.send(key, value, HEADERS, lambda _: None, timestamp_ms=1000 + number)
    spool.close(0)


def drainer_of(spool: SpoolTransport | Client) -> Drainer:
    """Return what runs behind a spool that is open."""
    transport = spool._sender._spool if isinstance(spool, Client) else spool
    assert transport is not None
    assert transport._drainer is not None
    return transport._drainer


def fill(emit: Callable[[], object]) -> None:
    """Emit until it fails, but not for ever."""
    for _ in range(1000):
        emit()


class PartlyFailingTransport(MemoryTransport):
    """Fails the messages of some keys, as a broker whose partition has no leader."""

    def __init__(self) -> None:
        super().__init__()
        self.bad: set[bytes] = set()

    def send(
        self,
        key: bytes,
        value: bytes,
        headers: Headers,
        on_delivery: DeliveryCallback,
        *,
        timestamp_ms: int | None = None,
    ) -> None:
        """See `Transport.send`."""
        if key in self.bad:
            on_delivery(RetryableError("no leader"))
        else:
            super().send(key, value, headers, on_delivery, timestamp_ms=timestamp_ms)


def test_a_message_is_on_disk_when_the_call_returns(root: Path, memory: MemoryTransport) -> None:
    """With the broker away it stands in a file of its own folder, readable by nobody else."""
    memory.hold()
    with Client(project="acme", transport=memory, spool=root, close_timeout_s=0) as client:
        feedback_id = client.feedback(trace_id="t", value=1, updated_at="2026-01-31T09:30:00Z")
        [(key, value, _)] = rows(root)
        assert key == feedback_id.encode()
        assert value == (
            b'{"feedback_id":"%s","project":"acme","op":"set","trace_id":"t","value":1,'
            b'"updated_at":"2026-01-31T09:30:00Z"}' % key
        )
        assert root.stat().st_mode & 0o777 == 0o700


def test_a_delivered_event_leaves_the_spool(root: Path, memory: MemoryTransport) -> None:
    """Until the report comes it stays; after it the row goes, and the folder at the end."""
    memory.hold()
    client = Client(project="acme", transport=memory, spool=root)
    client.feedback(trace_id="t", value=1)
    assert client.flush(0.1) == 1
    assert len(rows(root)) == 1
    assert client.stats == Stats(sent=1, delivered=0, failed=0, waiting=1)
    memory.release()
    assert client.flush(20) == 0
    assert client.stats == Stats(sent=1, delivered=1, failed=0, waiting=0)
    wait_until(lambda: rows(root) == [])
    client.close()
    assert list(root.iterdir()) == []


def test_the_next_process_delivers_what_one_left_in_the_spool(
    root: Path, memory: MemoryTransport
) -> None:
    """It arrives as it was given, with the time of the call, before what the next one sends."""
    leave_behind(root, (b"k", b"1"), (b"k", b"2"))
    spool = SpoolTransport(memory, root)
    spool.send(b"k", b"3", (), lambda _: None)
    wait_until(lambda: values(memory) == [b"1", b"2", b"3"])
    first, second, third = memory.messages
    assert (first.key, first.headers, first.timestamp_ms) == (b"k", tuple(HEADERS), 1000)
    assert second.timestamp_ms == 1001
    assert third.timestamp_ms is not None
    assert third.timestamp_ms > 1_700_000_000_000
    spool.close(20)
    assert list(root.iterdir()) == []


def test_closing_leaves_the_rest_and_says_so(
    root: Path, memory: MemoryTransport, caplog: pytest.LogCaptureFixture
) -> None:
    """What could not be delivered in time is no error: one line says how many wait, and where."""
    memory.hold()
    client = Client(project="acme", transport=memory, spool=root, close_timeout_s=0.2)
    for _ in range(3):
        client.feedback(trace_id="t", value=1)
    drainer = drainer_of(client)
    client.close()
    assert drainer.writer._db is None
    assert caplog.messages == [f"3 events wait in {root} for the next start"]
    assert client.stats == Stats(sent=3, delivered=0, failed=0, waiting=3)
    with pytest.raises(ClosedError):
        client.feedback(trace_id="t", value=1)
    assert len(rows(root)) == 3


def test_adopted_events_are_counted_apart(root: Path, memory: MemoryTransport) -> None:
    """What others left is in `adopted` while it waits, and in none of the other counters."""
    leave_behind(root, (b"a", b"1"), (b"b", b"2"))
    memory.hold()
    client = Client(project="acme", transport=memory, spool=root)
    wait_until(lambda: client.stats == Stats(sent=0, delivered=0, failed=0, waiting=0, adopted=2))
    memory.release()
    wait_until(lambda: client.stats == Stats(sent=0, delivered=0, failed=0, waiting=0, adopted=0))
    client.close()


def test_a_failed_delivery_is_tried_again(
    root: Path, memory: MemoryTransport, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of the broker's is no end: nothing counts as failed, and one line says why it waits."""
    heard: list[Delivery] = []
    memory.fail("the broker is away")
    client = Client(project="acme", transport=memory, spool=root, on_delivery=heard.append)
    ids = [client.feedback(trace_id="t", value=1) for _ in range(100)]
    wait_until(lambda: drainer_of(client)._retries >= 3)
    assert client.stats == Stats(sent=100, delivered=0, failed=0, waiting=100)
    assert heard == []
    memory.recover()
    assert client.flush(20) == 0
    assert sorted(event["feedback_id"] for event in memory.events) == ids
    assert sorted(each.feedback_id for each in heard if each.error is None) == ids
    client.close()
    assert caplog.messages == [f"Events wait in {root}, and are tried again: the broker is away"]


def test_nothing_overtakes_a_failed_delivery_of_its_key(root: Path) -> None:
    """An update waits for its event, also while the events of other keys pass by."""
    picky = PartlyFailingTransport()
    picky.bad = {b"a"}
    spool = SpoolTransport(picky, root)
    for key, value in [(b"a", b"set a"), (b"b", b"set b"), (b"a", b"patch a"), (b"b", b"patch b")]:
        spool.send(key, value, (), lambda _: None)
    wait_until(lambda: values(picky) == [b"set b", b"patch b"])
    spool.send(b"c", b"set c", (), lambda _: None)
    spool.send(b"a", b"clear a", (), lambda _: None)
    wait_until(lambda: values(picky) == [b"set b", b"patch b", b"set c"])
    picky.bad = set()
    spool.flush(20)
    assert values(picky)[3:] == [b"set a", b"patch a", b"clear a"]
    spool.close(20)


def test_a_key_waits_for_what_another_process_left_of_it(root: Path) -> None:
    """Also across a restart: an update does not pass the event that still waits in an old file."""
    leave_behind(root, (b"a", b"set a"))
    picky = PartlyFailingTransport()
    picky.bad = {b"a"}
    spool = SpoolTransport(picky, root)
    spool.send(b"a", b"patch a", (), lambda _: None)
    spool.send(b"b", b"set b", (), lambda _: None)
    wait_until(lambda: values(picky) == [b"set b"])
    picky.bad = set()
    wait_until(lambda: values(picky) == [b"set b", b"set a", b"patch a"])
    spool.close(20)


def test_a_full_queue_below_is_waited_for(root: Path) -> None:
    """That the transport below is full is no error of the caller's: the rest waits on disk."""
    memory = MemoryTransport(capacity=1)
    memory.hold()
    spool = SpoolTransport(memory, root)
    for number in range(10):
        spool.send(b"%d" % number, b"%d" % number, (), lambda _: None)
    wait_until(lambda: len(memory._waiting) == 1)
    memory.release()
    spool.close(20)
    assert values(memory) == [b"%d" % number for number in range(10)]


def test_memory_is_bounded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only so many are in memory; the rest is read from disk, in order, when there is room."""
    monkeypatch.setattr(in_flight, "_MAX_ROWS", 10)
    memory = MemoryTransport()
    memory.hold()
    spool = SpoolTransport(memory, root, fsync=False)
    for number in range(1000):
        spool.send(b"%d" % number, b"%d" % number, (), lambda _: None)
    drainer = drainer_of(spool)
    wait_until(lambda: drainer._mail.empty() and not drainer._direct)
    assert len(memory._waiting) <= 600  # a page beyond the window
    memory.release()
    spool.close(20)
    assert values(memory) == [b"%d" % number for number in range(1000)]
    assert list(root.iterdir()) == []


def test_a_full_spool_says_so_and_takes_again(root: Path, memory: MemoryTransport) -> None:
    """Beyond `max_bytes` a call raises and nothing is taken; with room again it goes on."""
    memory.hold()
    spool = SpoolTransport(memory, root, max_bytes=200_000)
    client = Client(project="acme", transport=spool, close_timeout_s=20)
    words = "the spool is full at 200000 bytes, this event was not taken"
    with pytest.raises(QueueFullError, match=words):
        fill(lambda: client.feedback(trace_id="t", value=1, feedback={"text": "x" * 1000}))
    taken = client.stats.waiting
    assert 100 < taken < 200
    assert len(rows(root)) == taken
    assert client.stats == Stats(sent=taken + 1, delivered=0, failed=1, waiting=taken)
    memory.release()
    assert client.flush(20) == 0
    wait_until(lambda: rows(root) == [])
    client.feedback(trace_id="t", value=1, feedback={"text": "x" * 1000})
    client.close()
    assert len(memory.messages) == taken + 1


def test_a_file_that_another_program_locks_is_not_waited_for(
    root: Path, memory: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call fails and says why, and nothing was written; once the lock is gone, it works again."""
    monkeypatch.setattr(queue_file, "MAX_LOCKED_S", 0.01)
    spool = SpoolTransport(memory, root)
    (folder,) = queues(root)
    with closing(sqlite3.connect(folder / "queue.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RetryableError, match=r"another program has locked .*queue\.db"):
            spool.send(b"key", b"first", [], None)
        other.execute("ROLLBACK")
    spool.send(b"key", b"second", [], None)
    spool.close(10.0)
    assert values(memory) == [b"second"]


def test_no_connection_waits_long_for_a_lock(root: Path, memory: MemoryTransport) -> None:
    """Whoever emits waits for the one that deletes, too."""
    spool = SpoolTransport(memory, root)
    drainer = drainer_of(spool)
    assert drainer._files.own is not None
    for connection in (drainer.writer._db, drainer._files.own._db):
        assert connection is not None
        assert connection.execute("PRAGMA busy_timeout").fetchone() == (500,)
    spool.close(10.0)


def test_a_disk_that_is_nearly_full_is_left_alone(
    root: Path, memory: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room is kept for deleting what is delivered; the caller is told, and can go on when there is more."""
    spool = SpoolTransport(memory, root)
    with monkeypatch.context() as patched:
        patched.setattr(spool_writer, "_RESERVE_BYTES", 1 << 62)
        with pytest.raises(
            QueueFullError, match=r"has only \d+ bytes left, this event was not taken"
        ):
            spool.send(b"a", b"1", (), lambda _: None)
    spool.send(b"b", b"2", (), lambda _: None)
    spool.close(20)
    assert values(memory) == [b"2"]


def test_what_was_adopted_counts_towards_the_bound(root: Path, memory: MemoryTransport) -> None:
    """A service that is killed again and again while the broker is away does not fill the disk."""
    leave_behind(root, *[(b"%d" % number, b"x" * 1000) for number in range(200)])
    memory.hold()
    spool = SpoolTransport(memory, root, max_bytes=200_000)
    wait_until(lambda: spool.adopted == 200)
    wait_until(lambda: drainer_of(spool).writer.limit_bytes < 0)
    with pytest.raises(QueueFullError):
        fill(lambda: spool.send(b"k", b"x" * 1000, (), lambda _: None))
    assert len(rows(root)) < 210
    memory.release()
    wait_until(lambda: spool.adopted == 0)
    wait_until(lambda: drainer_of(spool).writer.limit_bytes == 200_000)
    spool.send(b"k", b"x" * 1000, (), lambda _: None)
    spool.close(20)


def test_the_gateway_may_refuse_for_good(
    root: Path,
    start_gateway: Callable[[Transport], GatewayServer],
    memory: MemoryTransport,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is kept with its reason for a person to see, counts as failed, and holds nothing up."""
    heard: list[DeliveryFailure | None] = []
    spool = SpoolTransport(HttpTransport(start_gateway(memory).address), root)
    template = b'{"feedback_id":"%s","project":"acme","trace_id":"t","value":%d}'
    good, bad = FEEDBACK_ID.encode(), FEEDBACK_ID.replace("8b3d", "8b3e").encode()
    for key, value in [(good, 1), (bad, 11), (bad, 12), (bad, 3)]:
        spool.send(key, template % (key, value), (), heard.append, timestamp_ms=1_769_851_800_000)
    spool.close(20)
    assert sorted(str(each) for each in heard) == [
        "None",
        "None",
        "value must be at most 10 [out_of_range at $.value]",
        "value must be at most 10 [out_of_range at $.value]",
    ]
    assert all(error is None or isinstance(error, RefusedError) for error in heard)
    assert sorted(event["value"] for event in memory.events) == [1, 3]
    assert (root / "refused.db").stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(root / "refused.db") as db:
        kept = db.execute(
            "SELECT key, value, timestamp_ms, code, path, detail FROM refused ORDER BY id"
        ).fetchall()
    db.close()
    said = (1_769_851_800_000, "out_of_range", "$.value", "value must be at most 10")
    assert kept == [(bad, template % (bad, 11), *said), (bad, template % (bad, 12), *said)]
    [line] = caplog.messages
    assert line == (
        f"{bad.decode()} was refused: value must be at most 10 [out_of_range at $.value]."
        f" It is kept in {root}/refused.db; the next are only kept."
    )


def test_a_refused_event_is_reported_at_the_end(root: Path) -> None:
    """The client counts it as failed, tells the callback, and says so at `close`."""

    class Refusing(MemoryTransport):
        def send(self, *args: Any, **rest: Any) -> None:
            args[3](RefusedError("not_allowed", "$.project", "the key is of another project"))

    heard: list[Delivery] = []
    client = Client(project="acme", transport=Refusing(), spool=root, on_delivery=heard.append)
    feedback_id = client.feedback(trace_id="t", value=1)
    assert client.flush(20) == 0
    assert client.stats == Stats(sent=1, delivered=0, failed=1, waiting=0)
    assert [(each.feedback_id, str(each.error)) for each in heard] == [
        (feedback_id, "the key is of another project [not_allowed at $.project]")
    ]
    with pytest.raises(DeliveryError, match="1 event was not delivered"):
        client.close()


def test_a_message_that_expires_below_is_sent_again(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Librdkafka may give a message up after its timeout: the spool does not."""
    reports: list[DeliveryFailure | None] = []
    settings = {"message.timeout.ms": 20, "log_level": 0}
    spool = SpoolTransport(KafkaTransport("127.0.0.1:1", topic="t", kafka=settings), root)
    spool.send(b"k", b"v", (), reports.append)
    wait_until(lambda: drainer_of(spool)._retries >= 2)
    spool.close(0)
    assert reports == []
    assert [value for _, value, _ in rows(root)] == [b"v"]
    assert "Local: Message timed out [_MSG_TIMED_OUT]" in caplog.messages[0]


def test_a_gateway_that_comes_late_gets_everything(
    root: Path, start_gateway: Callable[..., GatewayServer], memory: MemoryTransport
) -> None:
    """Over HTTP too: what its transport gave up on waits, and arrives once the gateway is there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    http = HttpTransport(f"http://127.0.0.1:{port}", message_timeout_s=0.05)
    client = Client(project="acme", transport=http, spool=root, close_timeout_s=20)
    ids = [client.feedback(trace_id="t", value=1) for _ in range(10)]
    wait_until(lambda: drainer_of(client)._retries >= 2)
    assert client.stats == Stats(sent=10, delivered=0, failed=0, waiting=10)
    start_gateway(memory, port=port)
    client.close()
    assert sorted({event["feedback_id"] for event in memory.events}) == ids
    assert client.stats == Stats(sent=10, delivered=10, failed=0, waiting=0)
    assert list(root.iterdir()) == []


def test_two_processes_share_a_folder(root: Path) -> None:
    """Each delivers its own; nothing is taken from one that lives."""
    first, second = MemoryTransport(), MemoryTransport()
    first.hold()
    one, two = SpoolTransport(first, root), SpoolTransport(second, root)
    one.send(b"k", b"of the first", (), lambda _: None)
    two.send(b"k", b"of the second", (), lambda _: None)
    two.flush(20)
    drainer = drainer_of(two)
    began_s = drainer._scan_at
    wait_until(lambda: drainer._scan_at > began_s + 0.1)  # it looked for orphans meanwhile
    assert (values(second), two.adopted) == ([b"of the second"], 0)
    first.release()
    one.close(20)
    two.close(20)
    assert values(first) == [b"of the first"]


def test_an_orphan_is_adopted_once(root: Path) -> None:
    """Of eight processes that start at once, one delivers what a ninth left behind."""
    leave_behind(root, *[(b"%d" % number, b"v") for number in range(500)])
    memories = [MemoryTransport() for _ in range(8)]
    barrier = threading.Barrier(8)
    spools: list[SpoolTransport] = []

    def start(memory: MemoryTransport) -> None:
        barrier.wait()
        spools.append(SpoolTransport(memory, root))

    threads = [threading.Thread(target=start, args=(memory,)) for memory in memories]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: len(queues(root)) == 8)
    for spool in spools:
        spool.close(20)
    arrived = [message.key for memory in memories for message in memory.messages]
    assert sorted(arrived) == sorted(b"%d" % number for number in range(500))
    assert sum(bool(memory.messages) for memory in memories) == 1
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("damage", ["garbage", "truncated", "missing"])
def test_a_damaged_file_is_moved_aside(
    root: Path, memory: MemoryTransport, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    """It stops neither the service nor the good files, and a person can look at it."""
    leave_behind(root, *[(b"%d" % number, b"x" * 1000) for number in range(50)])
    [broken] = queues(root)
    leave_behind(root, (b"k", b"good"))
    database = broken / "queue.db"
    if damage == "missing":
        database.rename(broken / "elsewhere.db")
    else:
        whole = database.read_bytes()
        database.write_bytes(b"\xff" * 5000 if damage == "garbage" else whole[: len(whole) // 2])
    spool = SpoolTransport(memory, root)
    spool.send(b"k", b"new", (), lambda _: None)
    wait_until(lambda: broken.with_suffix(".damaged").exists())
    spool.close(20)
    assert values(memory)[-2:] == [b"good", b"new"]
    assert [path.name for path in root.iterdir()] == [f"{broken.name}.damaged"]
    [line] = [line for line in caplog.messages if line.startswith(f"{broken} is damaged (")]
    assert line.endswith(f"and was moved to {broken}.damaged")


def test_a_file_that_is_damaged_while_it_is_written_is_replaced(
    root: Path, memory: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was in it is reported as failed, not forgotten; the next calls go to a new one."""
    memory.hold()
    heard: list[Delivery] = []
    client = Client(project="acme", transport=memory, spool=root, on_delivery=heard.append)
    drainer = drainer_of(client)
    client.feedback(trace_id="t", value=1)
    wait_until(lambda: len(memory._waiting) == 1)
    drainer._direct = False  # so that the next is on disk only
    drainer.halt()
    client.feedback(trace_id="t", value=2)
    [broken] = queues(root)

    def fail(_: sqlite3.Connection) -> None:
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(drainer.writer, "_limit", fail)  # as SQLite fails on a bad page
        with pytest.raises(
            RetryableError, match="did not take this event: database disk image is mal"
        ):
            client.feedback(trace_id="t", value=3)
    wait_until(lambda: len(heard) == 1)
    assert (heard[0].feedback_id, type(heard[0].error)) == ("", RetryableError)
    assert str(heard[0].error) == f"its file was damaged, see {broken}.damaged"
    client.feedback(trace_id="t", value=4)
    drainer._mail.put(lambda: setattr(drainer, "_halted", False))
    memory.release()
    assert client.flush(20) == 0
    assert [event["value"] for event in memory.events] == [1, 4]
    assert client.stats == Stats(sent=4, delivered=2, failed=2, waiting=0)
    with pytest.raises(DeliveryError, match="its file was damaged"):
        client.close()
    assert [path.name for path in root.iterdir()] == [f"{broken.name}.damaged"]


def test_the_disk_gets_its_room_back(root: Path, memory: MemoryTransport) -> None:
    """After an outage the file that grew is given up for a small one, while the process runs."""
    memory.hold()
    spool = SpoolTransport(memory, root, fsync=False)
    for number in range(300):
        spool.send(b"%d" % number, b"x" * 10_000, (), lambda _: None)
    [grown] = queues(root)
    memory.release()
    wait_until(lambda: len(queues(root)) == 1 and queues(root) != [grown])
    spool.send(b"k", b"later", (), lambda _: None)
    spool.close(20)
    assert len(memory.messages) == 301
    assert list(root.iterdir()) == []


def test_a_folder_that_somebody_removes_is_made_again(
    root: Path,
    memory: MemoryTransport,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A cleaner of old files does not make the spool forgetful: it is noticed, and said."""
    is_removed = threading.Event()
    measure = SpoolFile.reusable_bytes

    def wait_and_measure(file: SpoolFile) -> int:
        is_removed.wait(20)  # so nothing is asked of the file before it is removed
        return measure(file)

    monkeypatch.setattr(SpoolFile, "reusable_bytes", wait_and_measure)
    memory.hold()
    spool = SpoolTransport(memory, root)
    spool.send(b"a", b"before", (), lambda _: None)
    [removed] = queues(root)
    shutil.rmtree(root)
    is_removed.set()
    wait_until(lambda: root.exists() and removed not in queues(root) and len(queues(root)) == 1)
    line = f"Somebody removed {removed}; what waits there is lost with this process"
    wait_until(lambda: caplog.messages == [line])
    wait_until(lambda: drainer_of(spool).writer._file is drainer_of(spool)._files.own)
    spool.send(b"a", b"after", (), lambda _: None)
    assert [value for _, value, _ in rows(root)] == [b"after"]
    memory.release()
    spool.close(20)
    assert values(memory) == [b"before", b"after"]
    assert list(root.iterdir()) == []


def test_an_adopted_queue_that_somebody_removes_is_not_called_damaged(
    root: Path, memory: MemoryTransport, caplog: pytest.LogCaptureFixture
) -> None:
    """It rests closed while its messages are on their way, and there is nothing to move aside."""
    leave_behind(root, (b"k", b"v"))
    [orphan] = queues(root)
    memory.hold()
    spool = SpoolTransport(memory, root)
    adopted = drainer_of(spool)._files._adopted
    wait_until(lambda: any(file.read and file._db is None for file in adopted))
    shutil.rmtree(orphan)
    memory.release()
    line = f"Somebody removed {orphan}; what was not read from it is lost"
    wait_until(lambda: line in caplog.messages)
    spool.close(20)
    assert not any("damaged" in message for message in caplog.messages)
    assert values(memory) == [b"v"]
    assert list(root.iterdir()) == []


def test_a_queue_that_its_holder_just_removed_is_not_taken(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening a folder and locking it, another process may have emptied and removed it."""
    leave_behind(root, (b"k", b"v"))
    [queue] = queues(root)
    flock = fcntl.flock

    def late(descriptor: int, operation: int) -> None:
        shutil.rmtree(queue)
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    assert SpoolFile.claim(queue) is None


def test_threads_share_one_statement(root: Path, memory: MemoryTransport) -> None:
    """Eight threads that wait for the disk at the same time wait for it once or twice, not eight times."""
    spool = SpoolTransport(memory, root)
    drainer = drainer_of(spool)
    assert drainer.writer._db is not None
    statements: list[str] = []
    drainer.writer._db.set_trace_callback(statements.append)
    send = [
        threading.Thread(target=spool.send, args=(b"%d" % number, b"v", (), lambda _: None))
        for number in range(8)
    ]
    with fork_gate.writing:
        for thread in send:
            thread.start()
        wait_until(lambda: len(drainer.writer._calls) == 8)
    for thread in send:
        thread.join()
    assert len([each for each in statements if each.startswith("INSERT")]) == 1
    spool.close(20)
    assert sorted(values(memory)) == [b"v"] * 8


def test_delivery_goes_on_while_a_thread_is_stuck_in_a_call(
    root: Path, memory: MemoryTransport
) -> None:
    """A signal handler that waits in the middle of a call keeps nothing from ending."""
    spool = SpoolTransport(memory, root)
    with fork_gate.writing:
        spool.send(b"a", b"v", (), lambda _: None)
        wait_until(lambda: values(memory) == [b"v"] and rows(root) == [])
        spool.close(20)
    assert list(root.iterdir()) == []


def test_a_signal_handler_may_emit_in_the_middle_of_a_call(
    root: Path, memory: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it writes comes before what it interrupted, and neither is passed over."""
    spool = SpoolTransport(memory, root)
    drainer = drainer_of(spool)
    limit = drainer.writer._limit
    rounds: list[int] = []

    def interrupt(db: sqlite3.Connection) -> None:
        if not rounds:
            rounds.append(1)
            signal.raise_signal(signal.SIGUSR1)
        limit(db)

    def emit(*_: object) -> None:
        spool.send(b"b", b"of the handler", (), lambda _: None)
        spool.flush(20)

    before = signal.signal(signal.SIGUSR1, emit)
    monkeypatch.setattr(drainer.writer, "_limit", interrupt)
    spool.send(b"a", b"interrupted", (), lambda _: None)
    signal.signal(signal.SIGUSR1, before)
    spool.close(20)
    assert values(memory) == [b"of the handler", b"interrupted"]


def test_a_signal_handler_may_close_in_the_middle_of_a_call(
    root: Path, memory: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It delivers what was taken; the call that it interrupted is refused."""
    spool = SpoolTransport(memory, root)
    spool.send(b"a", b"before", (), lambda _: None)
    drainer = drainer_of(spool)

    def interrupt(_: sqlite3.Connection) -> None:
        signal.raise_signal(signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, lambda *_: spool.close(20))
    monkeypatch.setattr(drainer.writer, "_limit", interrupt)
    with pytest.raises(ClosedError):
        spool.send(b"a", b"interrupted", (), lambda _: None)
    signal.signal(signal.SIGUSR1, before)
    assert values(memory) == [b"before"]
    assert list(root.iterdir()) == []


def leave_folders(root: Path, count: int) -> None:
    """Leave as many folders in the spool as processes were killed, each with one message."""
    killed = root.parent / "killed"
    killed.mkdir()
    for number in range(count):
        leave_behind(root, (b"%d" % number, b"%d" % number))
        [folder] = queues(root)
        folder.rename(killed / folder.name)
    for folder in killed.iterdir():
        folder.rename(root / folder.name)


def test_many_folders_are_adopted_a_few_at_a_time(
    root: Path, memory: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that was killed often has descriptors left; the bound counts all, and all arrive."""
    monkeypatch.setattr(spool_files, "_MAX_ADOPTED", 5)
    leave_folders(root, 12)
    memory.hold()
    spool = SpoolTransport(memory, root)
    wait_until(lambda: drainer_of(spool).writer.limit_bytes <= (1 << 30) - 12 * 4096)
    wait_until(lambda: len(memory._waiting) == 5)
    own = drainer_of(spool)._files.own
    assert own is not None

    def held_open() -> list[Path]:
        paths = [each.readlink() for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
        return [
            path
            for path in paths
            if root in path.parents and own.folder not in [path, *path.parents]
        ]

    wait_until(lambda: len(held_open()) == 5)  # the lock of each, and no database
    memory.release()
    wait_until(lambda: len(memory.messages) == 12)
    assert values(memory) == [b"%d" % number for number in range(12)]
    spool.close(20)
    assert list(root.iterdir()) == []


def test_what_a_killed_process_did_not_finish_is_removed(
    root: Path, memory: MemoryTransport
) -> None:
    """A folder that was never complete goes, once it is clear that nobody is making it."""
    names = ["new-old", "new-locked", "new-young"]
    for name in names:
        (root / name).mkdir(parents=True)
    for name in names[:2]:
        os.utime(root / name, (0, 0))
    lock = os.open(root / "new-locked", os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    spool = SpoolTransport(memory, root)
    wait_until(lambda: not (root / "new-old").exists())
    spool.close(20)
    os.close(lock)
    assert sorted(path.name for path in root.iterdir()) == ["new-locked", "new-young"]


def test_a_file_without_its_table_is_damaged(
    root: Path, memory: MemoryTransport, caplog: pytest.LogCaptureFixture
) -> None:
    """What somebody emptied is moved out of the way, an orphan's as one's own, and the service goes on."""
    leave_behind(root, (b"a", b"1"))
    [orphan] = queues(root)
    (orphan / "queue.db").write_bytes(b"")
    memory.hold()
    client = Client(project="acme", transport=memory, spool=root)
    wait_until(lambda: orphan.with_suffix(".damaged").exists())
    own = drainer_of(client)._files.own
    assert own is not None
    db = sqlite3.connect(own.folder / "queue.db")
    db.execute("DROP TABLE queue")
    db.close()
    with pytest.raises(RetryableError, match="no such table: queue"):
        client.feedback(trace_id="t", value=1)
    wait_until(lambda: own.folder.with_suffix(".damaged").exists())
    wait_until(lambda: drainer_of(client).writer._file not in {None, own})
    client.feedback(trace_id="t", value=2)
    memory.release()
    client.close()
    assert [event["value"] for event in memory.events] == [2]
    assert sum("is damaged (no such table: queue)" in line for line in caplog.messages) == 2


def test_a_row_that_is_damaged_holds_up_no_other(root: Path, memory: MemoryTransport) -> None:
    """It is kept in `refused.db`, and what is around it is delivered."""
    leave_behind(root, (b"a", b"1"), (b"b", b"2"), (b"c", b"3"))
    [orphan] = queues(root)
    db = sqlite3.connect(orphan / "queue.db")
    db.execute("UPDATE queue SET headers = '[[' WHERE id = 2")
    db.commit()
    db.close()
    spool = SpoolTransport(memory, root)
    wait_until(lambda: values(memory) == [b"1", b"3"])
    wait_until(lambda: not orphan.exists())
    spool.close(20)
    assert refused_codes(root) == [(b"b", "invalid_json")]


def test_a_row_that_is_no_event_any_more_is_kept_apart(
    root: Path, start_gateway: Callable[[Transport], GatewayServer], memory: MemoryTransport
) -> None:
    """Over HTTP what a disk has damaged cannot be sent, now or ever: it does not wait for ever."""
    heard: list[DeliveryFailure | None] = []
    spool = SpoolTransport(HttpTransport(start_gateway(memory).address), root)
    for key, value in [(b"a", b"{no JSON"), (b"b", b"[]"), (b"c", b'{"feedback_id":"d"}')]:
        spool.send(key, value, (), heard.append)
    spool.flush(20)
    spool.close(20)
    assert refused_codes(root) == [
        (b"a", "invalid_json"),
        (b"b", "not_an_object"),
        (b"c", "wrong_key"),
    ]
    assert [type(each) for each in heard] == [RefusedError] * 3


def test_a_fault_of_the_transport_below_holds_up_no_other(root: Path) -> None:
    """A message that it raises for waits and is tried again; the others go on."""

    class RaisingTransport(PartlyFailingTransport):
        def send(self, key: bytes, *rest: Any, **more: Any) -> None:
            if key in self.bad:
                raise LookupError("its own")
            super().send(key, *rest, **more)

    faulty = RaisingTransport()
    faulty.bad = {b"a"}
    spool = SpoolTransport(faulty, root)
    for key in (b"a", b"b"):
        spool.send(key, key, (), lambda _: None)
    wait_until(lambda: values(faulty) == [b"b"])
    faulty.bad = set()
    spool.close(20)
    assert values(faulty) == [b"b", b"a"]


class Refusing(MemoryTransport):
    """Refuses every message for good."""

    def send(self, *args: Any, **_: object) -> None:
        """See `Transport.send`."""
        args[3](RefusedError("out_of_range", "$.value", "too much"))


def refused_codes(root: Path) -> list[tuple[bytes, str]]:
    """Return the keys and codes in `refused.db`."""
    with sqlite3.connect(root / "refused.db") as db:
        kept = db.execute("SELECT key, code FROM refused ORDER BY id").fetchall()
    db.close()
    return kept


def test_a_damaged_file_of_refused_events_is_set_aside(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Refused events do not wait for a person to mend it: they are kept in a new one."""
    root.mkdir()
    (root / "refused.db").write_bytes(b"no database" * 100)
    spool = SpoolTransport(Refusing(), root)
    spool.send(b"a", b"1", (), lambda _: None)
    spool.close(20)
    assert refused_codes(root) == [(b"a", "out_of_range")]
    [aside] = root.glob("refused-*.damaged")
    assert aside.read_bytes() == b"no database" * 100
    assert f"was moved to {aside}" in caplog.messages[0]


def test_refused_events_that_cannot_be_kept_are_said_once(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They wait, and the log does not fill with a line for each try of each."""
    (root / "refused.db").mkdir(parents=True)
    spool = SpoolTransport(Refusing(), root)
    for number in range(20):
        spool.send(b"%d" % number, b"1", (), lambda _: None)
    wait_until(lambda: drainer_of(spool)._retries >= 3)
    [line] = [line for line in caplog.messages if "refused.db" in line]
    assert line.endswith(
        "so refused events wait: unable to open database file. Make room, or move it away."
    )
    (root / "refused.db").rmdir()
    spool.close(20)
    assert len(refused_codes(root)) == 20


def test_a_folder_that_cannot_be_used_is_a_configuration_error(tmp_path: Path) -> None:
    """The client is not made, and says what is wrong."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"cannot be used: .* Not a directory"):
        Client("localhost:9092", project="acme", spool=tmp_path / "file" / "spool")
    with pytest.raises(ConfigurationError, match=r"cannot be used: .* File exists"):
        Client("localhost:9092", project="acme", spool=tmp_path / "file")


def test_windows_is_told_that_it_cannot(
    root: Path, memory: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its locks do not end with the process, so there is no spool there."""
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ConfigurationError, match="locks that Windows does not have"):
        SpoolTransport(memory, root)
