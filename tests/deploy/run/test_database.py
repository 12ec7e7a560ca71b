"""Opening the database: what ClickHouse refuses is said in words that help, on the real engine."""

from collections.abc import Callable

import pytest

from afterword_consumers.clickhouse.client import ClickHouseAddress
from afterword_schemas import RetryableError
from afterword_stack.run.database import (
    missing_migrations,
    open_database,
    patience,
    prepare_database,
)
from afterword_stack.settings import Settings
from afterword_stack.terminal import console

pytestmark = pytest.mark.services


@pytest.mark.parametrize(
    ("sql", "limits", "much"),
    [
        (
            "SELECT sleepEachRow(0.1) FROM numbers(600) SETTINGS max_block_size = 1",
            {"max_execution_time": 0.2},
            "time",
        ),
        (
            "SELECT uniqExact(number) FROM numbers(10000000)",
            {"max_memory_usage": 10_000_000},
            "memory",
        ),
    ],
    ids=["time", "memory"],
)
def test_a_query_over_its_budget_says_how_to_ask_for_less(
    settings: Settings, sql: str, limits: dict[str, float], much: str
) -> None:
    """Time and memory have an end, and what is said then is what to write instead."""
    with pytest.raises(RetryableError) as failure, open_database(settings.clickhouse) as clickhouse:
        clickhouse.query(sql, {}, limits)
    assert str(failure.value) == (
        f"The query takes too much {much}. A shorter period (--since, --until) or --approximate is "
        "cheaper, and so are paths with a column of their own (`afterword promote PATH`)."
    )


def test_a_command_may_read_any_number_of_rows(settings: Settings) -> None:
    """A command's query is bounded by time and memory, as what it reads is its user's own."""
    budget = patience(settings.clickhouse)
    with open_database(settings.clickhouse) as clickhouse:
        table = clickhouse.query(
            "SELECT count() FROM numbers(1100000000) WHERE number >= 0", {}, budget.settings()
        )
    assert table.rows == ((1_100_000_000,),)
    assert 0 < budget.time_s < settings.clickhouse.timeout_s


@pytest.mark.parametrize("look", [missing_migrations, prepare_database])
def test_a_wait_for_the_database_is_said_once(
    settings: Settings,
    look: Callable[[ClickHouseAddress], object],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Although it takes two connections: one to the server, one to the database."""
    monkeypatch.setattr(console, "_MOMENT_S", 0.0)
    assert look(settings.clickhouse) == []
    assert capsys.readouterr().err.count("waiting for ClickHouse at ") == 1
