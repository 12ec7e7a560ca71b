"""Which feedback is exported: the filters of a query, without its measure.

    Selection(project="acme", where=("feedback.rating = false",), since="7d")

Every export reads `feedback_current`, so each feedback is there once, in its latest state, and none that
was taken back; in order of project and id, so that the same feedback makes the same file.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from afterword_consumers.query import Budget, Database, Parameter, Question, read_storage
from afterword_consumers.query.answer.diagnosis import explain_nothing, find_unknown_path
from afterword_consumers.query.compile.parameters import Parameters
from afterword_consumers.query.compile.selection import conditions
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


@dataclass(frozen=True, slots=True)
class Selection:
    """Which feedback; the attributes are those of `Question`.

    Raises:
        QuestionError: A filter, a time or a name is written as none can be.
    """

    project: str | None = None
    where: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        _question(self)


def select(columns: str, selection: Selection, parameters: Parameters, *, now: datetime) -> str:
    """Return the query for some columns of the feedback selected, without an order.

    Raises:
        QuestionError: A filter compares a column with what it cannot be, or `since` is not before
            `until`.
    """
    filters = conditions(_question(selection), parameters, now) or ["true"]
    return f"SELECT {columns}\nFROM feedback_current\nWHERE " + "\n  AND ".join(filters)


def count(selection: Selection, database: Database, *, now: datetime) -> int:
    """Return how many feedback events are selected; errors as for `select`."""
    parameters = Parameters()
    sql = select("count()", selection, parameters, now=now)
    ((events,),) = database.query(sql, parameters.values, SETTINGS).rows
    return int(events or 0)


def explain_empty(selection: Selection, database: Database) -> tuple[str, list[str]]:
    """Return a sentence why nothing is selected, and paths that may have been meant."""
    question, settings = _question(selection), Budget().settings()
    storage = read_storage(question, database, settings)
    return explain_nothing(question, database, storage, settings)


def explain_missing(path: str, selection: Selection, database: Database) -> tuple[str, list[str]]:
    """Return a sentence where no feedback of the project has a path, and those that may have been meant."""
    question = Question(COUNT, project=selection.project, group_by=(path,))
    settings = Budget().settings()
    return find_unknown_path(
        question, database, read_storage(question, database, settings), settings
    )


def _question(selection: Selection) -> Question:
    return Question(
        COUNT,
        project=selection.project,
        where=selection.where,
        since=selection.since,
        until=selection.until,
        timezone=selection.timezone,
    )
