"""The gateway's app on a transport in memory: called as an ASGI server would, or from a browser."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page
from starlette import types
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.testclient import TestClient
from tests.waiting import wait_until

from afterword import MemoryTransport
from afterword.gateway import (
    GatewayOptions,
    GatewayServer,
    KeyFile,
    Scope,
    ServerOptions,
    create_app,
)
from afterword.gateway.browser.ids import browser_id
from afterword_schemas.errors import RetryableError
from afterword_schemas.receipt import Receipt, ReceiptStatus


@dataclass
class StoredReceipts:
    """Receipts that a test has written down, by project and id."""

    known: dict[tuple[str, str], Receipt] = field(default_factory=dict)
    away: str | None = None

    def find(self, project: str, feedback_id: str) -> Receipt:
        """See `Receipts.find`."""
        if self.away is not None:
            raise RetryableError(self.away)
        unknown = Receipt(feedback_id, ReceiptStatus.UNKNOWN)
        return self.known.get((project, feedback_id), unknown)


@dataclass
class GatewayHarness:
    """An app, what is behind it, and a client on this machine that calls it."""

    app: Starlette
    http: TestClient
    transport: MemoryTransport
    receipts: StoredReceipts
    keys: KeyFile
    ready: list[RetryableError]

    def key(self, project: str, *scopes: Scope, origin: str | None = None) -> dict[str, str]:
        """Make a key and return the header that presents it."""
        origins = [] if origin is None else [origin]
        secret, _ = self.keys.create(project, scopes, origins=origins)
        return {"authorization": f"Bearer {secret}"}


Serve = Callable[..., GatewayHarness]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """A function that makes an app with these options, without keys."""
    clients: list[TestClient] = []

    def make(options: GatewayOptions | None = None) -> GatewayHarness:
        transport, receipts = MemoryTransport(), StoredReceipts()
        keys = KeyFile(tmp_path / "keys.json")
        faults: list[RetryableError] = []

        def ready() -> None:
            for fault in faults:
                raise fault

        app = create_app(transport, keys=keys, receipts=receipts, ready=ready, options=options)
        http = TestClient(
            app,
            base_url="http://127.0.0.1:8080",
            client=("127.0.0.1", 50_000),
            raise_server_exceptions=False,
        )
        http.__enter__()
        clients.append(http)
        return GatewayHarness(app.app, http, transport, receipts, keys, faults)

    yield make
    for http in clients:
        http.__exit__()


@pytest.fixture
def gateway(serve: Serve) -> GatewayHarness:
    """An app with the default options, without keys."""
    return serve()


_LOCKS_ARE_FREE = """
() => navigator.locks.query().then(({ held, pending }) => !held.length && !pending.length)
"""


class PageServer(ThreadingHTTPServer):
    """Web pages of an origin of their own, which may load and call the gateway and nothing else."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _PageRequest)
        self.pages: dict[str, str] = {}
        self.policy = "default-src 'none'"
        self.origin = f"http://127.0.0.1:{self.server_port}"


