"""`afterword dashboard`: the API with the gateway's keys, on its server, over real sockets."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pytest
from tests.waiting import wait_until

from afterword.gateway import KeyFile, Scope
from afterword_consumers.clickhouse.client import ClickHouse
from afterword_stack.run.dashboard import open_dashboard
from afterword_stack.settings import Settings

if TYPE_CHECKING:
    from tests.deploy.conftest import Afterword, InProcessPipeline

pytestmark = pytest.mark.services

EVENT = '{"feedback_id": "5f0e2f0a-0000-4000-8000-00000000000%d", "project": "%s", "trace_id": "%s", "value": %d}'
TRACE_ID = "50%25 of /a"


class Dashboard:
    """One that serves in a thread, and its keys."""

    def __init__(self, address: str, keys: KeyFile) -> None:
        self.address, self.keys = address, keys

    def key(self, project: str, scope: Scope = Scope.READ) -> dict[str, str]:
        """Make a key and return the header that presents it."""
        return {"authorization": f"Bearer {self.keys.create(project, [scope])[0]}"}

    def get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Return status and JSON of what is answered."""
        request = urllib.request.Request(f"{self.address}{path}", headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())


@contextmanager
def serving(settings: Settings) -> Iterator[Dashboard]:
    """Serve on any port."""
    settings = settings.model_copy(update={"dashboard_port": 0})
    keys = KeyFile(settings.gateway_keys_file)
    with open_dashboard(settings, keys) as server:
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield Dashboard(server.address, keys)
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def dashboard(settings: Settings) -> Iterator[Dashboard]:
    """One on this test's topic and database, without keys."""
    with serving(settings) as served:
        yield served


def test_the_dashboard_answers_about_what_workers_stored(
    dashboard: Dashboard, pipeline: "InProcessPipeline"
) -> None:
    """From the topic to the JSON, with a freshness that Kafka confirms."""
    events = [EVENT % (number, "acme", TRACE_ID, number) for number in (1, 2)]
    pipeline.publish(*(event.encode() for event in events), b"no JSON")
    assert pipeline.ingest(3) == (2, 1)

    status, found = dashboard.get("/api/query?measure=value&project=acme")
    assert (status, found["series"][0]["rows"][0][:2]) == (200, [2, 3])
    assert found["freshness"]["waiting"] == 0
    assert found["freshness"]["complete_until"] is not None
    _, trace = dashboard.get(f"/api/traces/{quote(TRACE_ID, safe='')}")
    assert sorted(one["value"] for one in trace["feedback"]) == [1, 2]
    _, told = dashboard.get("/api/status")
    assert told["stored"] == 2
    assert {one["lag"] for one in told["lag"]} == {0}
    assert told["rejected_24h"] == [{"code": "invalid_json", "count": 1}]
    _, refused = dashboard.get("/api/rejected?payload=true")
    assert refused["rejected"][0]["payload"] == "no JSON"


def test_command_line_api_and_view_agree(
    dashboard: Dashboard,
    pipeline: "InProcessPipeline",
    afterword: "Afterword",
    database_of: ClickHouse,
) -> None:
    """One question, three ways in: the same numbers; the view's interval is as near as statistics.md says."""
    pipeline.publish(
        *((EVENT % (number, "acme", "tr-1", number)).encode() for number in range(1, 8))
    )
    pipeline.ingest(7)
    _, answered = dashboard.get("/api/query?measure=value&group_by=trace_id&project=acme")
    printed = afterword("query", "value", "-g", "trace_id", "-p", "acme", "-f", "json")
    (from_api,), (from_cli,) = answered["series"], json.loads(printed.out)["series"]
    assert from_api == from_cli

    names = [column["name"] for column in from_api["columns"]]
    answer = dict(zip(names, from_api["rows"][0], strict=True))
    shared = [name for name in names if name not in {"group_1", "other_groups", "is_small"}]
    ((group, *numbers),) = database_of.query(
        f"SELECT group, {', '.join(shared)} FROM number_stats(project = 'acme', path = 'value', "
        "group_by = 'trace_id', since = '2020-01-01', until = '2030-01-01')"
    ).rows
    from_view = dict(zip(shared, numbers, strict=True))
    half = (answer["avg_high"] - answer["avg_low"]) / 2
    for end in ("avg_low", "avg_high"):
        assert from_view.pop(end) == pytest.approx(answer[end], rel=0, abs=5e-5 * half)
    assert (group, from_view) == (answer["group_1"], {name: answer[name] for name in from_view})


