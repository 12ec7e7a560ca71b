"""Answers that are given again as long as nothing was stored since.

    connection = ReusingConnection(clickhouse)
    connection.query(sql, parameters, settings)     # asks ClickHouse
    connection.query(sql, parameters, settings)     # looks only whether there is anything new

Before each answer the table is asked for its newest block and mutation, which takes a few milliseconds. An answer is
kept with what that was before it was read, so it is never older than what was stored when it is given again. Merges
change neither. Of a distributed table the blocks are elsewhere, so its answers are not kept.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from afterword_consumers.api.budgets import Connection
from afterword_consumers.query import Parameter, Table

MAX_ANSWERS: Final = 256
_MAX_CELLS: Final = 50_000
"""Of an answer that is kept: larger ones are files that nobody asks for twice."""

_OF_ONE_REQUEST: Final = frozenset({"max_execution_time", "log_comment"})
_READS_FEEDBACK: Final = ("feedback_current", "FROM feedback FINAL", "FROM feedback\n")
_READS_THE_CLOCK: Final = ("now(", "now64(", "today(", "ingested_at >=")
"""What is asked with another time each time, and so never again."""

_VERSION: Final = """\
SELECT sum(newest), sum(mutated), count()
FROM (
    -- The version of a part that no mutation has written is one of its own blocks.
    SELECT max(max_block_number) AS newest, sumIf(data_version, data_version > max_block_number) AS mutated
    FROM system.parts
    WHERE active AND database = currentDatabase() AND table = 'feedback'
    GROUP BY partition_id
)"""

_Version = tuple[object, ...]
_Key = tuple[str, tuple[tuple[str, Parameter], ...], tuple[tuple[str, int | float | str], ...]]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What was answered, and what the table had before."""

    version: _Version
    table: Table


class ReusingConnection:
    """A connection that gives answers about feedback again; safe across threads.

    Args:
        connection: Where statements are run.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._answers: OrderedDict[_Key, _Answer] = OrderedDict()

    def query(
        self,
        sql: str,
        parameters: Mapping[str, Parameter],
        settings: Mapping[str, int | float | str],
    ) -> Table:
        """Run a query, or give its answer again; raises `RetryableError`."""
        if not _may_be_kept(sql):
            return self._connection.query(sql, parameters, settings)
        version = self._version(settings)
        own = tuple(sorted((k, v) for k, v in settings.items() if k not in _OF_ONE_REQUEST))
        key: _Key = (sql, tuple(sorted(parameters.items())), own)
        with self._lock:
            kept = self._answers.get(key)
            if kept is not None and kept.version == version:
                self._answers.move_to_end(key)
                return kept.table
        table = self._connection.query(sql, parameters, settings)
        if version is not None and len(table.rows) * len(table.columns) <= _MAX_CELLS:
            with self._lock:
                self._answers[key] = _Answer(version, table)
                self._answers.move_to_end(key)
                while len(self._answers) > MAX_ANSWERS:
                    self._answers.popitem(last=False)
        return table

    def _version(self, settings: Mapping[str, int | float | str]) -> _Version | None:
        """Return what the table holds by its newest block and mutation; None of one that has no parts here."""
        ((newest, mutated, partitions),) = self._connection.query(_VERSION, {}, settings).rows
        return (newest, mutated, partitions) if partitions else None


def _may_be_kept(sql: str) -> bool:
    return any(name in sql for name in _READS_FEEDBACK) and not any(
        name in sql for name in _READS_THE_CLOCK
    )
