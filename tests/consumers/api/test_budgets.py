"""What a request may cost, and that neither the API nor ClickHouse is the worse for one too costly."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from httpx2 import ASGITransport, AsyncClient
from tests.waiting import wait_until

from afterword_consumers.api import Api, ApiError, ApiOptions, budgets, create_api
from afterword_consumers.api.budgets import BudgetedDatabase
from afterword_consumers.clickhouse.client import ClickHouse, ClickHouseAddress
from afterword_consumers.query import Budget, Freshness, Table
from afterword_consumers.query.language.question import MAX_FILTERS
from afterword_schemas import RetryableError, UnreachableError

if TYPE_CHECKING:
    from tests.consumers.api.conftest import Serve
    from tests.consumers.api_harness import ApiHarness

pytestmark = pytest.mark.services

Row = Callable[..., dict[str, Any]]

ENDLESS = """
CREATE OR REPLACE VIEW feedback_current AS
SELECT f.* EXCEPT (is_deleted, version)
FROM feedback AS f CROSS JOIN numbers(100000000000000) AS copies
"""
"""Makes every question about feedback run for days."""

FOR_EVER = 10**15
SOON_S = 8.0  # less than ClickHouse takes to find a query too slow by itself


@pytest.fixture
def endless(serving: "Serve", row: Row) -> Iterator[Callable[..., "ApiHarness"]]:
    """A function that serves an API where each question runs for ever, with these options."""
    opened = []

    def serve(**options: Any) -> "ApiHarness":
        opened.append(serving(ApiOptions(**options)))
        served = opened[-1].__enter__()
        served.store(row(1, trace_id="tr-1", value=1, feedback={"score": 1}))
        served.clickhouse.command(ENDLESS)
        return served

    yield serve
    for one in opened:
        one.__exit__(None, None, None)


def running(api: "ApiHarness") -> int:
    """Return how many statements of questions run in this test's database."""
    sql = (
        "SELECT count() FROM system.processes WHERE current_database = currentDatabase() "
        "AND startsWith(Settings['log_comment'], 'afterword-')"
    )
    return int(api.clickhouse.query(sql).rows[0][0] or 0)


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("/api/query", {"measure": "feedback.score"}),
        ("/api/query", {"measure": "feedback.score", "group_by": "trace_id", "bucket": "day"}),
        ("/api/paths", {"measured": "true"}),
        ("/api/traces", {}),
        ("/api/traces/tr-1", {}),
        ("/api/status", {}),
    ],
)
def test_time_is_bounded(
    endless: Callable[..., "ApiHarness"], path: str, parameters: dict[str, str]
) -> None:
    """A request ends soon after its time, says which budget it was, and leaves nothing running."""
    api = endless(budget=Budget(time_s=0.3, read_rows=FOR_EVER))
    began_s = time.monotonic()

    error = api.refusal(path, 422, **parameters)

    assert 0.3 <= time.monotonic() - began_s < 5
    assert error["code"] == "time_budget"
    assert error["detail"] == "The query takes longer than the 0.3 s that it may."
    assert "since and until" in error["hint"]
    wait_until(lambda: running(api) == 0, SOON_S)
    assert api.get("/api/rejected", "acme") == {"rejected": [], "next": None}


@pytest.mark.parametrize(
    ("budget", "code", "told"),
    [
        (Budget(read_rows=5), "row_budget", "more than the 5 rows"),
        (Budget(memory_bytes=1_000), "memory_budget", "more than the 1,000 bytes of memory"),
        (Budget(result_rows=2), "result_budget", "larger than it may be"),
    ],
)
def test_rows_memory_and_answers_are_bounded(
    serving: "Serve", row: Row, budget: Budget, code: str, told: str
) -> None:
    """Each says which it was and what to write instead."""
    with serving(ApiOptions(budget=budget)) as api:
        api.store(*(row(n, trace_id=f"tr-{n}", feedback={"score": n}) for n in range(50)))
        error = api.refusal("/api/query", 422, measure="feedback.score", group_by="trace_id")
        assert (error["code"], told in error["detail"]) == (code, True)
        assert error["hint"].startswith("Narrow the period with since and until")
        assert api.clickhouse.query("SELECT 1").rows == ((1,),)


def test_how_much_is_stored_is_told_of_any_number(serving: "Serve", row: Row) -> None:
    """Who asks for the status has nothing to narrow."""
    with serving(ApiOptions(budget=Budget(read_rows=5))) as api:
        api.store(*(row(n) for n in range(50)))
        assert api.get("/api/status", "acme")["stored"] == 50