def test_a_key_sees_its_project(dashboard: Dashboard, pipeline: "InProcessPipeline") -> None:
    """The first key ends the time without; each sees its own, and no other scope sees anything."""
    events = [
        EVENT % (number, name, "tr-1", number) for number, name in ((1, "acme"), (2, "other"))
    ]
    pipeline.publish(*(event.encode() for event in events))
    pipeline.ingest(2)
    acme, other = dashboard.key("acme"), dashboard.key("other")

    for project, key, value in (("acme", acme, 1), ("other", other, 2)):
        status, trace = dashboard.get("/api/traces/tr-1", key)
        assert (status, [one["value"] for one in trace["feedback"]]) == (200, [value])
        assert dashboard.get(f"/api/status?project={project}", key)[1]["stored"] == 1

    status, refusal = dashboard.get("/api/status?project=other", acme)
    assert (status, refusal["error"]["detail"]) == (403, "The key is for project acme.")
    status, refusal = dashboard.get("/api/status", dashboard.key("acme", Scope.WRITE))
    assert (status, refusal["error"]["code"]) == (403, "forbidden")
    status, refusal = dashboard.get("/api/status")
    assert (status, refusal["error"]["code"]) == (401, "unauthorized")
    assert "--scope read" in refusal["error"]["hint"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost"}, 200),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 200),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
        ({"sec-fetch-site": "same-origin", "sec-fetch-mode": "no-cors"}, 200),
        ({"host": "evil.example.com"}, 403),
        ({"origin": "https://evil.example.com"}, 403),
        ({"x-forwarded-for": "127.0.0.1"}, 403),
    ],
)
def test_without_keys_web_pages_stay_out(
    dashboard: Dashboard, headers: dict[str, str], status: int
) -> None:
    """A page of another site, or a name that points here, is not this machine."""
    assert dashboard.get("/api/status", headers)[0] == status


def test_operations_are_as_the_gateways(dashboard: Dashboard) -> None:
    """Alive, ready, counted under a name of its own, described, each answer with its trace."""
    dashboard.key("acme")  # none of these takes one
    assert dashboard.get("/healthz") == (200, {"status": "ok"})
    assert dashboard.get("/readyz") == (200, {"status": "ok"})
    assert dashboard.get("/openapi.json")[1]["info"]["title"] == "Afterword dashboard"
    dashboard.get("/api/query?measure=count")
    with urllib.request.urlopen(f"{dashboard.address}/metrics") as answer:
        text = answer.read().decode()
        assert answer.headers["x-trace-id"]
    assert 'afterword_dashboard_requests_total{route="query",status="401"} 1.0' in text


def test_the_dashboard_is_ready_once_there_are_tables(settings: Settings) -> None:
    """Until then it lives, and says what to run."""
    with serving(settings.model_copy(update={"clickhouse_database": "nowhere"})) as dashboard:
        status, told = dashboard.get("/readyz")
        assert (status, "afterword migrate" in told["detail"]) == (503, True)
        status, told = dashboard.get("/api/query?measure=count")
        assert (status, told["error"]["code"]) == (503, "tables_missing")
        assert dashboard.get("/healthz")[0] == 200


def test_the_dashboard_outlives_the_parts_behind_it(settings: Settings) -> None:
    """ClickHouse away is 503 with a sentence that names no host."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    away = settings.model_copy(update={"clickhouse_url": f"http://127.0.0.1:{port}"})
    with serving(away) as dashboard:
        for path in ("query?measure=count", "paths", "traces", "traces/t", "status", "rejected"):
            status, told = dashboard.get(f"/api/{path}")
            assert (status, told["error"]["code"]) == (503, "unavailable")
            assert str(port) not in json.dumps(told)
        status, told = dashboard.get("/readyz")
        assert (status, told["detail"]) == (
            503,
            "ClickHouse is away; its operator runs `afterword doctor`.",
        )


def test_a_clickhouse_that_hangs_is_told_in_time(settings: Settings) -> None:
    """It takes connections and never says a word: 503 for questions and for whoever looks."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        hung = settings.model_copy(update={"clickhouse_url": url, "dashboard_query_time_s": 1.0})
        with serving(hung) as dashboard:
            began_s = time.monotonic()
            assert dashboard.get("/readyz")[0] == 503
            assert time.monotonic() - began_s < 5
            status, told = dashboard.get("/api/paths")
            assert (status, told["error"]["code"]) == (503, "unavailable")
            assert time.monotonic() - began_s < 13


