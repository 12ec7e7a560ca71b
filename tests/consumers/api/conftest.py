"""The API on a real ClickHouse that holds the feedback of two projects."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from tests.consumers.api_harness import ApiHarness, make_row_at
from tests.databases import MigratedDatabases

from afterword_consumers.api import ApiOptions
from afterword_consumers.clickhouse.client import ClickHouse, ClickHouseAddress
from afterword_stack.local.clickhouse import ClickHouseNode


@pytest.fixture(scope="session")
def migrated(
    clickhouse: ClickHouseNode, databases: MigratedDatabases
) -> Callable[[], AbstractContextManager[ClickHouse]]:
    """A function that gives a connection to an empty database with all tables."""

    @contextmanager
    def make() -> Iterator[ClickHouse]:
        with databases.borrow() as name:
            opened = ClickHouse(ClickHouseAddress(clickhouse.host, clickhouse.port, name))
            yield opened
            opened.close()

    return make


Serve = Callable[..., AbstractContextManager[ApiHarness]]


@pytest.fixture(scope="session")
def serving(migrated: Callable[[], AbstractContextManager[ClickHouse]]) -> Serve:
    """A function that serves the API on a fresh database, with these options."""

    @contextmanager
    def serve(options: ApiOptions | None = None) -> Iterator[ApiHarness]:
        with migrated() as connection:
            served = ApiHarness(connection, options)
            with served.http:
                yield served

    return serve


@pytest.fixture
def api(serving: Serve) -> Iterator[ApiHarness]:
    """The API on an empty database, with the usual limits."""
    with serving() as served:
        yield served


@pytest.fixture(scope="session")
def row() -> Callable[..., dict[str, Any]]:
    """`row(1, feedback={"score": 3})`: see `make_row_at`."""
    return make_row_at
