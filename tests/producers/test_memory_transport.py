"""`MemoryTransport`: what users' tests can make it do."""

import pytest

from afterword import DeliveryFailure, MemoryTransport, Message, QueueFullError


def test_deliveries_wait_while_held(memory: MemoryTransport) -> None:
    """Between `hold` and `release` a message is taken, and neither delivered nor failed."""
    reports: list[DeliveryFailure | None] = []
    memory.hold()
    memory.send(b"k", b"1", (), reports.append)
    memory.flush(1)
    assert (reports, memory.messages) == ([], ())
    memory.release()
    assert reports == [None]
    assert memory.messages == (Message(b"k", b"1", ()),)


def test_deliveries_fail_on_demand(memory: MemoryTransport) -> None:
    """Between `fail` and `recover` a message is taken, reported failed, and not kept."""
    reports: list[DeliveryFailure | None] = []
    memory.fail("disk full")
    memory.send(b"k", b"1", (), reports.append)
    memory.recover()
    memory.send(b"k", b"2", (), reports.append)
    assert [str(report) for report in reports] == ["disk full", "None"]
    assert [message.value for message in memory.messages] == [b"2"]


def test_a_full_queue_takes_nothing_more() -> None:
    """Beyond `capacity` a message is refused and never reported; those before it are kept."""
    memory = MemoryTransport(capacity=1)
    reports: list[DeliveryFailure | None] = []
    memory.hold()
    memory.send(b"k", b"1", (), reports.append)
    with pytest.raises(QueueFullError, match="the queue is full"):
        memory.send(b"k", b"2", (), reports.append)
    memory.release()
    assert reports == [None]
    assert [message.value for message in memory.messages] == [b"1"]


def test_closing_gives_up_on_what_is_held(memory: MemoryTransport) -> None:
    """A message that is held at the end is reported failed."""
    reports: list[DeliveryFailure | None] = []
    memory.hold()
    memory.send(b"k", b"1", (), reports.append)
    memory.close(10)
    assert [str(report) for report in reports] == ["closed before it was delivered"]


def test_a_forked_copy_holds_nothing(memory: MemoryTransport) -> None:
    """What waited before the fork is the parent's: it is neither delivered nor reported here."""
    reports: list[DeliveryFailure | None] = []
    memory.hold()
    memory.send(b"k", b"1", (), reports.append)
    memory.after_fork()
    memory.release()
    memory.close(10)
    assert (reports, memory.messages) == ([], ())


def test_events_are_the_parsed_payloads(memory: MemoryTransport) -> None:
    """`events` shows what was sent without the reader parsing it."""
    memory.send(b"k", b'{"value": 4}', (), lambda _: None)
    assert memory.events == [{"value": 4}]
