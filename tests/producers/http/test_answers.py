"""What an answer means for each event: delivered, refused for good, or to be sent again."""

import time
from typing import Any

import pytest

from afterword import HttpTransport, RefusedError, RetryableError
from afterword_schemas.backoff import Backoff

V7 = "019c12e9-8b3d-7000-8000-000000000000"


def test_a_refused_event_is_reported_for_what_it_is(
    server: Any, reports: Any, held_reply: Any, reply: Any
) -> None:
    """Of three events one is refused: the others are delivered, and none is sent again."""
    server.script.extend([held_reply, reply.refuse(1)])
    reports.send()
    assert held_reply.reached.wait(20)
    ids = [reports.send(), reports.send(), reports.send()]
    held_reply.opened.set()
    reports._transport.flush(20)
    assert [reports.by_id[each][0] is None for each in ids] == [True, False, True]
    [error] = reports.by_id[ids[1]]
    assert isinstance(error, RefusedError)
    assert (error.code, error.path) == ("out_of_range", "$.value")
    assert str(error) == "value must be at most 10 [out_of_range at $.value]"
    assert len(server.received) == 2


def test_what_kafka_did_not_take_is_sent_again(
    server: Any, reports: Any, held_reply: Any, reply: Any
) -> None:
    """Of a 503 only the events that it calls unavailable come again, under the same ids."""
    server.script.extend([held_reply, reply.refuse(0, 2, code="unavailable", status=503)])
    reports.send()
    assert held_reply.reached.wait(20)
    ids = [reports.send(), reports.send(), reports.send()]
    held_reply.opened.set()
    reports._transport.flush(20)
    assert [each.ids for each in server.received[1:]] == [ids, [ids[0], ids[2]]]
    assert reports == [None] * 4


@pytest.mark.parametrize(
    "answer",
    [
        lambda reply: reply.whole(408, "The body took longer than 30 s."),
        lambda reply: reply.whole(429, "Too many requests."),
        lambda reply: reply.whole(503, "Too many large requests at once."),
        lambda reply: reply.say(500),
        lambda reply: reply.say(502),
        lambda reply: reply.say(503, {"feedback_ids": "?"}),
        lambda reply: reply.say(504, b""),
        lambda reply: reply.whole(401, "The key is not known."),
        lambda reply: reply.whole(403, "The key may read; this takes one that may write."),
        lambda reply: reply.say(404),
        lambda reply: reply.say(301, location="http://127.0.0.1:1/"),
        lambda reply: reply.say(307, location="http://127.0.0.1:1/"),
        lambda reply: reply.say(200),
        lambda reply: reply.say(204, b""),
        lambda reply: reply.say(200, {"feedback_ids": []}),
        lambda reply: reply.say(200, {"feedback_ids": [V7]}),
        lambda reply: reply.say(200, {"feedback_ids": None}),
        lambda reply: reply.say(207, {"feedback_ids": [V7], "errors": [{"index": 1, "code": "x"}]}),
        lambda reply: reply.refuse(0, code="unavailable", status=503, retry_after="soon"),
        lambda reply: reply.refuse(0, code="unavailable", status=503, retry_after="9" * 5000),
        lambda reply: reply.say(429, retry_after="Fri, 31 Jan 99999 09:30:00 GMT"),
        lambda reply: reply.cut,
    ],
)
def test_an_answer_that_takes_nothing_loses_nothing(
    server: Any, reports: Any, answer: Any, monkeypatch: pytest.MonkeyPatch, reply: Any
) -> None:
    """Whatever else comes back than that the events were taken or refused, they are sent again."""
    monkeypatch.setattr("afterword._http.connection._MAX_RETRY_AFTER_S", 0.1)
    server.script.append(answer(reply))
    feedback_id = reports.send()
    reports._transport.flush(20)
    assert reports == [None]
    assert [each.ids for each in server.received] == [[feedback_id]] * 2


@pytest.mark.parametrize(
    "body",
    [
        {"errors": [{"index": 9, "code": "c", "path": "$", "detail": "d"}]},
        {"errors": [{"index": -1, "code": "c", "path": "$", "detail": "d"}]},
        {"errors": [{"code": "c", "path": "$", "detail": "d"}]},
        {"errors": [3]},
    ],
)
def test_errors_that_name_no_event_refuse_none(
    server: Any, reports: Any, body: dict[str, object]
) -> None:
    """A refusal is final, so it counts only where it is clear which event it means."""
    server.script.append(
        lambda exchange: exchange.answer(207, {"feedback_ids": exchange.received.ids} | body)
    )
    reports.send()
    reports._transport.flush(20)
    assert reports == [None]
    assert len(server.received) == 2


