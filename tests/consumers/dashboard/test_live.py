"""Pages are told of new feedback: all readers, one that is stuck too, and one that comes back."""

import http.client
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect
from tests.consumers.dashboard.conftest import Open, listen
from tests.waiting import wait_until

from afterword_consumers.explore.live import Tail
from afterword_consumers.query import Question, parse

if TYPE_CHECKING:
    from tests.consumers.dashboard.conftest import PageHarness


@pytest.fixture
def address(pages: "PageHarness") -> Iterator[str]:
    """Where the pages of an empty database are."""
    with listen(pages) as address:
        yield address


class Reader:
    """Reads events in a thread until it is closed."""

    def __init__(self, address: str, query: str = "", **headers: str) -> None:
        self.events: list[tuple[str, str]] = []
        self.opened = threading.Event()
        self._connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request("GET", f"/live{query}", headers=names)
        self._thread = threading.Thread(target=self._read, args=(self._connection.getresponse(),))
        self._thread.start()
        assert self.opened.wait(30)

    def _read(self, answer: http.client.HTTPResponse) -> None:
        number = ""
        while line := answer.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "id":
                number = value
                self.opened.set()
            elif name == "data":
                self.events.append((number, value))

    @property
    def told(self) -> int:
        """How much new feedback it was told of."""
        return sum(int(data.removeprefix('{"new": ').removesuffix("}")) for _, data in self.events)

    def ended(self) -> bool:
        """Whether the server has ended its answer."""
        return not self._thread.is_alive()

    def close(self) -> None:
        """Stop reading."""
        if self._connection.sock is not None:
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._connection.close()


def row(pages: "PageHarness", number: int, **fields: object) -> dict[str, object]:
    """Return the row of a feedback that is stored now."""
    now = datetime.now(UTC)
    return pages.give(number, 0, value=1, ingested_at=now.timestamp(), **fields)


def test_twenty_readers_are_told_and_a_stuck_one_holds_nobody_up(
    pages: "PageHarness", address: str
) -> None:
    """Each of everything, once; the stuck one reads nothing at all."""
    place = urlsplit(address)
    stuck = socket.create_connection((place.hostname, place.port))
    stuck.sendall(f"GET /live HTTP/1.1\r\nhost: {place.netloc}\r\n\r\n".encode())
    readers = [Reader(address) for _ in range(20)]
    try:
        for number in range(3):
            pages.store(row(pages, number))
        wait_until(lambda: all(reader.told == 3 for reader in readers))
    finally:
        stuck.close()
        for reader in readers:
            reader.close()
    assert [reader.told for reader in readers] == [3] * 20


def test_a_reader_that_comes_back_goes_on(pages: "PageHarness", address: str) -> None:
    """It is told how much came while it was away, as long as somebody else watched."""
    other, reader = Reader(address), Reader(address)
    pages.store(row(pages, 1))
    wait_until(lambda: reader.told == 1)
    last = reader.events[-1][0]
    reader.close()
    pages.store(row(pages, 2), row(pages, 3))
    wait_until(lambda: other.told == 3)
    again = Reader(address, last_event_id=last)
    wait_until(lambda: again.told == 2)
    for each in (other, again):
        each.close()


def test_a_filter_and_a_project_choose(pages: "PageHarness", address: str) -> None:
    """Nobody is told of what they did not ask for."""
    down, other = Reader(address, "?where=thumbs+%3D+down"), Reader(address, "?project=other")
    everything = Reader(address)
    pages.store(row(pages, 1), {**row(pages, 2), "value": -1})
    wait_until(lambda: everything.told == 2 and down.told == 1)
    assert other.told == 0
    for each in (down, other, everything):
        each.close()


def test_the_server_stops_although_somebody_reads(pages: "PageHarness") -> None:
    """Answers without an end are ended."""
    with listen(pages) as address:
        reader = Reader(address)
    wait_until(reader.ended)
    reader.close()


def test_nonsense_is_refused(pages: "PageHarness") -> None:
    """As everywhere."""
    assert pages.page("/live", status=400, where="nonsense")
    assert pages.page("/live", "other", status=403, project="acme")


def test_a_look_tells_each_state_once(pages: "PageHarness") -> None:
    """New feedback, a later state of it, nothing that was there before, and nothing twice."""
    begin = datetime.now(UTC)
    pages.store({**row(pages, 1), "ingested_at": (begin - timedelta(seconds=30)).timestamp()})
    tail = Tail(parse(Question("count"), begin), begin)
    assert tail.look(pages.clickhouse) == []
    pages.store(row(pages, 2, feedback={"comment": "slow"}))
    (first,) = tail.look(pages.clickhouse)
    assert (first.comment, first.thumbs_up, first.value) == ("slow", True, 1)
    assert tail.look(pages.clickhouse) == []
    pages.store(row(pages, 2, feedback={"comment": "slower"}, version=2))
    assert [one.comment for one in tail.look(pages.clickhouse)] == ["slower"]


@pytest.mark.browser
def test_the_page_of_traces_shows_what_comes(
    pages: "PageHarness", address: str, visit: Open
) -> None:
    """Without being loaded again."""
    pages.store(row(pages, 1, trace_id="t-first"))
    page: Page = visit(address + "/traces")
    page.evaluate("() => { window.same = true; }")
    expect(page.get_by_role("link", name="t-first")).to_be_visible()
    page.wait_for_timeout(500)
    pages.store(row(pages, 2, trace_id="t-second"))
    expect(page.get_by_role("link", name="t-second")).to_be_visible(timeout=20_000)
    assert page.evaluate("() => window.same") is True
