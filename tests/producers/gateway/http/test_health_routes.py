"""Health, readiness, counters, receipts, and addresses that are none."""

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from httpx2 import ASGITransport, AsyncClient

from afterword.gateway.http import readiness
from afterword_schemas.errors import RetryableError
from afterword_schemas.receipt import Receipt, ReceiptStatus

if TYPE_CHECKING:
    from tests.producers.gateway.conftest import GatewayHarness

FEEDBACK_ID = "019c12e9-8b3d-7000-8000-000000000000"
THUMB: dict[str, Any] = {"trace_id": "tr-1", "value": 1}


def test_ready_is_kafkas_word(gateway: "GatewayHarness", monkeypatch: pytest.MonkeyPatch) -> None:
    """The process lives on while Kafka is away, and says that it cannot publish."""
    monkeypatch.setattr(readiness, "_KEPT_S", 0.0)
    assert gateway.http.get("/readyz").status_code == 200

    gateway.ready.append(RetryableError("Kafka does not answer"))

    answer = gateway.http.get("/readyz")
    assert (answer.status_code, answer.json()["detail"]) == (503, "Kafka does not answer")
    assert answer.headers["retry-after"] == "2"
    assert gateway.http.get("/healthz").status_code == 200


def test_readiness_is_looked_up_once_for_all() -> None:
    """A hundred questions at once are one to Kafka."""
    looks: list[str] = []

    async def ask() -> list[str | None]:
        asked = readiness.Readiness(lambda: looks.append("once"))
        return await asyncio.gather(*(asked.fault() for _ in range(100)))

    assert asyncio.run(ask()) == [None] * 100
    assert looks == ["once"]


@pytest.mark.parametrize(
    "path",
    ["/v1/feedback/", "//v1/feedback", "/v1//feedback", "///v1/feedback//", "/%761/feedback/"],
)
def test_spare_slashes_are_passed_over(gateway: "GatewayHarness", path: str) -> None:
    """A base URL that ends in a slash makes them, and an exporter drops its batch upon a 404."""
    answer = gateway.http.post(f"http://127.0.0.1:8080{path}?project=acme", json=THUMB)
    assert answer.status_code == 200
    (event,) = gateway.transport.events
    assert event["project"] == "acme"
    assert 'route="create_feedback",status="200"' in gateway.http.get("/metrics").text


@pytest.mark.parametrize("path", ["/v1/traces/", "//opentelemetry/v1/logs", "/v1/beacon/"])
def test_every_route_takes_spare_slashes(gateway: "GatewayHarness", path: str) -> None:
    """The address is known: what is wrong is the method."""
    answer = gateway.http.get(f"http://127.0.0.1:8080{path}")
    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]


@pytest.mark.parametrize("path", ["/v1/events/turn-7%2F", "/v1/events/turn%2F%2F7", "//", "/v1/"])
def test_a_slash_of_an_id_is_no_spare_one(gateway: "GatewayHarness", path: str) -> None:
    """What is escaped is not taken away, and an address that is none stays none."""
    answer = gateway.http.put(f"http://127.0.0.1:8080{path}", json={"feedback": {"rating": 1}})
    assert answer.status_code == 404
    assert gateway.transport.events == []


def test_counters_tell_what_happened(gateway: "GatewayHarness") -> None:
    """Requests by route and status, events by outcome, and nothing of the user's."""
    gateway.http.post("/v1/feedback", json=[THUMB, THUMB, {"value": 1}])
    gateway.http.get("/no-such-place?user=secret-user")

    text = gateway.http.get("/metrics").text

    assert 'afterword_gateway_requests_total{route="create_feedback",status="207"} 1.0' in text
    assert 'afterword_gateway_requests_total{route="none",status="404"} 1.0' in text
    assert 'afterword_gateway_events_total{outcome="accepted"} 2.0' in text
    assert 'afterword_gateway_events_total{outcome="no_target"} 1.0' in text
    assert "afterword_gateway_delivery_seconds_count 1.0" in text
    assert "afterword_gateway_requests_in_progress 1.0" in text
    assert "secret-user" not in text


def test_a_receipt_is_told(gateway: "GatewayHarness") -> None:
    """What is known of an event is answered, and what is not is left out."""
    gateway.receipts.known["default", FEEDBACK_ID] = Receipt(
        FEEDBACK_ID,
        ReceiptStatus.REJECTED,
        code="store_refused",
        path="$",
        detail="ClickHouse refused the row",
    )

    answer = gateway.http.get(f"/v1/feedback/{FEEDBACK_ID.upper()}").json()

    assert answer["feedback_id"] == FEEDBACK_ID
    assert (answer["status"], answer["code"], answer["path"]) == ("rejected", "store_refused", "$")
    assert "updated_at" not in answer


def test_receipts_that_cannot_be_looked_up_are_503(gateway: "GatewayHarness") -> None:
    """ClickHouse away is not the same as an event that is unknown."""
    gateway.receipts.away = "ClickHouse does not answer"
    answer = gateway.http.get(f"/v1/feedback/{FEEDBACK_ID}")

    assert answer.status_code == 503
    assert answer.json()["message"] == "ClickHouse does not answer"


def test_receipts_do_not_hold_up_readiness(gateway: "GatewayHarness") -> None:
    """Look-ups that hang leave a balancer its answer, and are bounded in number."""
    may_end = threading.Event()

    def find(_: str, feedback_id: str) -> Receipt:
        may_end.wait()
        return Receipt(feedback_id, ReceiptStatus.UNKNOWN)

    async def ask() -> list[int]:
        transport = ASGITransport(app=gateway.app, client=("127.0.0.1", 50_000))
        async with AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            asked = [http.get(f"/v1/feedback/{FEEDBACK_ID}") for _ in range(33)]
            waiting = [asyncio.create_task(one) for one in asked]
            (first,), _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            ready = await http.get("/readyz")
            may_end.set()
            answers = await asyncio.gather(*waiting)
        assert first.result().status_code == 503
        return [ready.status_code, *sorted(answer.status_code for answer in answers)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gateway.receipts, "find", find)
        assert asyncio.run(ask()) == [200] * 33 + [503]


def test_unknown_addresses_are_answered_in_json(gateway: "GatewayHarness") -> None:
    """404 has the shape of every answer."""
    answer = gateway.http.get("/v2/feedback")

    assert answer.status_code == 404
    assert answer.json()["errors"][0]["code"] == "not_found"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/feedback", "POST"),
        ("PATCH", f"/v1/feedback/{FEEDBACK_ID}", "DELETE, GET, HEAD, POST, PUT"),
        ("PUT", "/v1/beacon", "OPTIONS, POST"),
    ],
)
def test_405_names_every_method(
    gateway: "GatewayHarness", method: str, path: str, allowed: str
) -> None:
    """The methods of an address are told, whichever route has them."""
    answer = gateway.http.request(method, path)

    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_a_fault_of_the_gateways_own_is_500(gateway: "GatewayHarness") -> None:
    """It is answered without its insides, and the next request is served."""
    gateway.app.state.gateway.keys = None

    answer = gateway.http.post("/v1/feedback", json=THUMB)

    assert answer.status_code == 500
    assert answer.json()["errors"][0]["code"] == "internal_error"
    assert "NoneType" not in answer.text
    assert gateway.http.get("/healthz").status_code == 200