def test_the_gateway_says_how_long_to_wait(server: Any, reports: Any, reply: Any) -> None:
    """`Retry-After` goes before the backoff of a few tenths of a second."""
    server.script.append(reply.refuse(0, code="unavailable", status=503, retry_after="1"))
    reports.send()
    reports._transport.flush(20)
    first, second = server.received
    assert second.at_s - first.at_s >= 1


def test_a_request_that_is_too_large_is_split(
    server: Any, reports: Any, held_reply: Any, reply: Any
) -> None:
    """On 413 half as many events are tried at once, down to one; that one is refused for good."""

    def small_only(exchange: Any) -> None:
        if len(exchange.received.items) > 2 or "text" in str(exchange.received.body):
            reply.say(413)(exchange)
        else:
            reply.accept(exchange)

    server.script.extend([held_reply, *[small_only] * 20])
    reports.send()
    assert held_reply.reached.wait(20)
    ids = [reports.send() for _ in range(7)]
    large = reports.send(feedback={"text": "x"})
    held_reply.opened.set()
    reports._transport.flush(20)
    assert [reports.by_id[each] for each in ids] == [[None]] * 7
    [error] = reports.by_id[large]
    assert isinstance(error, RefusedError)
    assert str(error) == (
        "something before the gateway takes no event of this size [too_large at $]"
    )
    assert [len(each.items) for each in server.received][:4] == [1, 8, 4, 2]
    assert [item["feedback_id"] for item in server.accepted[1:]] == ids


@pytest.mark.parametrize("closing", [False, True])
def test_an_event_that_a_firewall_dislikes_holds_up_no_other(
    server: Any, reply: Any, collect: Any, *, closing: bool
) -> None:
    """It is found out, set aside, and given up once others went by again and again, or at the end."""

    def judge(exchange: Any) -> None:
        (reply.say(403) if b"<script>" in exchange.received.body else reply.accept)(exchange)

    server.script.extend([judge] * 10_000)
    transport = HttpTransport(server.url)
    reports = collect(transport)
    good = [reports.send() for _ in range(20)]
    bad = reports.send(feedback={"comment": "<script>"})
    good += [reports.send() for _ in range(20)]
    while not closing and not reports.by_id[bad]:
        good.append(reports.send())
        time.sleep(0.01)  # the condition to wait for is the report
    transport.close(20)
    assert [reports.by_id[each] for each in good] == [[None]] * len(good)
    [error] = reports.by_id[bad]
    assert type(error) is RetryableError
    assert str(error).startswith("the answer was 403: no gateway answers so")


def test_a_firewall_that_dislikes_all_loses_nothing(
    server: Any, reply: Any, collect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nothing gets past, no event is given up: it is nobody's text, and may be mended."""
    monkeypatch.setattr("afterword._http.retry_schedule._BACKOFF", Backoff(max_s=0.01))
    server.script.extend([reply.say(403)] * 60)
    transport = HttpTransport(server.url)
    reports = collect(transport)
    for _ in range(8):
        reports.send()
    transport.flush(60)
    transport.close(20)
    assert reports == [None] * 8


def test_a_wrong_key_is_said_and_can_be_mended(
    server: Any, reports: Any, caplog: pytest.LogCaptureFixture, reply: Any
) -> None:
    """Events wait while the key is refused, the log says so once, and they arrive once it is known."""
    server.script.extend([reply.whole(401, "The key is not known; see `afterword keys list`.")] * 5)
    reports.send()
    reports._transport.flush(20)
    assert reports == [None]
    said = "the answer was 401: The key is not known; see `afterword keys list`."
    assert caplog.messages == [
        f"Events wait and are sent again: {said}",
        "The gateway takes events again.",
    ]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            lambda reply: reply.whole(401, "The key is not known."),
            "the answer was 401: The key is not known.",
        ),
        (lambda reply: reply.say(404), "the answer was 404: no gateway answers so; see to the url"),
        (lambda reply: reply.say(200), "the answer was 200: no gateway answers so; see to the url"),
        (
            lambda reply: reply.say(308),
            "the answer was 308: it redirects; pass the url that it leads to",
        ),
    ],
)
def test_closing_does_not_wait_for_a_person(
    server: Any, reports: Any, answer: Any, reason: str, reply: Any
) -> None:
    """Where URL or key are wrong, the end comes after one more try, and says what to do."""
    server.script.extend([answer(reply)] * 50)
    for _ in range(3):
        reports.send()
    began = time.monotonic()
    reports._transport.close(20)
    assert time.monotonic() - began < 10
    assert [str(each).startswith(reason) for each in reports] == [True] * 3
    assert not any(isinstance(each, RefusedError) for each in reports)
