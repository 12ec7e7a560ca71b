"""Open the database of the settings, or make it first."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, Final

from afterword_consumers.clickhouse.client import ClickHouse, ClickHouseAddress
from afterword_consumers.query import Budget, Table
from afterword_schemas import AccessError, ConfigurationError, RetryableError
from afterword_schemas.migrate import Migration, migrate, migrations, pending
from afterword_stack.terminal.console import once, waiting

_CHEAPER: Final = (
    "A shorter period (--since, --until) or --approximate is cheaper, and so are paths with a column of "
    "their own (`afterword promote PATH`)."
)
_SAID: Final = re.compile(r"DB::Exception: (?P<text>.*?)\.? \((?P<name>[A-Z0-9_]+)\)")


def patience(address: ClickHouseAddress) -> Budget:
    """Return what a command's query may cost: who types it means to wait, and can break it off."""
    # Less than the connection waits, so that ClickHouse gives up first, and says why.
    return Budget(time_s=0.9 * address.timeout_s, read_rows=0)


@contextmanager
def open_database(
    address: ClickHouseAddress, tell: Callable[[str], None] | None = None
) -> Iterator[ClickHouse]:
    """Give a connection, and close it; what ClickHouse refuses says what to do.

    Args:
        address: Of the database.
        tell: Told what is waited for, when that takes long. By default stderr gets it once. Several
            connections for one purpose share it, so that it is not said for each.

    Raises:
        ConfigurationError: There is no such database, or it has no tables.
        UnreachableError: ClickHouse did not answer.
        AccessError: There is no way in.
        RetryableError: It cannot now.
    """
    clickhouse = _WatchedClickHouse(address, tell or once())
    try:
        yield clickhouse
    except RetryableError as error:
        raise _explain(error, address) from error
    finally:
        clickhouse.close()


def prepare_database(
    address: ClickHouseAddress,
    cluster: str | None = None,
    tell: Callable[[str], None] | None = None,
) -> list[str]:
    """Create the database if need be, run the migrations it lacks, and return their names."""
    tell = tell or once()
    with open_database(replace(address, database="default"), tell) as clickhouse:
        clickhouse.command(create_statement(address, cluster))
    with open_database(address, tell) as clickhouse:
        return migrate(clickhouse, cluster)


def missing_migrations(
    address: ClickHouseAddress,
    cluster: str | None = None,
    tell: Callable[[str], None] | None = None,
) -> list[Migration]:
    """Return the migrations that the database lacks, all if it does not exist; changes nothing."""
    tell = tell or once()
    with open_database(replace(address, database="default"), tell) as clickhouse:
        ((recorded,),) = clickhouse.query(
            "SELECT count() FROM system.tables "
            "WHERE database = {database:String} AND name = 'schema_migrations'",
            {"database": address.database},
        ).rows
    if not recorded:
        return migrations(cluster)
    with open_database(address, tell) as clickhouse:
        return pending(clickhouse, cluster)


def create_statement(address: ClickHouseAddress, cluster: str | None = None) -> str:
    """Return the statement that creates the database."""
    on_cluster = f" ON CLUSTER '{cluster}'" if cluster else ""
    return f"CREATE DATABASE IF NOT EXISTS {address.database}{on_cluster}"


class _WatchedClickHouse(ClickHouse):
    """A connection that says what is waited for, when that takes long."""

    def __init__(self, address: ClickHouseAddress, tell: Callable[[str], None]) -> None:
        super().__init__(address)
        self._tell = tell

    def command(self, sql: str) -> None:
        with self._waiting():
            super().command(sql)

    def query(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Table:
        with self._waiting():
            return super().query(sql, parameters, settings)

    def _waiting(self) -> AbstractContextManager[None]:
        return waiting(f"ClickHouse at {self.address.server}", self.address.timeout_s, self._tell)


def _explain(
    error: RetryableError, address: ClickHouseAddress
) -> RetryableError | ConfigurationError:
    """Return the error in words that help; the same one where there are none."""
    said = _SAID.search(str(error))
    if said is None or isinstance(error, AccessError):
        return error
    match said["name"]:
        case "UNKNOWN_DATABASE" | "UNKNOWN_TABLE" | "UNKNOWN_IDENTIFIER" as name:
            return _migrate(name, address)
        case "TIMEOUT_EXCEEDED" | "TOO_SLOW" | "MEMORY_LIMIT_EXCEEDED" as name:
            much = "memory" if name == "MEMORY_LIMIT_EXCEEDED" else "time"
            return RetryableError(f"The query takes too much {much}. {_CHEAPER}")
        case "TOO_MANY_ROWS_OR_BYTES":
            return RetryableError(
                "The answer is too large. Ask for fewer groups or values (--top)."
            )
        case name:
            return RetryableError(f"ClickHouse at {address}: {said['text']} ({name})")


def _migrate(name: str, address: ClickHouseAddress) -> ConfigurationError:
    if name == "UNKNOWN_IDENTIFIER":  # only questions name columns, from a list of this version's
        return ConfigurationError(
            f"{address} has tables of an older Afterword.", "Run `afterword migrate`."
        )
    return ConfigurationError(
        f"{address} lacks tables of Afterword.",
        "Run `afterword migrate`, or set AFTERWORD_CLICKHOUSE_DATABASE to another.",
    )
