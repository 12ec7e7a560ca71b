"""What a failure of ClickHouse means to whoever asks, and what they are not told."""

import logging

import pytest

from afterword_consumers.api.failures import translate
from afterword_consumers.clickhouse.client import ClickHouse, ClickHouseAddress
from afterword_consumers.query import Budget
from afterword_schemas import RetryableError

SAID = "Received ClickHouse exception, code: {0}, server response: Code: {0}. DB::Exception: {1} (for url http://secret-host:8123)"


@pytest.mark.parametrize(
    ("code", "text", "status", "told"),
    [
        (159, "Timeout exceeded (TIMEOUT_EXCEEDED)", 422, "time_budget"),
        (160, "Estimated query execution time is too long (TOO_SLOW)", 422, "time_budget"),
        (158, "Limit for rows exceeded (TOO_MANY_ROWS)", 422, "row_budget"),
        (241, "Query memory limit exceeded (MEMORY_LIMIT_EXCEEDED)", 422, "memory_budget"),
        (241, "(total) memory limit exceeded (MEMORY_LIMIT_EXCEEDED)", 503, "busy"),
        (396, "Limit for result exceeded (TOO_MANY_ROWS_OR_BYTES)", 422, "result_budget"),
        (60, "Unknown table secret_table (UNKNOWN_TABLE)", 503, "tables_missing"),
        (81, "Database secret_db does not exist (UNKNOWN_DATABASE)", 503, "tables_missing"),
        (47, "Unknown identifier secret_column (UNKNOWN_IDENTIFIER)", 503, "tables_missing"),
        (202, "Too many simultaneous queries", 503, "busy"),
        (394, "Query was cancelled", 503, "busy"),
        (516, "secret_user: Authentication failed", 503, "unavailable"),
        (497, "secret_user: Not enough privileges", 503, "unavailable"),
        (43, "Illegal type of secret_argument", 500, "internal_error"),
    ],
)
def test_each_code_has_its_answer(
    caplog: pytest.LogCaptureFixture, code: int, text: str, status: int, told: str
) -> None:
    """With what to do about it, and without ClickHouse's own words."""
    with caplog.at_level(logging.WARNING):
        error = translate(RetryableError(SAID.format(code, text), code), Budget())
    assert (error.status, error.code) == (status, told)
    assert "secret" not in f"{error.detail} {error.hint}"
    assert "AFTERWORD_" not in error.hint
    assert error.hint
    assert ("retry-after" in error.headers) == (status == 503)
    assert ("secret" in caplog.text) == (status != 422)


def test_a_code_that_speaks_of_rows_is_a_fault_of_ours() -> None:
    """No question holds rows that could be wrong."""
    error = translate(RetryableError("TYPE_MISMATCH (code 53)", 53), Budget())
    assert (error.status, error.code) == (500, "internal_error")


def test_a_server_that_does_not_answer_is_away() -> None:
    """Nothing listens where it should be."""
    nowhere = ClickHouse(ClickHouseAddress(port=1))
    with pytest.raises(RetryableError) as caught:
        nowhere.query("SELECT 1")
    error = translate(caught.value, Budget())
    assert (error.status, error.code) == (503, "unavailable")
    assert error.detail == "ClickHouse does not answer."
