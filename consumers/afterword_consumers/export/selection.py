"""Which feedback is exported: the filters of a query, without its measure.

    selection = parse_selection(now, project="acme", where=("feedback.rating = false",), since="7d")

Every export reads `feedback_current`, so each feedback is there once, in its latest state, and none that
was taken back; in order of project and id, so that the same feedback makes the same file.
"""

from collections.abc import Generator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final, Protocol

from afterword_consumers.query import (
    Budget,
    Database,
    Parameter,
    Plan,
    Question,
    parse,
    read_storage,
)
from afterword_consumers.query.answer.diagnosis import explain_nothing, find_unknown_path
from afterword_consumers.query.compile.conditions import conditions
from afterword_consumers.query.compile.parameters import Parameters
from afterword_consumers.query.compile.source import Source
from afterword_consumers.query.language.fields import resolve
from afterword_consumers.query.language.question import COUNT

SETTINGS: Final[Mapping[str, int | float]] = {
    "readonly": 2,  # 1 would forbid the other settings in the same request
    "max_memory_usage": 4 * 2**30,
    # Rows may be long: fewer at a time, and sorting goes to disk before it fills the memory.
    "max_block_size": 8192,
    "max_bytes_before_external_sort": 2**30,
}
"""What an export runs under: it may take as long as it takes, but not all memory."""

ORDER: Final = "ORDER BY project, toUInt128(feedback_id)"
"""The table's own order, in which its parts are read side by side and never sorted as a whole."""


class StreamingDatabase(Database, Protocol):
    """A database that can also answer piece by piece."""

    def stream(
        self,
        sql: str,
        parameters: Mapping[str, Parameter],
        settings: Mapping[str, int | float],
        form: str,
    ) -> Generator[bytes, None, None]:
        """Run a query and yield its answer in a format of ClickHouse's."""


def parse_selection(  # one for each option
    now: datetime,
    *,
    project: str | None = None,
    where: tuple[str, ...] = (),
    since: str | None = None,
    until: str | None = None,
    timezone: str = "UTC",
) -> Plan:
    """Read which feedback is exported; the arguments are those of `Question`, and `now` of `parse`.

    Raises:
        QuestionError: A filter, a time or a name is written as none can be.
    """
    return parse(Question(COUNT, project, (), where, since, until, timezone=timezone), now)


def select(columns: str, selection: Plan, parameters: Parameters) -> str:
    """Return the query for some columns of the feedback selected, without an order."""
    filters = conditions(selection, Source(parameters)) or ["true"]
    return f"SELECT {columns}\nFROM feedback_current\nWHERE " + "\n  AND ".join(filters)


def count(selection: Plan, database: Database) -> int:
    """Return how many feedback events are selected."""
    parameters = Parameters()
    sql = select("count()", selection, parameters)
    ((events,),) = database.query(sql, parameters.values, SETTINGS).rows
    return int(events or 0)


def explain_empty(selection: Plan, database: Database) -> tuple[str, list[str]]:
    """Return a sentence why nothing is selected, and paths that may have been meant."""
    settings = Budget().settings()
    storage = read_storage(selection, database, settings)
    return explain_nothing(selection, database, storage, settings)


def explain_missing(path: str, selection: Plan, database: Database) -> tuple[str, list[str]]:
    """Return a sentence where no feedback of the project has a path, and those that may have been meant."""
    plan = replace(selection, groups=(resolve(path),), filters=())
    settings = Budget().settings()
    return find_unknown_path(plan, database, read_storage(plan, database, settings), settings)
