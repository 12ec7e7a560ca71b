"""The cluster forms of the migrations: what changes, what stays, and that ClickHouse can read them.

No cluster runs here, so that they work on one is not shown.
"""

import clickhouse_connect
import pytest

from afterword_schemas import ConfigurationError
from afterword_schemas.cluster import clustered
from afterword_schemas.migrate import migrations
from afterword_stack.local.clickhouse import ClickHouseNode


@pytest.mark.services
def test_every_statement_is_sql(clickhouse: ClickHouseNode) -> None:
    """ClickHouse parses each statement of each migration in its cluster form."""
    with clickhouse_connect.get_client(host=clickhouse.host, port=clickhouse.port) as client:
        for migration in migrations("prod"):
            for statement in migration.sql:
                client.command(f"EXPLAIN AST {statement}")


def test_a_table_becomes_a_replicated_part_and_a_distributed_whole() -> None:
    """The name that users know is the whole; equal keys meet on one shard."""
    statement = (
        "CREATE TABLE IF NOT EXISTS feedback\n(x UInt8)\nENGINE = ReplacingMergeTree(version)"
    )

    part, whole = clustered(statement, "prod")

    assert part == (
        "CREATE TABLE IF NOT EXISTS feedback_local ON CLUSTER 'prod'\n(x UInt8)\n"
        "ENGINE = ReplicatedReplacingMergeTree("
        "'/clickhouse/tables/{shard}/{database}/feedback', '{replica}', version)"
    )
    assert whole == (
        "CREATE TABLE IF NOT EXISTS feedback ON CLUSTER 'prod' AS feedback_local\n"
        "ENGINE = Distributed('prod', currentDatabase(), 'feedback_local', "
        "cityHash64(project, feedback_id))"
    )


def test_a_change_reaches_the_parts_and_then_the_whole() -> None:
    """A column that is added later is added to both."""
    assert clustered("ALTER TABLE feedback ADD COLUMN x UInt8", "prod") == [
        "ALTER TABLE feedback_local ON CLUSTER 'prod' ADD COLUMN x UInt8",
        "ALTER TABLE feedback ON CLUSTER 'prod' ADD COLUMN x UInt8",
    ]


def test_an_index_is_added_to_the_parts_alone() -> None:
    """A Distributed table has none, and refuses the statement."""
    assert clustered("ALTER TABLE feedback ADD INDEX i x TYPE minmax", "prod") == [
        "ALTER TABLE feedback_local ON CLUSTER 'prod' ADD INDEX i x TYPE minmax"
    ]


def test_a_setting_is_of_the_parts_alone() -> None:
    """A Distributed table refuses to be told one."""
    assert clustered("ALTER TABLE feedback_paths MODIFY SETTING x = 1, y = 1", "prod") == [
        "ALTER TABLE feedback_paths_local ON CLUSTER 'prod' MODIFY SETTING x = 1, y = 1"
    ]


def test_every_view_is_made_on_every_node() -> None:
    """Analysts may be connected to any of them."""
    views = [
        statement
        for migration in migrations("prod")
        for statement in migration.sql
        if "VIEW" in statement
    ]

    assert views
    assert all(" ON CLUSTER 'prod' AS" in view for view in views)


def test_a_name_that_is_none_is_refused() -> None:
    """Nothing of the name can end the quotes that it stands in."""
    with pytest.raises(ConfigurationError):
        clustered("CREATE TABLE IF NOT EXISTS feedback (x UInt8)", "a' b")
