"""One engine in this process, a fresh migrated database for each test, rows made in one line."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import chdb
import pytest
from tests.consumers.stored_rows import make_row

from afterword_consumers.query import Cell, Parameter, Question, Table, answer_question
from afterword_schemas.migrate import migrate

NOW: Final = datetime(2026, 2, 10, tzinfo=UTC)
_ESCAPES: Final = {"\\": "\\\\", "\t": "\\t", "\n": "\\n"}


class Engine:
    """ClickHouse in this process, as the `Database` of questions and the target of migrations."""

    def __init__(self, folder: str) -> None:
        self._connection = chdb.connect(folder)
        self._databases = 0
        self._changed = True

    def start_over(self) -> None:
        """Go on in an empty, migrated database: the same, unless its tables were changed."""
        if not self._changed:
            for table in ("feedback", "feedback_rejected", "feedback_paths"):
                self._connection.query(f"TRUNCATE TABLE {table}")
            return
        self.command(f"DROP DATABASE IF EXISTS test_{self._databases} SYNC")
        self._databases += 1
        self.command(f"CREATE DATABASE test_{self._databases}")
        self.command(f"USE test_{self._databases}")
        migrate(self)
        self._changed = False

    def command(self, sql: str) -> None:
        """Run a statement."""
        self._changed |= not sql.lstrip().upper().startswith(("INSERT", "TRUNCATE"))
        self._connection.query(sql)

    def select(self, sql: str) -> Sequence[Sequence[object]]:
        """Run a query without parameters."""
        return self.query(sql, {}, {}).rows

    def query(
        self, sql: str, parameters: Mapping[str, Parameter], settings: Mapping[str, int | float]
    ) -> Table:
        """Run a query as questions do; text is escaped as ClickHouse's TSV is."""
        escaped = {
            name: "".join(_ESCAPES.get(character, character) for character in value)
            if isinstance(value, str)
            else value
            for name, value in parameters.items()
        }
        if settings:
            sql += "\nSETTINGS " + ", ".join(
                f"{name} = {value}" for name, value in settings.items()
            )
        result = self._connection.query(sql, "JSONCompactEachRowWithNames", params=escaped)
        names, *rows = [json.loads(line) for line in result.bytes().splitlines()]
        return Table(tuple(names), tuple(tuple(row) for row in rows))

    def replace(self, batches: Sequence[Sequence[Mapping[str, Any]]]) -> None:
        """Make table `feedback` hold these inserts and nothing else."""
        self.command("TRUNCATE TABLE feedback")
        for batch in batches:
            lines = "\n".join(json.dumps(row) for row in batch)
            self.command(f"INSERT INTO feedback FORMAT JSONEachRow {lines}")


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The engine, opened once: a process can have chDB open at one path only."""
    opened = Engine(str(tmp_path_factory.mktemp("engine")))
    yield opened
    opened._connection.close()


@pytest.fixture
def analytics(engine: Engine) -> Engine:
    """An empty, migrated database."""
    engine.start_over()
    return engine


@pytest.fixture
def row() -> Callable[..., dict[str, Any]]:
    """`row(1, feedback={"score": 3})`: see `make_row`."""
    return make_row


@pytest.fixture
def store(analytics: Engine) -> Callable[..., None]:
    """`store([row(1)], [row(2)])`: the database holds these inserts and nothing else."""
    return lambda *batches: analytics.replace(batches)


@pytest.fixture
def ask(analytics: Engine) -> Callable[..., list[dict[str, Cell]]]:
    """`ask("feedback.score", top=3)`: the rows of the only series there is, by column name."""

    def answer_rows(measure: str, **fields: Any) -> list[dict[str, Cell]]:
        found = answer_question(Question(measure, **fields), analytics, NOW)
        assert len(found.series) <= 1
        return [
            dict(zip([column.name for column in series.columns], cells, strict=True))
            for series in found.series
            for cells in series.rows
        ]

    return answer_rows


@pytest.fixture
def run(analytics: Engine) -> Callable[[str], None]:
    """Run a statement that answers nothing."""
    return analytics.command
