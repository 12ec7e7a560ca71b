"""Open the database of the settings, or make it first."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from afterword_consumers.clickhouse import ClickHouse, ClickHouseAddress
from afterword_schemas.migrate import migrate


@contextmanager
def open_database(address: ClickHouseAddress) -> Iterator[ClickHouse]:
    """Give a connection, and close it."""
    clickhouse = ClickHouse(address)
    try:
        yield clickhouse
    finally:
        clickhouse.close()


def prepare_database(address: ClickHouseAddress, cluster: str | None = None) -> list[str]:
    """Create the database if need be, run the migrations it lacks, and return their names."""
    on_cluster = f" ON CLUSTER '{cluster}'" if cluster else ""
    with open_database(replace(address, database="default")) as clickhouse:
        clickhouse.command(f"CREATE DATABASE IF NOT EXISTS {address.database}{on_cluster}")
    with open_database(address) as clickhouse:
        return migrate(clickhouse, cluster)