class SpyConnection:
    """A connection that notes how long each statement may take."""

    def __init__(self) -> None:
        self.times_s: list[float] = []

    def query(self, _: str, __: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
        """See `Connection`."""
        self.times_s.append(settings.get("max_execution_time", 0))
        return Table((), ())


def test_statements_share_the_time_of_their_request() -> None:
    """It begins with the first one; what one used, the next one lacks; then none is begun."""
    connection, now_s = SpyConnection(), [0.0]
    database = BudgetedDatabase(connection, Budget(time_s=10), clock=lambda: now_s[0])
    settings = Budget(time_s=10).settings()
    for at_s in (100.0, 104.0, 109.5):
        now_s[0] = at_s
        database.query("", {}, settings)
    now_s[0] = 110.0
    with pytest.raises(ApiError, match="longer than the 10 s"):
        database.query("", {}, settings)
    assert connection.times_s == [10.0, 6.0, 0.5]


def test_a_request_that_was_stopped_begins_nothing() -> None:
    """What runs is ended, and what would follow is not asked."""
    connection = SpyConnection()
    database = BudgetedDatabase(connection, Budget())
    database.stop()
    with pytest.raises(ApiError):
        database.query("", {}, {})
    assert connection.times_s == [0]  # of the statement that ends


class SilentConnection:
    """A connection on which a statement's answer does not come, and perhaps no other one.

    It answers that the statement still runs so many times as `lingers` says; None answers nothing.
    """

    def __init__(self, lingers: int | None) -> None:
        self.lingers = lingers

    def query(self, sql: str, _: Mapping[str, Any], __: Mapping[str, Any]) -> Table:
        """See `Connection`."""
        if self.lingers is not None and sql.startswith("KILL"):
            return Table((), ())
        if self.lingers is not None and "system.processes" in sql:
            self.lingers -= 1
            return Table(("count()",), ((int(self.lingers >= 0),),))
        raise UnreachableError("ClickHouse", "too late", timed_out=True)


@pytest.mark.parametrize(
    ("lingers", "expected"), [(0, (422, "time_budget")), (None, (503, "unavailable"))]
)
def test_a_silent_clickhouse_is_away_unless_it_can_end_the_query(
    lingers: int | None, expected: tuple[int, str]
) -> None:
    """It looks at the clock between two blocks, which may be long; one that hangs ends nothing."""
    database = BudgetedDatabase(SilentConnection(lingers), Budget())
    with pytest.raises(ApiError) as caught:
        database.query("SELECT 1", {}, {})
    assert (caught.value.status, caught.value.code) == expected


def test_a_query_that_lingers_keeps_its_thread_and_so_its_place() -> None:
    """What ClickHouse was told to end may go on for a while: nothing takes its place until it has ended."""
    connection = SilentConnection(lingers=2)
    database = BudgetedDatabase(connection, Budget())
    with pytest.raises(ApiError, match="takes longer"):
        database.query("SELECT 1", {}, {})
    assert connection.lingers == -1


def test_a_statement_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a minute, by the clock that it is given."""
    connection, now_s = SilentConnection(lingers=10**9), count(step=30)
    monkeypatch.setattr(budgets, "_LOOK_EVERY_S", 0)
    database = BudgetedDatabase(connection, Budget(time_s=600), clock=lambda: next(now_s))
    with pytest.raises(ApiError, match="takes longer"):
        database.query("SELECT 1", {}, {})
    assert connection.lingers == 10**9 - 1


def test_filters_are_counted(api: "ApiHarness") -> None:
    """Each costs planning that no budget bounds; fifty are more than people write."""
    most = [f"value > {number}" for number in range(MAX_FILTERS)]
    assert api.get("/api/query", "acme", measure="count", where=most)["series"] == []
    error = api.refusal("/api/query", 400, measure="count", where=[*most, "value > 50"])
    assert error["detail"] == "51 filters; a question has up to 50."


def test_an_answer_has_only_so_many_bytes(serving: "Serve", row: Row) -> None:
    """Few rows may be large, too: each value is a text of a person's."""
    with serving(ApiOptions(budget=Budget(result_bytes=100_000))) as api:
        api.store(*(row(n, feedback={"comment": f"{n:02}" * 2_000}) for n in range(50)))
        error = api.refusal("/api/query", 422, measure="feedback.comment", top="100")
        assert error["code"] == "result_budget"
        assert api.get("/api/query", "acme", measure="feedback.comment", top="5")["series"]


class Unknown:
    """A Kafka that does not answer."""

    def read(self) -> Freshness:
        """See `FreshnessSource`."""
        return Freshness(None, None)


@pytest.fixture
def hanging() -> Iterator[ClickHouse]:
    """One that takes connections, and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        clickhouse = ClickHouse(ClickHouseAddress(port=server.getsockname()[1], timeout_s=3))
        yield clickhouse
        clickhouse.close()


def test_a_clickhouse_that_hangs_holds_nobody_up(hanging: ClickHouse) -> None:
    """Each is answered in its time, also who has to wait while all places are taken."""
    budget = Budget(time_s=0.5)
    options = ApiOptions(budget=budget, silent_s=0.5, running=2, waiting=2)
    app = create_api(Api(hanging, admit=lambda _: None, freshness=Unknown(), options=options))

    async def ask() -> list[tuple[int, str]]:
        transport = ASGITransport(app=app)
        async with AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            found = await asyncio.gather(*(http.get("/api/traces") for _ in range(5)))
        return [(one.status_code, one.json()["error"]["code"]) for one in found]

    began_s = time.monotonic()
    answers = asyncio.run(ask())
    assert time.monotonic() - began_s < 8
    assert sorted(answers) == [(503, "busy")] * 3 + [(503, "unavailable")] * 2


def test_connecting_holds_no_other_database_up(hanging: ClickHouse, api: "ApiHarness") -> None:
    """Not even while the first connection of one is being made."""
    address = replace(api.clickhouse.address, timeout_s=20)
    with ThreadPoolExecutor(1) as threads:
        stuck = threads.submit(hanging.query, "SELECT 1")
        other = ClickHouse(address)
        assert other.query("SELECT 1").rows == ((1,),)
        other.close()
        assert not stuck.done()
        with pytest.raises(RetryableError, match="did not answer in time"):
            stuck.result()


def test_a_client_that_goes_away_frees_its_place(endless: Callable[..., "ApiHarness"]) -> None:
    """Its query is ended in ClickHouse, long before its time is over."""
    api = endless(budget=Budget(time_s=600, read_rows=FOR_EVER), running=1, waiting=0)

    async def ask_and_leave() -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []
        messages = iter([{"type": "http.request", "body": b"", "more_body": False}])

        async def receive() -> dict[str, Any]:
            for message in messages:
                return message
            await asyncio.to_thread(wait_until, lambda: running(api) == 1, SOON_S)
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/api/query",
            "query_string": b"measure=count",
            "headers": [],
        }
        await api.app(scope, receive, send)
        async with client(api) as http:
            await asyncio.to_thread(wait_until, lambda: running(api) == 0, SOON_S)
            async with asyncio.timeout(8):  # a moment later its thread has ended, too
                while (await http.get("/api/rejected")).status_code == 503:
                    await asyncio.sleep(0.01)
            assert (await http.get("/api/rejected")).status_code == 200
        return sent

    sent = asyncio.run(ask_and_leave())
    assert sent[0]["status"] == 499


def test_a_few_run_a_few_wait_and_the_rest_come_again(endless: Callable[..., "ApiHarness"]) -> None:
    """One too many gets 503 at once, with the time to wait; routes for operations are not held up."""
    api = endless(budget=Budget(time_s=600, read_rows=FOR_EVER), running=1, waiting=1)

    async def ask() -> None:
        async with client(api) as http:
            first = asyncio.create_task(http.get("/api/query?measure=count"))
            await asyncio.to_thread(wait_until, lambda: running(api) == 1, SOON_S)
            second = asyncio.create_task(http.get("/api/rejected"))
            await asyncio.sleep(0)  # it goes ahead of the third
            third = await http.get("/api/rejected")
            assert third.status_code == 503
            assert third.headers["retry-after"] == "2"
            assert third.json()["error"]["code"] == "busy"
            assert (await http.get("/api")).status_code == 200
            first.cancel()  # as its client would, or the second had to wait for ever
            assert (await second).status_code == 200

    asyncio.run(ask())


def client(api: "ApiHarness") -> AsyncClient:
    """Return a client for one event loop."""
    transport = ASGITransport(app=api.app, client=("127.0.0.1", 50_000))
    return AsyncClient(transport=transport, base_url="http://127.0.0.1")
