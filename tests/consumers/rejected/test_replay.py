"""Refused messages: found again byte for byte, and replayed once each, however it goes."""

from collections.abc import Sequence

import pytest

from afterword_consumers.clickhouse.client import ClickHouse, ClickHouseAddress
from afterword_consumers.clickhouse.sink import ClickHouseSink
from afterword_consumers.ingest.rejection import Rejection
from afterword_consumers.rejected.listing import RejectedPlace
from afterword_consumers.rejected.replay import RejectedMessage, Selection, counts, find, replay
from afterword_schemas import RejectCode, RetryableError
from afterword_stack.local.clickhouse import ClickHouseNode

pytestmark = pytest.mark.services

NOW_MS = 1_769_850_000_000


@pytest.fixture
def store(clickhouse: ClickHouseNode, migrated_database: str) -> ClickHouse:
    """A database with empty tables."""
    return ClickHouse(ClickHouseAddress(clickhouse.host, clickhouse.port, migrated_database))


def refuse(
    store: ClickHouse,
    offsets: Sequence[int],
    *,
    partition: int = 0,
    topic_id: str = "id-1",
    code: RejectCode = RejectCode.UNKNOWN_FIELD,
    rejected_ms: int = NOW_MS,
    payload: bytes = b"{}",
) -> None:
    """Store refused messages, one for each offset."""
    ClickHouseSink(store).insert_rejections(
        [
            Rejection(
                topic="t",
                topic_id=topic_id,
                partition=partition,
                offset=offset,
                published_ms=rejected_ms,
                rejected_ms=rejected_ms,
                code=code,
                path="$.vlaue",
                detail="no such field",
                key=b"\xff\x00",
                headers=((b"schema", b"feedback/v1"), (b"bin", b"\xfe:,\x00")),
                payload=payload,
            )
            for offset in offsets
        ]
    )


def replay_all(
    store: ClickHouse, *, code: str | None = None, place: str | None = None
) -> tuple[list[int], list[RejectedMessage]]:
    """Replay into a list; return the sizes of the pages, and what was published."""
    published: list[RejectedMessage] = []
    pages = replay(store, published.extend, Selection(code=code, place=place))
    return list(pages), published


def test_a_message_is_found_as_it_came(store: ClickHouse) -> None:
    """Key, headers and payload are the bytes that were refused, also those that are no text."""
    refuse(store, [7], partition=3, payload=b"\x80\x1b[31m\x00'\n")
    (found,) = find(store, Selection(place="3:7"), 10)
    assert (found.key, found.payload) == (b"\xff\x00", b"\x80\x1b[31m\x00'\n")
    assert found.headers == (("schema", b"feedback/v1"), ("bin", b"\xfe:,\x00"))
    row = found.row
    assert (row.topic, row.place) == ("t", RejectedPlace(NOW_MS, "id-1", 3, 7))
    assert str(row.place) == "3:7"
    told = (row.code, row.path, row.detail)
    assert told == ("unknown_field", "$.vlaue", "no such field")
    assert row.replayed_ms is None


def test_a_replay_publishes_each_partition_in_its_order(store: ClickHouse) -> None:
    """An id's events are on one partition, so their order is the order of the replay."""
    refuse(store, [5, 3, 4], partition=1)
    refuse(store, [9, 8], partition=0)
    pages, published = replay_all(store)
    assert [str(message.row.place) for message in published] == [
        "0:8",
        "0:9",
        "1:3",
        "1:4",
        "1:5",
    ]
    assert pages == [2, 3]


def test_a_second_replay_publishes_nothing(store: ClickHouse) -> None:
    """What was replayed is marked with the time and left out from then on."""
    refuse(store, [1, 2])
    assert counts(store) == [("unknown_field", 2, 2)]
    assert replay_all(store)[0] == [2]
    assert replay_all(store)[0] == []
    assert counts(store) == [("unknown_field", 2, 0)]
    assert [message.row.replayed_ms is None for message in find(store, Selection(), 9)] == [
        False
    ] * 2


def test_a_redelivery_of_what_was_replayed_does_not_undo_it(store: ClickHouse) -> None:
    """The mark is the newer version of the row."""
    refuse(store, [1])
    replay_all(store)
    refuse(store, [1])
    assert counts(store) == [("unknown_field", 1, 0)]


