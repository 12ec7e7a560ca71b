"""A database on the real ClickHouse, filled by the worker's own code, and files read back."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from tests.consumers.kafka.one_fetch import ingest

from afterword_consumers.clickhouse.client import ClickHouse, ClickHouseAddress
from afterword_stack.local.clickhouse import ClickHouseNode

NOW = datetime(2026, 2, 10, tzinfo=UTC)


@pytest.fixture
def stored(clickhouse: ClickHouseNode, migrated_database: str) -> Iterator[ClickHouse]:
    """A connection to a migrated, empty database."""
    connection = ClickHouse(ClickHouseAddress(clickhouse.host, clickhouse.port, migrated_database))
    yield connection
    connection.close()


@pytest.fixture
def now() -> datetime:
    """The time that durations count from."""
    return NOW


@pytest.fixture
def publish(stored: ClickHouse) -> Callable[[Sequence[bytes]], None]:
    """Give what takes events as a worker does, each under its id as key; none may be refused."""
    return partial(ingest, stored)


@pytest.fixture
def say(publish: Callable[[Sequence[bytes]], None]) -> Callable[..., None]:
    """`say({"feedback": …}, {…})`: store events that are numbered from 1, of trace `t` unless they say."""

    def store(*events: dict[str, Any]) -> None:
        publish(
            [
                json.dumps(
                    {
                        "feedback_id": f"5f0e2f0a-0000-4000-8000-{number:012}",
                        "project": "acme",
                        "trace_id": "t",
                        "created_at": "2026-01-31T09:30:00Z",
                        "updated_at": "2026-01-31T09:30:00.125Z",
                        **event,
                    }
                ).encode()
                for number, event in enumerate(events, start=1)
            ]
        )

    return store
