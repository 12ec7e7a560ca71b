"""Open the database of the settings, or make it first."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from afterword_consumers.clickhouse import ClickHouse, ClickHouseAddress
from afterword_consumers.query import Budget
from afterword_schemas import SetupError, StoreError
from afterword_schemas.migrate import Migration, migrate, migrations, pending

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
def open_database(address: ClickHouseAddress) -> Iterator[ClickHouse]:
    """Give a connection, and close it; what ClickHouse refuses says what to do.

    Raises:
        SetupError: There is no such database, no tables in it, or no way in.
        StoreError: ClickHouse did not answer, or not now.
    """
    clickhouse = ClickHouse(address)
    try:
        yield clickhouse
    except StoreError as error:
        raise _explain(error, address) from error
    finally:
        clickhouse.close()


def prepare_database(address: ClickHouseAddress, cluster: str | None = None) -> list[str]:
    """Create the database if need be, run the migrations it lacks, and return their names."""
    with open_database(replace(address, database="default")) as clickhouse:
        clickhouse.command(create_statement(address, cluster))
    with open_database(address) as clickhouse:
        return migrate(clickhouse, cluster)


def missing_migrations(address: ClickHouseAddress, cluster: str | None = None) -> list[Migration]:
    """Return the migrations that the database lacks, all if it does not exist; changes nothing."""
    with open_database(replace(address, database="default")) as clickhouse:
        ((recorded,),) = clickhouse.query(
            "SELECT count() FROM system.tables "
            "WHERE database = {database:String} AND name = 'schema_migrations'",
            {"database": address.database},
        ).rows
    if not recorded:
        return migrations(cluster)
    with open_database(address) as clickhouse:
        return pending(clickhouse, cluster)


def create_statement(address: ClickHouseAddress, cluster: str | None = None) -> str:
    """Return the statement that creates the database."""
    on_cluster = f" ON CLUSTER '{cluster}'" if cluster else ""
    return f"CREATE DATABASE IF NOT EXISTS {address.database}{on_cluster}"


def _explain(error: StoreError, address: ClickHouseAddress) -> StoreError | SetupError:
    """Return the error in words that help; the same one where there are none."""
    said = _SAID.search(str(error))
    if said is None:
        away = f"ClickHouse does not answer at {address}; see `afterword doctor`"
        return StoreError(away) if "ConnectionPool" in str(error) else error
    match said["name"]:
        case "UNKNOWN_DATABASE" | "UNKNOWN_TABLE" | "UNKNOWN_IDENTIFIER" as name:
            return _migrate(name, address)
        case "AUTHENTICATION_FAILED" | "REQUIRED_PASSWORD" | "WRONG_PASSWORD" | "ACCESS_DENIED":
            return SetupError(
                f"ClickHouse at {address} does not let user {address.user!r} do this.",
                "Set AFTERWORD_CLICKHOUSE_USER and AFTERWORD_CLICKHOUSE_PASSWORD, or grant it.",
            )
        case "TIMEOUT_EXCEEDED" | "TOO_SLOW" | "MEMORY_LIMIT_EXCEEDED" as name:
            much = "memory" if name == "MEMORY_LIMIT_EXCEEDED" else "time"
            return StoreError(f"The query takes too much {much}. {_CHEAPER}")
        case "TOO_MANY_ROWS_OR_BYTES":
            return StoreError("The answer is too large. Ask for fewer groups or values (--top).")
        case name:
            return StoreError(f"ClickHouse at {address}: {said['text']} ({name})")


def _migrate(name: str, address: ClickHouseAddress) -> SetupError:
    if name == "UNKNOWN_IDENTIFIER":  # only questions name columns, from a list of this version's
        return SetupError(
            f"{address} has tables of an older Afterword.", "Run `afterword migrate`."
        )
    return SetupError(
        f"{address} lacks tables of Afterword.",
        "Run `afterword migrate`, or set AFTERWORD_CLICKHOUSE_DATABASE to another.",
    )