def test_pages_are_bounded_by_rows(store: ClickHouse) -> None:
    """Small messages fill a page of a thousand, and none is left out between two pages."""
    refuse(store, range(1_450))
    pages, published = replay_all(store)
    assert pages == [1_000, 450]
    assert [message.row.place.offset for message in published] == list(range(1_450))


def test_pages_are_bounded_by_bytes(store: ClickHouse) -> None:
    """No page holds more than 16 MB, unless one message does: it has a page of its own."""
    for offset, megabytes in enumerate((7, 7, 7, 20, 1, 1)):
        refuse(store, [offset], payload=b"x" * megabytes * 1024 * 1024)
    pages, published = replay_all(store)
    assert pages == [2, 1, 1, 2]
    assert [len(message.payload) >> 20 for message in published] == [7, 7, 7, 20, 1, 1]


def test_a_list_reads_no_payloads(store: ClickHouse) -> None:
    """Each may be a megabyte, and a list may be as long as a person asks for."""
    refuse(store, [1], payload=b"large")
    (found,) = find(store, Selection(), 10, with_content=False)
    assert (found.payload, found.key, found.headers) == (b"", b"", ())
    assert found.row.code == "unknown_field"


def test_a_replay_of_what_is_refused_again_ends(store: ClickHouse) -> None:
    """Even where a worker's clock is behind: what it refuses meanwhile is left for the next one."""
    refuse(store, [1, 2, 3])
    offsets = iter(range(100, 200))
    published = 0

    def publish(page: Sequence[RejectedMessage]) -> None:
        nonlocal published
        published += len(page)
        assert published < 50
        refuse(store, [next(offsets) for _ in page], rejected_ms=NOW_MS - 60_000)

    assert list(replay(store, publish, Selection())) == [3]
    assert counts(store) == [("unknown_field", 6, 3)]


def test_a_page_that_kafka_did_not_take_stays_unmarked(store: ClickHouse) -> None:
    """It is published by the next replay; the pages before it are not."""
    refuse(store, range(1_200))

    def publish(page: Sequence[RejectedMessage]) -> None:
        if page[0].row.place.offset == 1_000:
            raise RetryableError("the broker is away")

    with pytest.raises(RetryableError, match="the broker is away"):
        list(replay(store, publish, Selection()))
    assert counts(store) == [("unknown_field", 1_200, 200)]
    assert [message.row.place.offset for message in replay_all(store)[1]] == list(
        range(1_000, 1_200)
    )


def test_a_selection_is_by_code_and_place(store: ClickHouse) -> None:
    """Only what fits every part that is set is found and replayed."""
    refuse(store, [1, 2])
    refuse(store, [3, 4], code=RejectCode.TOO_DEEP)
    refuse(store, [1], partition=1, code=RejectCode.TOO_DEEP)
    assert len(find(store, Selection(code="too_deep"), 9)) == 3
    assert len(find(store, Selection(code="too_deep"), 2)) == 2
    assert [str(m.row.place) for m in replay_all(store, place="0:1")[1]] == ["0:1"]
    found = replay_all(store, code="too_deep")[1]
    assert [str(message.row.place) for message in found] == ["0:3", "0:4", "1:1"]
    assert [str(m.row.place) for m in find(store, Selection(waiting=True), 9)] == ["0:2"]
    assert counts(store) == [("too_deep", 3, 0), ("unknown_field", 2, 1)]


def test_a_topic_made_anew_is_another_topic(store: ClickHouse) -> None:
    """The same place on a topic of another id is another message; quotes in an id are harmless."""
    refuse(store, [1], topic_id="id-1")
    refuse(store, [1], topic_id=r"it's \ 2")
    pages, published = replay_all(store)
    assert pages == [1, 1]
    assert [message.row.place.topic_id for message in published] == ["id-1", r"it's \ 2"]
    assert replay_all(store)[0] == []


def test_many_pages_are_replayed_whole(store: ClickHouse) -> None:
    """Of 10,000 messages each is on one of them."""
    refuse(store, range(10_000), payload=b"x" * 500)
    assert sum(replay_all(store)[0]) == 10_000