def test_what_is_no_request_is_told_in_the_same_shape(dashboard: Dashboard) -> None:
    """Also where the server answers before the app does."""
    address = urlsplit(dashboard.address)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        heard = b"".join(iter(lambda: connection.recv(65_536), b""))
    head, _, body = heard.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["error"]["code"] == "invalid_http"


def test_a_closed_connection_frees_its_place(settings: Settings, database_of: ClickHouse) -> None:
    """Over a real socket: the query ends in ClickHouse, and the next one is answered."""
    database_of.command(
        "INSERT INTO feedback (project, feedback_id, trace_id) VALUES ('p', generateUUIDv7(), 't')"
    )
    database_of.command(
        "CREATE OR REPLACE VIEW feedback_current AS SELECT f.* EXCEPT (is_deleted, version) "
        "FROM feedback AS f CROSS JOIN numbers(100000000000000) AS copies"
    )
    few = {"dashboard_running_queries": 1, "dashboard_waiting_queries": 0}
    patient = {"dashboard_query_time_s": 600.0, "dashboard_query_read_rows": 10**15}
    with serving(settings.model_copy(update=few | patient)) as dashboard:
        address = urlsplit(dashboard.address)
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall(b"GET /api/query?measure=count HTTP/1.1\r\nhost: localhost\r\n\r\n")
            wait_until(lambda: running(database_of))
            assert dashboard.get("/api/rejected")[0] == 503
        wait_until(lambda: not running(database_of))
        # A moment later its thread has ended, too.
        wait_until(lambda: dashboard.get("/api/rejected")[0] == 200)


def running(clickhouse: ClickHouse) -> bool:
    """Whether a query of the dashboard's runs in this test's database."""
    sql = (
        "SELECT count() FROM system.processes WHERE current_database = currentDatabase() "
        "AND Settings['log_comment'] != ''"
    )
    return bool(clickhouse.query(sql).rows[0][0])


class Process:
    """The command in a process of its own."""

    def __init__(self, **settings: str) -> None:
        environment = {f"AFTERWORD_{name.upper()}": value for name, value in settings.items()}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "afterword_stack", "dashboard"],
            env={**os.environ, "AFTERWORD_DASHBOARD_PORT": "0", **environment},
            stderr=subprocess.PIPE,
            text=True,
        )

    def heard(self) -> str:
        """Return the next line that it says."""
        assert self.process.stderr is not None
        return self.process.stderr.readline().rstrip()


@pytest.fixture
def start(settings: Settings) -> Iterator[Callable[..., Process]]:
    """A function that starts a process, which is ended after the test."""
    assert settings.kafka_topic
    processes: list[Process] = []

    def begin(**variables: str) -> Process:
        processes.append(Process(**variables))
        return processes[-1]

    yield begin
    for one in processes:
        one.process.kill()
        one.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_dashboard_serves_until_a_signal(
    start: Callable[..., Process], number: signal.Signals
) -> None:
    """At the address that it prints, and a signal ends it with status 0."""
    dashboard = start()
    assert dashboard.heard().startswith("answering from http://127.0.0.1:")
    found = re.match(r"(http://\S+) serves this machine alone, as there is no ", dashboard.heard())
    assert found
    with urllib.request.urlopen(f"{found[1]}/api/status") as answer:
        assert json.loads(answer.read())["stored"] == 0
    dashboard.process.send_signal(number)
    _, err = dashboard.process.communicate(timeout=30)
    assert (dashboard.process.returncode, err.splitlines()[-1]) == (0, "stopped")


def test_the_dashboard_starts_before_there_are_tables(start: Callable[..., Process]) -> None:
    """It says what to run."""
    dashboard = start(clickhouse_database="nowhere")
    assert dashboard.heard().startswith("The tables are missing or old. Run `afterword migrate`.")


def test_the_dashboard_without_keys_serves_only_the_loopback(
    afterword: "Afterword", settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another address than the loopback wants keys first, and the hint says how."""
    assert settings.kafka_topic
    monkeypatch.setenv("AFTERWORD_DASHBOARD_HOST", "0.0.0.0")
    ran = afterword("dashboard")
    assert ran.status == 2
    assert "Without keys the dashboard serves this machine only" in ran.err
    assert "afterword keys create --project NAME --scope read" in ran.err


def test_a_taken_port_is_named(
    afterword: "Afterword", settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the settings that change it."""
    assert settings.kafka_topic
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("AFTERWORD_DASHBOARD_PORT", str(taken.getsockname()[1]))
        ran = afterword("dashboard")
    assert ran.status == 2
    assert "AFTERWORD_DASHBOARD_PORT" in ran.err
