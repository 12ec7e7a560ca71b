"""The gateway's app on a transport in memory, called as an ASGI server would call it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from afterword import MemoryTransport
from afterword.gateway import GatewayOptions, KeyFile, Scope, create_app
from afterword_schemas.errors import StoreError
from afterword_schemas.receipt import Receipt, ReceiptStatus


@dataclass
class StoredReceipts:
    """Receipts that a test has written down, by project and id."""

    known: dict[tuple[str, str], Receipt] = field(default_factory=dict)
    away: str | None = None

    def find(self, project: str, feedback_id: str) -> Receipt:
        """See `Receipts.find`."""
        if self.away is not None:
            raise StoreError(self.away)
        unknown = Receipt(feedback_id, ReceiptStatus.UNKNOWN)
        return self.known.get((project, feedback_id), unknown)


@dataclass
class Served:
    """An app, what is behind it, and a client on this machine that calls it."""

    http: TestClient
    transport: MemoryTransport
    receipts: StoredReceipts
    keys: KeyFile
    ready: list[StoreError]

    def key(self, project: str, *scopes: Scope, origin: str | None = None) -> dict[str, str]:
        """Make a key and return the header that presents it."""
        origins = [] if origin is None else [origin]
        secret, _ = self.keys.create(project, scopes, origins=origins)
        return {"authorization": f"Bearer {secret}"}


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """A function that makes an app with these options, without keys."""
    clients: list[TestClient] = []

    def make(options: GatewayOptions | None = None) -> Served:
        transport, receipts = MemoryTransport(), StoredReceipts()
        keys = KeyFile(tmp_path / "keys.json")
        faults: list[StoreError] = []

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
        return Served(http, transport, receipts, keys, faults)

    yield make
    for http in clients:
        http.__exit__()


@pytest.fixture
def gateway(serve: Serve) -> Served:
    """An app with the default options, without keys."""
    return serve()
