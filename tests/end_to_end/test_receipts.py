"""Receipts beside a real worker: never ahead of the tables, never behind the topic."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from afterword import Client
from afterword.gateway import KeyFile, Scope
from afterword_consumers.progress.backlog import TAIL_MESSAGES
from afterword_consumers.progress.receipts import ReceiptFinder
from afterword_consumers.rejected.replay import RejectedMessage, Selection, replay
from afterword_schemas import Receipt, ReceiptStatus, RetryableError
from afterword_stack.run.gateway import open_gateway
from afterword_stack.settings import default_settings

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Pipeline

pytestmark = pytest.mark.services

ID = "019c12e9-8b3d-7000-8000-000000000001"


def event(number: int = 0, feedback_id: str = ID, **fields: Any) -> dict[str, Any]:
    """Return an event that was changed so many milliseconds after the year began."""
    whole: dict[str, Any] = {
        "feedback_id": feedback_id,
        "project": "acme",
        "updated_at": time(number),
    }
    return whole | (fields or {"trace_id": "t", "value": 1})


def time(number: int) -> str:
    """Return the time so many milliseconds after the year began."""
    return f"2026-01-01T00:00:{number // 1000:02}.{number % 1000:03}Z"


@pytest.fixture
def finder(pipeline: "Pipeline") -> Iterator[ReceiptFinder]:
    """The receipts of what the pipeline's workers do."""
    one = ReceiptFinder(
        pipeline.clickhouse.address,
        pipeline.kafka.bootstrap_servers,
        topic=pipeline.topic,
        group=pipeline.group,
    )
    yield one
    one.close()


def work_until_settled(
    pipeline: "Pipeline", finder: ReceiptFinder, feedback_id: str = ID
) -> Receipt:
    """Run a worker until an event is pending no more, and return its receipt then."""

    def settled() -> bool:
        return finder.find("acme", feedback_id).status != ReceiptStatus.PENDING

    pipeline.work(pipeline.worker(age_s=0.05), until=settled)
    return finder.find("acme", feedback_id)


def test_an_event_is_followed_from_the_topic_into_the_table(
    pipeline: "Pipeline", finder: ReceiptFinder
) -> None:
    """Unknown, pending as long as no worker runs, stored; each change of it once more."""
    stored = Receipt(ID, ReceiptStatus.STORED, updated_at=time(1), cleared=False)
    assert finder.find("acme", ID).status == ReceiptStatus.UNKNOWN
    for change, receipt in (
        (event(1), stored),
        (event(2, op="patch", value=-1), Receipt(ID, stored.status, time(2), cleared=False)),
        (event(3, op="clear"), Receipt(ID, stored.status, time(3), cleared=True)),
        (event(4), Receipt(ID, stored.status, time(4), cleared=False)),
    ):
        pipeline.publish([change])
        assert finder.find("acme", ID) == Receipt(ID, ReceiptStatus.PENDING)
        assert work_until_settled(pipeline, finder) == receipt


def test_what_the_sdk_publishes_has_receipts(pipeline: "Pipeline", finder: ReceiptFinder) -> None:
    """No gateway has seen it, and it is known all the same."""
    with Client(pipeline.kafka.bootstrap_servers, topic=pipeline.topic, project="acme") as client:
        ids = [client.feedback(trace_id="t", value=1) for _ in range(20)]
    assert {finder.find("acme", each).status for each in ids} == {ReceiptStatus.PENDING}
    pipeline.work_off(20)
    assert {finder.find("acme", each).status for each in ids} == {ReceiptStatus.STORED}


