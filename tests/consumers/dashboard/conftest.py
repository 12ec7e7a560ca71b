"""The pages on a real ClickHouse, asked as whoever a test says."""

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from tests.consumers.api_harness import ApiHarness, of
from tests.consumers.stored_rows import make_row
from tests.databases import MigratedDatabases

from afterword.gateway import GatewayServer, ServerOptions
from afterword_consumers.api import Api, Pages
from afterword_consumers.api.cached_read import CachedRead
from afterword_consumers.clickhouse.client import ClickHouse, ClickHouseAddress
from afterword_consumers.dashboard import PageOptions, create_pages
from afterword_consumers.query import Freshness
from afterword_stack.local.clickhouse import ClickHouseNode

GATEWAY = "http://gateway.test:8080"


class PageHarness(ApiHarness):
    """The pages beside the API."""

    def pages(self, api: Api) -> Pages:
        """Return the pages."""
        self.api, self.now = api, datetime.now(UTC)
        return create_pages(PageOptions(GATEWAY, "kafka.test:9092"))

    def say(self, freshness: Freshness) -> None:
        """Let Kafka say this from now on."""
        self.kafka.freshness = freshness
        self.api.freshness = CachedRead(self.kafka.read, kept_s=0)

    def refresh(self) -> None:
        """Let Kafka say that all is stored."""
        self.say(Freshness(datetime.now(UTC), 0, lags={0: 0, 1: 0}))

    def give(self, number: int, days_ago: float, **fields: Any) -> dict[str, Any]:
        """Return the row of a feedback that was given so many days ago."""
        return make_row(number, created_at=self.now - timedelta(days=days_ago), **fields)

    def page(self, path: str, asker: str | None = None, /, status: int = 200, **args: Any) -> str:
        """Return the HTML that is answered."""
        answer = self.http.get(path, params=args or None, headers=of(asker))
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "unsafe" not in answer.headers["content-security-policy"]
        return answer.text


def title_of(html: str) -> str:
    """Return the finding at the head of a page."""
    found = re.search(r"<h1>(.*?)</h1>", html, re.DOTALL)
    assert found is not None
    return found[1].replace("\N{NO-BREAK SPACE}", " ").strip()


@contextmanager
def serve(node: ClickHouseNode, databases: MigratedDatabases) -> Iterator[PageHarness]:
    """Give the pages on an empty database."""
    with databases.borrow() as name:
        opened = ClickHouse(ClickHouseAddress(node.host, node.port, name))
        served = PageHarness(opened)
        with served.http:
            yield served
        opened.close()


@pytest.fixture
def pages(clickhouse: ClickHouseNode, databases: MigratedDatabases) -> Iterator[PageHarness]:
    """The pages on an empty database."""
    with serve(clickhouse, databases) as served:
        yield served


@contextmanager
def listen(pages: PageHarness) -> Iterator[str]:
    """Serve the pages for a browser; give their address."""
    stop = pages.app.state.pages.stop
    server = GatewayServer(
        pages.app, ServerOptions(host="127.0.0.1", port=0, at_shutdown=stop, shutdown_s=5)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server.address
    server.should_exit = True
    thread.join()


def month(pages: PageHarness) -> list[Mapping[str, Any]]:
    """Return four weeks of feedback on three models, of which `aurora-2` got worse a week ago."""
    rows: list[Mapping[str, Any]] = []
    models = {"aurora-1": 0.75, "aurora-2": 0.82, "borealis-1": 0.66}
    for number in range(1200):
        days_ago = 27.9 * (1 - number / 1200)
        model = list(models)[number % 3]
        share = models[model] - (0.4 if model == "aurora-2" and days_ago < 7 else 0)
        is_up = (number * 7919) % 1000 < share * 1000
        source = "implicit" if number % 11 == 0 else "explicit"
        said: dict[str, Any] = {"rating": is_up, "step1": {"latency_ms": 300 + number % 700}}
        if number % 11 == 0:
            said = {"regenerated" if number % 2 else "copied": True}
        elif number % 10 == 0:
            said |= {"comment": "wrong currency" if not is_up else "exactly what I needed"}
        elif number % 13 == 0:
            said |= {
                "ground_truth": "Oslo",
                "edits": [{"original": "in Bergen", "value": "in Oslo"}],
            }
        rows.append(
            pages.give(
                number,
                days_ago,
                trace_id=f"t-{number // 2}",
                session_id=f"s-{number // 8}",
                user_id=f"u-{number % 50}",
                prompt=f"prompt-{number % 2}",
                source=source,
                value=(1 if is_up else -1) if source == "explicit" else None,
                feedback=said,
                metadata={"model": model},
                metrics={"accuracy": 0.5} if number % 17 == 0 else None,
            )
        )
    return rows


@pytest.fixture(scope="module")
def full(clickhouse: ClickHouseNode, databases: MigratedDatabases) -> Iterator[PageHarness]:
    """The pages of four weeks of feedback, and of some rejected messages; for tests that only look."""
    with serve(clickhouse, databases) as pages:
        pages.store(*month(pages))
        for offset in range(3):
            pages.reject(
                offset,
                b'{"vlaue": 4, "project": "acme"}',
                path="$.vlaue",
                rejected_at=(pages.now - timedelta(hours=offset)).timestamp(),
            )
        yield pages


@pytest.fixture(autouse=True)
def fresh(request: pytest.FixtureRequest) -> None:
    """What Kafka says is as fresh as can be, unless a test says otherwise."""
    for name in {"full", "pages"} & set(request.fixturenames):
        request.getfixturevalue(name).refresh()


Open = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    """A function that opens a page; nothing may be wrong on the console, and no request may leave the host."""
    problems: list[str] = []
    contexts = []

    def open_page(url: str, width: int = 1440, theme: str = "light", **options: Any) -> Page:
        size = {"width": width, "height": 900}
        context = browser.new_context(viewport=size, color_scheme=theme, **options)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: note(request.url))
        answer = page.goto(url)
        assert answer is not None
        assert answer.status == 200
        return page

    def note(url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "data:")):
            problems.append(url)

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []
