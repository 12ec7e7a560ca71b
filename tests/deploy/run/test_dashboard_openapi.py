"""The dashboard's OpenAPI document: valid, complete, and true of one that runs."""

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from openapi_spec_validator import validate
from schemathesis.specs.openapi.checks import positive_data_acceptance
from starlette.applications import Starlette
from starlette.routing import Route

from afterword.gateway import GatewayServer, KeyFile
from afterword_consumers.clickhouse.client import ClickHouse
from afterword_stack.local.clickhouse import ClickHouseNode
from afterword_stack.local.kafka import KafkaNode
from afterword_stack.run.dashboard import open_dashboard
from afterword_stack.run.dashboard_openapi import dashboard_openapi
from afterword_stack.run.database import prepare_database
from afterword_stack.settings import Settings

pytestmark = pytest.mark.services

_REFUSED = [*(str(status) for status in range(400, 432)), "5xx"]
# 406 is for a header, which the document does not generate: a path that looks like no trace's id is 404.
_CONFIG = {"checks": {"negative_data_rejection": {"expected-statuses": _REFUSED}}}

schema = schemathesis.openapi.from_dict(
    dashboard_openapi(), config=schemathesis.Config.from_dict(_CONFIG)
)


@pytest.fixture(scope="module")
def server(
    kafka: KafkaNode, clickhouse: ClickHouseNode, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayServer]:
    """A dashboard over some feedback and a refused message."""
    topic = f"test-{uuid.uuid4().hex}"
    kafka.create_topic(topic, partitions=2)
    found = Settings(
        kafka_bootstrap_servers=kafka.bootstrap_servers,
        kafka_topic=topic,
        clickhouse_url=clickhouse.url,
        clickhouse_database=f"test_{uuid.uuid4().hex}",
        gateway_keys_file=Path("no-such-file"),
        dashboard_port=0,
    )
    prepare_database(found.clickhouse)
    connection = ClickHouse(found.clickhouse)
    connection.command(
        "INSERT INTO feedback (project, feedback_id, trace_id, source, value, weight, numbers, strings) "
        "SELECT 'acme', generateUUIDv7(), concat('tr-', toString(number % 3)), 'explicit', number % 5, 1, "
        "map('feedback.score', number), map('metadata.model', 'm', 'feedback.ground_truth', 'g') "
        "FROM numbers(10)"
    )
    connection.command(
        "INSERT INTO feedback_rejected (kafka_topic, topic_id, kafka_partition, code, payload) "
        "VALUES ('t', 'T', 0, 'wrong_type', '{}')"
    )
    connection.command(
        "INSERT INTO feedback_paths (project, path, type) "
        "VALUES ('acme', 'feedback.score', 'number'), ('acme', 'metadata.model', 'string')"
    )
    with open_dashboard(found, KeyFile(found.gateway_keys_file)) as opened:
        thread = threading.Thread(target=opened.run)
        thread.start()
        yield opened
        opened.should_exit = True
        thread.join()
    connection.command(f"DROP DATABASE {found.clickhouse_database} SYNC")
    connection.close()


def test_document_is_valid_openapi() -> None:
    """A validator of OpenAPI 3.1 finds no fault."""
    validate(dashboard_openapi())


def test_every_route_is_described(server: GatewayServer) -> None:
    """Each address with each method of the app stands in the document, and nothing else does."""
    app = cast("Any", server.config.app).app
    assert isinstance(app, Starlette)
    routes = {
        (route.path.replace(":path", ""), method.lower())
        for route in app.routes
        if isinstance(route, Route) and route.path in app.state.own_paths
        for method in (route.methods or set()) - {"HEAD"}
    }
    described = {
        (path, method)
        for path, operations in dashboard_openapi()["paths"].items()
        for method in operations
        if method != "parameters"
    }
    assert described == routes


@schema.parametrize()
@settings(max_examples=10, suppress_health_check=list(HealthCheck))
def test_dashboard_does_what_the_document_says(server: GatewayServer, case: Any) -> None:
    """Whatever fits the document or does not, the answer is one that it describes, and never a 500."""
    # What no schema can say, such as that a measure is a path, is refused with 400.
    case.call_and_validate(base_url=server.address, excluded_checks=[positive_data_acceptance])