def test_a_receipt_never_tells_an_older_state(pipeline: "Pipeline", finder: ReceiptFinder) -> None:
    """Asked without pause while a worker goes by: pending, and then what was published last."""
    told: list[list[ReceiptStatus]] = []

    def publish_and_ask() -> bool:
        number = len(told)
        fields: dict[str, Any] = {"op": "patch", "value": 1} if number else {}
        pipeline.publish([event(number, **fields)])
        told.append([])
        while ReceiptStatus.STORED not in told[-1]:
            receipt = finder.find("acme", ID)
            told[-1].append(receipt.status)
            if receipt.status != ReceiptStatus.PENDING:
                assert receipt == Receipt(ID, ReceiptStatus.STORED, time(number), cleared=False)
        return len(told) == 20

    pipeline.work(pipeline.worker(age_s=0.01), until=publish_and_ask)
    assert [statuses[0] for statuses in told].count(ReceiptStatus.PENDING) > 15


def test_a_refused_change_is_rejected_over_what_is_stored(
    pipeline: "Pipeline", finder: ReceiptFinder
) -> None:
    """The receipt says why, and which state stands; a change that is mended ends it."""
    many = {f"k{number}": number for number in range(900)}
    pipeline.publish([event(1, trace_id="t", feedback=many)])
    assert work_until_settled(pipeline, finder).status == ReceiptStatus.STORED
    pipeline.publish([event(2, op="patch", metadata=many)])
    rejected = work_until_settled(pipeline, finder)
    assert (rejected.status, rejected.code, rejected.path) == ("rejected", "too_many_leaves", "$")
    assert (rejected.updated_at, rejected.cleared) == (time(1), False)
    pipeline.publish([event(3, op="patch", metadata={"k": 1})])
    assert work_until_settled(pipeline, finder).updated_at == time(3)


def test_what_other_producers_get_wrong_is_told(
    pipeline: "Pipeline", finder: ReceiptFinder
) -> None:
    """With the code, the path and the sentence that the worker refused it with."""
    pipeline.publish([event(1, trace_id="t", valeu=1)])
    found = work_until_settled(pipeline, finder)
    assert (found.status, found.code, found.path) == ("rejected", "unknown_field", "$.valeu")
    assert found.detail == "no such field; did you mean value?"
    places = pipeline.select(
        "SELECT concat(kafka_partition, ':', kafka_offset) FROM feedback_rejected"
    )
    assert [(found.place,)] == places


def test_a_replay_is_pending_and_then_stored(pipeline: "Pipeline", finder: ReceiptFinder) -> None:
    """Refused, refused again, and stored once the fault is mended: each replay tells its own."""
    pipeline.clickhouse.command("ALTER TABLE feedback ADD CONSTRAINT c CHECK trace_id != 't'")
    pipeline.publish([event(1)])
    first = work_until_settled(pipeline, finder)
    assert (first.status, first.code) == ("rejected", "store_refused")

    replay_all(pipeline)
    assert finder.find("acme", ID).status == ReceiptStatus.PENDING
    second = work_until_settled(pipeline, finder)
    assert (second.status, second.code) == ("rejected", "store_refused")
    assert second.place != first.place

    pipeline.clickhouse.command("ALTER TABLE feedback DROP CONSTRAINT c")
    replay_all(pipeline)
    assert finder.find("acme", ID).status == ReceiptStatus.PENDING
    assert work_until_settled(pipeline, finder).status == ReceiptStatus.STORED


def replay_all(pipeline: "Pipeline") -> None:
    """Publish what was refused and not replayed, replays included."""

    def publish(page: Sequence[RejectedMessage]) -> None:
        for message in page:
            pipeline.publish_raw(message.payload, message.key, message.replay_headers)
        pipeline.flush()

    assert sum(replay(pipeline.clickhouse, publish, Selection(again=True))) == 1


def test_projects_with_the_same_id_do_not_meet(pipeline: "Pipeline", finder: ReceiptFinder) -> None:
    """Each has its own event under it, and is told of that alone."""
    pipeline.publish([event(1), event(2, project="other", trace_id="t", value=2)])
    pipeline.work_off(2)
    pipeline.publish([event(3, project="other", trace_id="t", valeu=2)])
    assert finder.find("acme", ID).updated_at == time(1)
    assert finder.find("other", ID).status == ReceiptStatus.PENDING
    pipeline.work_off(1)
    assert finder.find("acme", ID) == Receipt(ID, ReceiptStatus.STORED, time(1), cleared=False)
    assert finder.find("other", ID).code == "unknown_field"
    assert finder.find("third", ID) == Receipt(ID, ReceiptStatus.UNKNOWN)


