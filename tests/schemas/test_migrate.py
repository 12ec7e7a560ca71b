"""Migrations run once each, in order, and a history that does not fit stops everything."""

import re
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest

from afterword_schemas import ConfigurationError
from afterword_schemas.migrate import Migration, migrate, migrations, pending

migrate_module: Any = import_module("afterword_schemas.migrate")

FIRST = Migration("0001_first", ("CREATE a", "CREATE b"), "sum1")
SECOND = Migration("0002_second", ("CREATE c",), "sum2")


class FakeDatabase:
    """Remembers statements and the record of migrations; fails at a statement on demand."""

    def __init__(self, *, fails_at: str = "") -> None:
        self.fails_at = fails_at
        self.ran: list[str] = []
        self.record: list[tuple[str, str]] = []

    def command(self, sql: str) -> None:
        """Run a statement that answers nothing."""
        if sql == self.fails_at:
            raise ConnectionError
        recorded = re.fullmatch(
            r"INSERT INTO schema_migrations \(name, checksum\) VALUES \('(.+)', '(.+)'\)", sql
        )
        if recorded:
            self.record.append((recorded[1], recorded[2]))
        elif "schema_migrations" not in sql:
            self.ran.append(sql)

    def select(self, sql: str) -> Sequence[Sequence[object]]:
        """Answer with what was recorded."""
        if "system.tables" in sql:
            return [[1]] if self.record else []
        assert sql == "SELECT name, checksum FROM schema_migrations FINAL"
        return self.record


@pytest.fixture(autouse=True)
def two_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """This version has two migrations."""
    monkeypatch.setattr(migrate_module, "migrations", lambda _=None: [FIRST, SECOND])


def test_all_run_once_and_in_order() -> None:
    """The second time there is nothing to do."""
    database = FakeDatabase()
    assert migrate(database) == ["0001_first", "0002_second"]
    assert database.ran == ["CREATE a", "CREATE b", "CREATE c"]
    assert database.record == [("0001_first", "sum1"), ("0002_second", "sum2")]
    assert migrate(database) == []
    assert database.ran == ["CREATE a", "CREATE b", "CREATE c"]


def test_only_what_is_missing_runs() -> None:
    """A database of an earlier version gets the later files alone."""
    database = FakeDatabase()
    database.record = [("0001_first", "sum1")]
    assert pending(database) == [SECOND]
    assert migrate(database) == ["0002_second"]
    assert database.ran == ["CREATE c"]


def test_migration_cut_off_is_run_again() -> None:
    """What failed is not recorded, what was done before it is; a second call goes on there."""
    database = FakeDatabase(fails_at="CREATE b")
    with pytest.raises(ConnectionError):
        migrate(database)
    assert database.record == []
    database.fails_at = ""
    assert migrate(database) == ["0001_first", "0002_second"]
    assert database.ran == ["CREATE a", "CREATE a", "CREATE b", "CREATE c"]


def test_asking_runs_nothing() -> None:
    """`pending` only looks."""
    database = FakeDatabase()
    assert pending(database) == [FIRST, SECOND]
    assert (database.ran, database.record) == ([], [])


def test_later_version_stops() -> None:
    """An old worker does not touch the tables of a new one."""
    database = FakeDatabase()
    database.record = [("0001_first", "sum1"), ("0002_second", "sum2"), ("0009_later", "sum9")]
    with pytest.raises(ConfigurationError, match=r"later version of Afterword \(0009_later\)"):
        migrate(database)
    assert database.ran == []


def test_changed_file_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file edited after it was applied is named, and nothing runs."""
    database = FakeDatabase()
    database.record = [("0001_first", "sum1")]
    edited = replace(FIRST, checksum="other")
    monkeypatch.setattr(migrate_module, "migrations", lambda _=None: [edited, SECOND])
    with pytest.raises(ConfigurationError, match="Migration 0001_first differs"):
        migrate(database)
    assert database.ran == []


def test_files_are_numbered_without_gaps() -> None:
    """The order of the names is the order of the numbers."""
    numbers = [migration.name.split("_")[0] for migration in migrations()]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]


def test_every_statement_can_be_run_twice() -> None:
    """A migration that was cut off is repeated from its start."""
    again = r"CREATE (TABLE|VIEW) IF NOT EXISTS |CREATE OR REPLACE |ALTER TABLE \w+\s+((ADD|DROP) \w+ IF|MODIFY SETTING) "
    for migration in migrations():
        for statement in migration.sql:
            assert re.match(again, statement), f"{migration.name}: {statement[:60]}"
            assert not statement.endswith(";")


def test_statements_are_split_and_comments_dropped() -> None:
    """A semicolon at a line's end parts statements, one within a line does not."""
    text = "-- why; because\nSELECT ';' ;\n  -- next;\nSELECT 2\n  -- inside;\n  + 1;\n"
    assert migrate_module._parse("0001_x", text, None).sql == ("SELECT ';'", "SELECT 2\n\n  + 1")
