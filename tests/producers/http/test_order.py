"""Order and number: no event overtakes one of its id, and each is reported once."""

import random
import threading
import time
import uuid
from collections import defaultdict
from typing import Any

import pytest

from afterword import HttpTransport
from afterword_schemas.backoff import Backoff


def test_no_event_overtakes_one_of_its_id(
    server: Any, reports: Any, held_reply: Any, reply: Any
) -> None:
    """What is sent again goes before what came later under its id; others need not wait for it."""
    server.script.extend([held_reply, reply.refuse(0, code="unavailable", status=503)])
    reports.send()
    assert held_reply.reached.wait(20)
    one, other = str(uuid.uuid4()), str(uuid.uuid4())
    for number, each in enumerate([one, one, other, one, other]):
        reports.send(each, value=number)
    held_reply.opened.set()
    reports._transport.flush(20)
    sent = [[item["value"] for item in each.items] for each in server.received]
    assert sent == [[1], [0, 2], [0, 4], [1], [3]]
    assert [item["value"] for item in server.accepted] == [1, 2, 0, 4, 1, 3]


def test_an_id_that_changes_often_delays_no_other(
    server: Any, reports: Any, held_reply: Any
) -> None:
    """Of one id 2,000 events wait, which go one a request: another's goes with the next of them."""
    one, other = str(uuid.uuid4()), str(uuid.uuid4())
    server.script.append(held_reply)
    for _ in range(2000):
        reports.send(one)
    assert held_reply.reached.wait(20)
    reports.send(other)
    held_reply.opened.set()
    while not reports.by_id[other]:
        time.sleep(0.001)  # the condition to wait for is the report
    assert server.received[1].ids == [one, other]


def test_order_and_number_hold_in_a_storm(
    server: Any, monkeypatch: pytest.MonkeyPatch, reply: Any, collect: Any
) -> None:
    """Four threads, forty ids, a gateway that mostly fails: each event is taken, reported once, in turn."""
    monkeypatch.setattr(
        "afterword._http.retry_schedule._BACKOFF", Backoff(first_s=0.001, max_s=0.005)
    )
    dice = random.Random(7)  # a storm that can be repeated

    def some_unavailable(exchange: Any) -> None:
        count = len(exchange.received.items)
        kept = dice.sample(range(count), dice.randint(1, count))
        reply.refuse(*kept, code="unavailable", status=503)(exchange)

    def too_large(exchange: Any) -> None:
        (reply.accept if len(exchange.received.items) == 1 else reply.say(413))(exchange)

    replies: list[Any] = [
        reply.accept,
        reply.accept_and_cut,
        reply.cut,
        reply.say(500),
        too_large,
        reply.whole(429, ""),
    ]
    replies += [some_unavailable] * 2
    server.script.extend(dice.choices(replies, k=300))
    transport = HttpTransport(server.url)
    reports = collect(transport)

    def send(thread: int) -> None:
        ids = [str(uuid.UUID(int=thread * 10 + number)) for number in range(10)]
        for number in range(250):
            reports.send(ids[number % 10], value=1, weight=number / 1000)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    transport.flush(60)
    transport.close(20)
    assert reports == [None] * 1000
    by_id: dict[str, list[float]] = defaultdict(list)
    for item in server.accepted:
        if item["weight"] not in by_id[item["feedback_id"]]:
            by_id[item["feedback_id"]].append(item["weight"])
    assert sum(len(weights) for weights in by_id.values()) == 1000
    assert all(weights == sorted(weights) for weights in by_id.values())
