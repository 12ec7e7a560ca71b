"""Say what a failure of ClickHouse means to whoever asks: a budget that is used up, or a part that is away.

What ClickHouse says names hosts, databases and statements; it goes to the log, not to the holder of a key.
Nor do hints name settings, which only the operator can change.
"""

import logging
from typing import Final

from afterword_consumers.api.errors import ApiError, ErrorCode
from afterword_consumers.query import Budget
from afterword_schemas import RetryableError, UnreachableError

RETRY_AFTER_S: Final = 2
"""What a client is told to wait where another try may do better."""

_NARROW: Final = "Narrow the period with since and until where the route takes them"
_RETRY: Final = {"retry-after": str(RETRY_AFTER_S)}

_TIME: Final = frozenset({159, 160})  # TIMEOUT_EXCEEDED, TOO_SLOW
_ROWS: Final = frozenset({158})  # TOO_MANY_ROWS
_MEMORY: Final = frozenset({241})  # MEMORY_LIMIT_EXCEEDED
_RESULT: Final = frozenset({396})  # TOO_MANY_ROWS_OR_BYTES
# UNKNOWN_FUNCTION (a view with parameters), UNKNOWN_IDENTIFIER, UNKNOWN_TABLE, UNKNOWN_DATABASE
_TABLES: Final = frozenset({46, 47, 60, 81})
_NO_ENTRY: Final = frozenset({192, 193, 194, 497, 516})  # UNKNOWN_USER to AUTHENTICATION_FAILED
_TOO_MANY_QUERIES: Final = 202
_BUSY: Final = frozenset({_TOO_MANY_QUERIES, 394})  # and QUERY_WAS_CANCELLED

_log = logging.getLogger(__name__)


def translate(error: RetryableError, budget: Budget) -> ApiError:
    """Return what is answered where ClickHouse raised an error; writes the error to the log."""
    code = error.store_code
    if code in _MEMORY and "(total)" in str(error):  # the server's memory, not this query's
        code = _TOO_MANY_QUERIES
    if over := _over_budget(code, budget):
        return over
    _log.warning("ClickHouse: %s", error)
    if code in _TABLES:
        return ApiError(
            503,
            ErrorCode.TABLES_MISSING,
            "The database lacks tables of Afterword, or has old ones.",
            "Its operator runs `afterword migrate`.",
            _RETRY,
        )
    if code in _BUSY:
        return busy("ClickHouse has too much to do.")
    if code is None:
        return away()
    if code in _NO_ENTRY:
        return away("does not let Afterword in")
    return ApiError(
        500,
        ErrorCode.INTERNAL_ERROR,
        f"ClickHouse refused the query (code {code}).",
        "Please report it to the operator, whose log says why.",
    )


def timed_out(error: RetryableError) -> bool:
    """Whether the connection gave up waiting: for a long query, or for a ClickHouse that hangs."""
    return isinstance(error, UnreachableError) and error.timed_out


def away(how: str = "does not answer") -> ApiError:
    """Return the answer where ClickHouse cannot be asked."""
    return ApiError(
        503,
        ErrorCode.UNAVAILABLE,
        f"ClickHouse {how}.",
        "Ask again soon; the operator sees why in the log and with `afterword doctor`.",
        _RETRY,
    )


def busy(detail: str) -> ApiError:
    """Return the answer to one request too many."""
    return ApiError(503, ErrorCode.BUSY, detail, "Ask again after Retry-After.", _RETRY)


def out_of_time(budget: Budget) -> ApiError:
    """Return the answer to a request whose time is over."""
    return _over(
        ErrorCode.TIME_BUDGET,
        f"The query takes longer than the {budget.time_s:g} s that it may.",
        f"{_NARROW}, write approximate=true for percentiles, or let the operator promote the path.",
    )


def _over_budget(code: int | None, budget: Budget) -> ApiError | None:
    if code in _TIME:
        return out_of_time(budget)
    if code in _ROWS:
        return _over(
            ErrorCode.ROW_BUDGET,
            f"The query reads more than the {budget.read_rows:,} rows that it may.",
            f"{_NARROW}.",
        )
    if code in _MEMORY:
        return _over(
            ErrorCode.MEMORY_BUDGET,
            f"The query needs more than the {budget.memory_bytes:,} bytes of memory that it may use.",
            f"{_NARROW}, group by less, or write approximate=true for percentiles.",
        )
    if code in _RESULT:
        return _over(
            ErrorCode.RESULT_BUDGET,
            "The answer is larger than it may be.",
            f"{_NARROW}, or write a larger bucket, a smaller top or a smaller limit.",
        )
    return None


def _over(code: ErrorCode, detail: str, hint: str) -> ApiError:
    return ApiError(422, code, detail, hint)
