"""Bring a database to this version's tables and views: numbered SQL, each once, in order.

    migrate(connection)        # ["0001_tables", "0002_current"], and [] the second time

A file that was applied is recorded with its checksum and never edited afterwards: a change is a
new file. Every statement can be run twice, so a migration that was cut off is simply run again.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Protocol

from afterword_schemas.cluster import clustered
from afterword_schemas.errors import ConfigurationError

_RECORD = """\
CREATE TABLE IF NOT EXISTS schema_migrations
(
    name       String,
    checksum   String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree ORDER BY name
"""


class SqlConnection(Protocol):
    """A ClickHouse database that runs one statement at a time."""

    def command(self, sql: str) -> None:
        """Run a statement that answers nothing."""

    def select(self, sql: str) -> Sequence[Sequence[object]]:
        """Run a query and return its rows."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file.

    Attributes:
        name: `0001_tables`; the number gives the order.
        sql: Its statements, in the order in which they are run.
        checksum: SHA-256 of the file, in hexadecimal.
    """

    name: str
    sql: tuple[str, ...]
    checksum: str


def migrations(cluster: str | None = None) -> list[Migration]:
    """Read the migrations of this version, in order, in the form for a cluster if one is named."""
    folder = files("afterword_schemas") / "sql"
    sources = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return [
        _parse(f.name.removesuffix(".sql"), f.read_text(encoding="utf-8"), cluster) for f in sources
    ]


def pending(connection: SqlConnection, cluster: str | None = None) -> list[Migration]:
    """List what `migrate` would run; changes nothing.

    Args:
        connection: The database.
        cluster: Of which the database is; the statements take the form for it.

    Raises:
        ConfigurationError: A file that was applied has been changed since, or the database was migrated
            by a later version.
    """
    recorded = connection.select(
        "SELECT 1 FROM system.tables WHERE database = currentDatabase() AND name = 'schema_migrations'"
    )
    rows = recorded and connection.select("SELECT name, checksum FROM schema_migrations FINAL")
    applied = {str(name): str(checksum) for name, checksum in rows}
    known = migrations(cluster)
    _check_history(applied, known)
    return [migration for migration in known if migration.name not in applied]


def migrate(connection: SqlConnection, cluster: str | None = None) -> list[str]:
    """Run the migrations that the database lacks; arguments and errors as for `pending`.

    Returns:
        The names of those that were run, in order.
    """
    todo = pending(connection, cluster)
    for statement in plan(todo, cluster):
        connection.command(statement)
    return [migration.name for migration in todo]


def plan(todo: Sequence[Migration], cluster: str | None = None) -> list[str]:
    """Return every statement that `migrate` runs for some migrations, the record included."""
    statements = [_RECORD] if cluster is None else clustered(_RECORD, cluster)
    for migration in todo:
        record = f"VALUES ('{migration.name}', '{migration.checksum}')"
        statements += migration.sql
        statements.append(f"INSERT INTO schema_migrations (name, checksum) {record}")
    return [statement.strip() for statement in statements]


def _parse(name: str, text: str, cluster: str | None) -> Migration:
    bare = re.sub(r"^\s*--.*$", "", text, flags=re.MULTILINE)
    statements = [part.strip() for part in bare.split(";\n") if part.strip()]
    if cluster is not None:
        statements = [each for one in statements for each in clustered(one, cluster)]
    return Migration(name, tuple(statements), sha256(text.encode()).hexdigest())


def _check_history(applied: dict[str, str], known: list[Migration]) -> None:
    checksums = {migration.name: migration.checksum for migration in known}
    later = sorted(applied.keys() - checksums.keys())
    if later:
        raise ConfigurationError(
            f"The database was migrated by a later version of Afterword ({', '.join(later)}).",
            "Upgrade this one, or use another database.",
        )
    changed = [name for name, checksum in applied.items() if checksums[name] != checksum]
    if changed:
        raise ConfigurationError(
            f"Migration {changed[0]} differs from the one that was applied to the database.",
            "Restore the file: a change to the tables is a new migration.",
        )