class _PageRequest(BaseHTTPRequestHandler):
    server: PageServer

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path)
        body = (page or "").encode()
        self.send_response(404 if page is None else 200)
        self.send_header("content-type", "text/html; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.send_header("content-security-policy", self.server.policy)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass
class BrowserHarness:
    """A gateway on a socket, and a web site whose pages load its script.

    Attributes:
        address: Of the gateway.
        transport: What it publishes through.
        key: Publishes for project `acme`, from this site, 60 events a minute.
        public_key: Likewise, from everywhere, 5 events a minute.
        pages: The web site.
        posts: What browsers sent, and the answer: `cors 200` with `fetch`, `no-cors 200` with a beacon.
    """

    address: str
    transport: MemoryTransport
    key: str
    public_key: str
    pages: PageServer
    posts: list[str]

    @property
    def events(self) -> list[dict[str, Any]]:
        """What was published, without what the gateway adds."""
        added = {"project", "updated_at"}
        return [
            {name: event[name] for name in event if name not in added}
            for event in self.transport.events
        ]

    def stored(self, own_id: str) -> str:
        """Return the id under which an event of the script is stored, that names no user."""
        return browser_id("acme", own_id)

    def page(self, body: str = "", *, key: str | None = None) -> str:
        """Make a page of a script tag and this the site's, and return its address.

        Args:
            body: What follows the script tag.
            key: Of the script tag, which has none for an empty text.
        """
        key = self.key if key is None else key
        attribute = f'data-key="{key}"' if key else ""
        script = f'<script src="{self.address}/afterword.js" {attribute} defer></script>'
        return self.show(script + body)

    def show(self, html: str) -> str:
        """Likewise, with the address of the gateway for that of the examples."""
        address = r"https://gateway\.example\.com|http://127\.0\.0\.1:8080"
        self.pages.pages["/"] = "<!doctype html>" + re.sub(address, self.address, html)
        return self.pages.origin

    def advance(self, tab: Page, seconds: float) -> None:
        """Put the clock of the pages forward, and wait until all requests of this are answered."""
        tab.clock.fast_forward(round(seconds * 1000))
        self.rest(tab)

    def rest(self, tab: Page) -> None:
        """Wait until no tab sends, nor waits for its turn; on plain HTTP it cannot be told."""
        wait_until(lambda: tab.evaluate(_LOCKS_ARE_FREE) is True)

    def wait(self, count: int) -> list[dict[str, Any]]:
        """Wait until at least so many events were published, and return them."""
        wait_until(lambda: len(self.events) >= count)
        return self.events


@pytest.fixture
def site(tmp_path: Path) -> Iterator[BrowserHarness]:
    """A gateway with a publish key, and a web site."""
    with PageServer() as pages:
        keys = KeyFile(tmp_path / "site-keys.json")
        key, public_key = (
            keys.create("acme", [Scope.PUBLISH], origins=[origin], events_per_minute=limit)[0]
            for origin, limit in ((pages.origin, 60), ("*", 5))
        )
        with _serve_site(pages, keys, key, public_key) as site:
            yield site


@pytest.fixture
def open_site(tmp_path: Path) -> Iterator[BrowserHarness]:
    """A gateway without keys, and a web site of this machine."""
    keys = KeyFile(tmp_path / "no-keys.json")
    with PageServer() as pages, _serve_site(pages, keys, key="", public_key="") as site:
        yield site


@contextmanager
def _serve_site(
    pages: PageServer, keys: KeyFile, key: str, public_key: str
) -> Iterator[BrowserHarness]:
    transport = MemoryTransport()
    app = create_app(transport, keys=keys, receipts=StoredReceipts(), ready=lambda: None)
    posts: list[str] = []

    async def noted(scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
        async def note(message: types.Message) -> None:
            if message["type"] == "http.response.start" and scope["method"] == "POST":
                posts.append(f"{Headers(scope=scope)['sec-fetch-mode']} {message['status']}")
            await send(message)

        await app(scope, receive, note)

    server = GatewayServer(noted, ServerOptions(host="127.0.0.1", port=0))
    pages.policy += f"; script-src {server.address}; connect-src {server.address}"
    serve_pages = partial(pages.serve_forever, poll_interval=0.01)
    threads = [threading.Thread(target=serve) for serve in (server.run, serve_pages)]
    for thread in threads:
        thread.start()
    yield BrowserHarness(server.address, transport, key, public_key, pages, posts)
    server.should_exit = True
    pages.shutdown()
    for thread in threads:
        thread.join()


@pytest.fixture
def visitor(browser: Browser) -> Iterator[BrowserContext]:
    """A person with an empty browser, whose clock a test puts forward; no page may raise an error."""
    context = browser.new_context()
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    context.clock.install()
    context.clock.pause_at(time.time() + 1)
    yield context
    context.close()
    assert errors == []


@pytest.fixture
def open_tab(visitor: BrowserContext, site: BrowserHarness) -> Callable[..., Page]:
    """A function that opens a page of the site in a new tab; arguments as for `Site.page`."""

    def open_page(body: str = "", **options: str) -> Page:
        tab = visitor.new_page()
        tab.goto(site.page(body, **options))
        return tab

    return open_page


@pytest.fixture
def warnings(visitor: BrowserContext) -> list[str]:
    """What pages warned of on the console, each without its stack, as far as playwright has read it."""
    return _console(visitor, "warning")


@pytest.fixture
def informed(visitor: BrowserContext) -> list[str]:
    """What pages said on the console without warning of it."""
    return _console(visitor, "info")


def _console(visitor: BrowserContext, kind: str) -> list[str]:
    written: list[str] = []

    def keep(message: ConsoleMessage) -> None:
        if message.type == kind:
            written.append(message.text.partition("\n")[0])

    visitor.on("console", keep)
    return written
