"""Errors sort by what the catcher does next, and cross a process border whole."""

import pickle

import pytest

from afterword_schemas import (
    AccessError,
    AfterwordError,
    ConfigurationError,
    InvalidEventError,
    RejectCode,
    RetryableError,
    RowsRejectedError,
    UnreachableError,
)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (InvalidEventError(RejectCode.TOO_DEEP, "$.a", "too deep"), "too deep [too_deep at $.a]"),
        (RetryableError("the server is gone"), "the server is gone"),
        (RetryableError("there is no such table", 60), "there is no such table"),
        (RowsRejectedError("no such column"), "no such column"),
        (UnreachableError("Kafka", "nobody there"), "nobody there"),
        (UnreachableError("Kafka", "too late", timed_out=True), "too late"),
        (AccessError("No way in.", "Set a password.", 516), "No way in. Set a password."),
        (ConfigurationError("No broker."), "No broker."),
        (ConfigurationError("No broker.", "Start one."), "No broker. Start one."),
    ],
)
def test_error_survives_pickling(error: AfterwordError, sentence: str) -> None:
    """Type, attributes and sentence come back as they were."""
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert vars(copy) == vars(error)
    assert str(copy) == str(error) == sentence


def test_rejected_rows_are_never_retried() -> None:
    """What catches `RetryableError` to try again does not catch them."""
    assert not issubclass(RowsRejectedError, RetryableError)
    assert not issubclass(InvalidEventError, RetryableError)
    assert all(
        issubclass(kind, AfterwordError)
        for kind in (InvalidEventError, RetryableError, ConfigurationError)
    )


def test_codes_are_written_as_dashboards_group_them() -> None:
    """A code's value is its name in lower case, and it prints as the value."""
    assert all(code.value == code.name.lower() for code in RejectCode)
    assert f"{RejectCode.TOO_DEEP}" == "too_deep"
