"""Databases with all tables, which tests borrow one after the other.

with databases.borrow() as name: ...

To make one takes about 28 statements and a second on a busy machine, as long as most tests; to empty one
takes a few. Where a test changed the tables themselves, nobody borrows its database again.
"""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from afterword_consumers.clickhouse.client import ClickHouse, ClickHouseAddress
from afterword_schemas.migrate import migrate
from afterword_stack.local.clickhouse import ClickHouseNode

_MIGRATIONS = "schema_migrations"


class MigratedDatabases:
    """The databases of one server that are free, and those that are lent out."""

    def __init__(self, node: ClickHouseNode) -> None:
        self._node = node
        self._server = ClickHouse(ClickHouseAddress(node.host, node.port))
        self._free: list[str] = []
        self._tables: Sequence[Sequence[object]] = ()

    @contextmanager
    def borrow(self) -> Iterator[str]:
        """Lend the name of a migrated, empty database."""
        name = self._free.pop() if self._free else self._make()
        yield name
        if self._read_tables(name) == self._tables:
            self._empty(name)
            self._free.append(name)
        else:
            self._server.command(f"DROP DATABASE {name} SYNC")

    def close(self) -> None:
        """Close the connection; the databases go with their server."""
        self._server.close()

    def _make(self) -> str:
        name = f"test_{uuid.uuid4().hex}"
        self._server.command(f"CREATE DATABASE {name}")
        connection = ClickHouse(ClickHouseAddress(self._node.host, self._node.port, name))
        migrate(connection)
        connection.close()
        self._tables = self._read_tables(name)
        return name

    def _read_tables(self, name: str) -> Sequence[Sequence[object]]:
        return self._server.select(
            "SELECT name, replaceAll(create_table_query, database, '') FROM system.tables "
            f"WHERE database = '{name}' ORDER BY name"
        )

    def _empty(self, name: str) -> None:
        filled = self._server.select(
            f"SELECT DISTINCT table FROM system.parts WHERE database = '{name}' AND active "
            f"AND table != '{_MIGRATIONS}'"
        )
        for (table,) in filled:
            self._server.command(f"TRUNCATE TABLE {name}.`{table}` SYNC")
