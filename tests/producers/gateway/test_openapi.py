"""The OpenAPI document: valid, complete, and true of the running gateway."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate
from schemathesis.specs.openapi.checks import positive_data_acceptance

from afterword import MemoryTransport
from afterword.gateway import GatewayServer, KeyFile, ServerOptions, create_app
from afterword.gateway.openapi.document import openapi
from afterword_schemas.receipt import Receipt, ReceiptStatus

if TYPE_CHECKING:
    from starlette.routing import Route
    from tests.producers.gateway.conftest import GatewayHarness

pytestmark = pytest.mark.slow


class NoReceipts:
    """Knows nothing."""

    def find(self, _: str, feedback_id: str) -> Receipt:
        """See `Receipts.find`."""
        return Receipt(feedback_id, ReceiptStatus.UNKNOWN)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where a gateway runs."""
    app = create_app(
        MemoryTransport(),
        keys=KeyFile(Path("no-such-file")),
        receipts=NoReceipts(),
        ready=lambda: None,
    )
    server = GatewayServer(app, ServerOptions(host="127.0.0.1", port=0))
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server.address
    server.should_exit = True
    thread.join()


# An item that breaks the schema among good ones is refused by itself: 207.
_REFUSED = ["207", *(str(status) for status in range(400, 432)), "5xx"]
_CONFIG = {"checks": {"negative_data_rejection": {"expected-statuses": _REFUSED}}}

schemathesis.openapi.media_type("application/x-protobuf", st.binary())
schema = schemathesis.openapi.from_dict(openapi(), config=schemathesis.Config.from_dict(_CONFIG))


def test_document_is_valid_openapi() -> None:
    """A validator of OpenAPI 3.1 finds no fault."""
    validate(openapi())


def test_every_route_is_described(gateway: "GatewayHarness") -> None:
    """Each address with each method of the app stands in the document, and nothing else does."""
    routes = {
        (route.path, method.lower())
        for route in cast("list[Route]", gateway.app.routes)
        for method in (route.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {
        (path, method)
        for path, operations in openapi()["paths"].items()
        for method in operations
        if method != "parameters"
    }
    assert described == routes


@schema.parametrize()
@settings(max_examples=20, suppress_health_check=list(HealthCheck))
def test_gateway_does_what_the_document_says(address: str, case: Any) -> None:
    """Whatever fits the document or does not, the answer is one that it describes, and never a 500."""
    # What no schema can say, such as that an event needs a target, is refused with 422.
    case.call_and_validate(base_url=address, excluded_checks=[positive_data_acceptance])
