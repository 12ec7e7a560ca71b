"""One request's way to ClickHouse: within its budget, and with an end from outside.

    database = BudgetedDatabase(connection, Budget(time_s=10))
    run_plan(plan, database, budget)      # in a thread
    database.stop()                              # from another one: nobody waits any longer

The time is that of the request: what one statement used, the next one lacks.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol
from uuid import uuid4

from afterword_consumers.api.errors import ApiError
from afterword_consumers.api.failures import away, out_of_time, timed_out
from afterword_consumers.query import Budget, Parameter, Table
from afterword_schemas import RetryableError

_MIN_S: Final = 0.01
_ENDING_S: Final = 60.0
"""What does not end in this time is not waited for: a place that nobody gives back serves nobody."""

_LOOK_EVERY_S: Final = 0.25
_RUNNING: Final = (
    "SELECT count() FROM system.processes WHERE Settings['log_comment'] = {tag:String}"
)
_KILL: Final = "KILL QUERY WHERE Settings['log_comment'] = {tag:String} ASYNC"

_log = logging.getLogger(__name__)


class Connection(Protocol):
    """ClickHouse, as `afterword_consumers.clickhouse.client.ClickHouse` is; safe across threads."""

    def query(
        self,
        sql: str,
        parameters: Mapping[str, Parameter],
        settings: Mapping[str, int | float | str],
    ) -> Table:
        """Run a query; raises `RetryableError`."""


class BudgetedDatabase:
    """A `Database` for one request.

    Args:
        connection: Where statements are run.
        budget: Of the request.
        clock: Seconds that never go back.
    """

    def __init__(
        self,
        connection: Connection,
        budget: Budget,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budget = budget
        self._connection, self._clock = connection, clock
        # A name of ours: chDB's server gives each statement an id of its own.
        self._tag = f"afterword-{uuid4().hex}"
        self._stopped = threading.Event()
        self._end_s: float | None = None
        self._answers = False  # to being told to end

    def query(
        self, sql: str, parameters: Mapping[str, Parameter], settings: Mapping[str, int | float]
    ) -> Table:
        """Run a statement as `Database` says.

        Raises:
            ApiError: The time is over, or ClickHouse hangs.
            RetryableError: As for the connection; `translate` says what it means.
        """
        if self._end_s is None:  # waiting for a place costs nothing
            self._end_s = self._clock() + self.budget.time_s
        left_s = self._end_s - self._clock()
        if left_s < _MIN_S or self._stopped.is_set():
            raise out_of_time(self.budget)
        own = {**settings, "max_execution_time": left_s, "log_comment": self._tag}
        try:
            return self._connection.query(sql, parameters, own)
        except RetryableError as error:
            if timed_out(error):  # where the connection gave up, ClickHouse may not have
                self.stop()
                self._wait_until_ended()
                raise self.late() from error
            if self._stopped.is_set():  # it was ended, as it should be
                raise out_of_time(self.budget) from error
            raise

    def stop(self) -> None:
        """End the statement that runs, if one does, and begin none any more."""
        self._stopped.set()
        try:
            self._connection.query(_KILL, {"tag": self._tag}, {})
        except RetryableError as error:
            _log.warning("a query that nobody waits for could not be ended: %s", error)
            self._answers = False
        else:
            self._answers = True

    def late(self) -> ApiError:
        """Return the answer where it took too long: the question was too much, or ClickHouse hangs."""
        return out_of_time(self.budget) if self._answers else away()

    def _wait_until_ended(self) -> None:
        """Wait as long as ClickHouse works on what it was told to end: it does not always look up."""
        give_up_s = self._clock() + _ENDING_S
        while self._answers and self._clock() < give_up_s:
            try:
                ((running,),) = self._connection.query(_RUNNING, {"tag": self._tag}, {}).rows
            except RetryableError:
                self._answers = False
                return
            if not running:
                return
            time.sleep(_LOOK_EVERY_S)