def test_a_backlog_beyond_what_is_read_is_admitted(
    pipeline: "Pipeline", finder: ReceiptFinder
) -> None:
    """The newest are found at once, the oldest doubted, and in the end all are certain."""
    other = event(1, project="other", trace_id="t", value=1)
    pipeline.publish(
        [event(1), *[other] * TAIL_MESSAGES, event(2, project="new", trace_id="t", value=1)]
    )
    assert finder.find("new", ID).status == ReceiptStatus.PENDING
    doubtful = finder.find("acme", ID)
    assert (doubtful.status, doubtful.unread) == (ReceiptStatus.UNKNOWN, 2)
    pipeline.work_off(TAIL_MESSAGES + 2)
    assert finder.find("acme", ID) == Receipt(ID, ReceiptStatus.STORED, time(1), cleared=False)


@pytest.fixture
def gateway(pipeline: "Pipeline", tmp_path: Path) -> Iterator[tuple[str, KeyFile]]:
    """The address of a gateway before the pipeline, and the keys that it takes."""
    settings = default_settings().model_copy(
        update={
            "kafka_bootstrap_servers": pipeline.kafka.bootstrap_servers,
            "kafka_topic": pipeline.topic,
            "kafka_group": pipeline.group,
            "clickhouse_url": pipeline.node.url,
            "clickhouse_database": pipeline.clickhouse.address.database,
            "gateway_port": 0,
        }
    )
    keys = KeyFile(tmp_path / "keys.json")
    with open_gateway(settings, keys) as server:
        thread = threading.Thread(target=server.run)
        thread.start()
        yield server.address, keys
        server.should_exit = True
        thread.join()


def test_the_gateway_follows_what_it_has_accepted(
    pipeline: "Pipeline", gateway: tuple[str, KeyFile]
) -> None:
    """Accepted, pending, stored; and to the key of another project, unknown from first to last."""
    address, keys = gateway
    own, other = (
        {"authorization": f"Bearer {keys.create(project, [Scope.WRITE, Scope.READ])[0]}"}
        for project in ("acme", "other")
    )
    with httpx2.Client(base_url=address) as http:
        sent = http.post("/v1/feedback", headers=own, json={"trace_id": "t", "value": 1})
        (feedback_id,) = sent.json()["feedback_ids"]

        def receipt(key: dict[str, str]) -> Any:
            return http.get(f"/v1/feedback/{feedback_id}", headers=key).raise_for_status().json()

        unknown = {"feedback_id": feedback_id, "status": "unknown", "unread": 0}
        assert receipt(own) == unknown | {"status": "pending"}
        assert receipt(other) == unknown
        pipeline.work(pipeline.worker(), until=lambda: receipt(own)["status"] == "stored")
        assert receipt(own)["cleared"] is False
        assert receipt(other) == unknown


def test_receipts_outlive_clickhouse_and_kafka(pipeline: "Pipeline", finder: ReceiptFinder) -> None:
    """An error while one of them is away, and the truth when it is back."""
    pipeline.publish([event(1)])
    assert work_until_settled(pipeline, finder).status == ReceiptStatus.STORED
    pipeline.node.kill()
    with pytest.raises(RetryableError, match="ClickHouse does not answer"):
        finder.find("acme", ID)
    pipeline.node.start()
    assert finder.find("acme", ID).status == ReceiptStatus.STORED
    pipeline.kafka.kill()
    with pytest.raises(RetryableError, match="Kafka does not answer"):
        finder.find("acme", ID)
    pipeline.kafka.start()
    assert finder.find("acme", ID).status == ReceiptStatus.STORED
