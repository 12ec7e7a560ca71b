"""The forms of the tables for a ClickHouse cluster: replicated on each shard, and one name over all.

    clustered("CREATE TABLE IF NOT EXISTS feedback (…) ENGINE = ReplacingMergeTree(…) …", "prod")
        becomes
    feedback_local on every node, ReplicatedReplacingMergeTree, and feedback, Distributed over them

Each name that a user knows stays; `*_local` is the part of one node. An id always meets the same
shard, so what replaces itself there replaces itself in the whole.
"""

import re
from typing import Final

from afterword_schemas.errors import ConfigurationError

_SHARDING: Final = {
    "feedback": "cityHash64(project, feedback_id)",
    "feedback_rejected": "cityHash64(topic_id, kafka_partition, kafka_offset)",
    "feedback_paths": "cityHash64(project, path)",
}
"""What decides the shard of a row: columns of its key, so that equal keys meet."""

_TABLE: Final = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+)")
_CHANGE: Final = re.compile(r"ALTER TABLE (\w+)")
_INSIDE: Final = re.compile(r"ALTER TABLE \w+\s+(?:(?:ADD|DROP) INDEX|MATERIALIZE|MODIFY SETTING)")
_VIEW: Final = re.compile(r"(CREATE OR REPLACE VIEW \w+)")
_ENGINE: Final = re.compile(r"ENGINE = (\w*MergeTree)(?:\(([^)]*)\))?")


def clustered(statement: str, cluster: str) -> list[str]:
    """Return what a statement of a migration becomes on a cluster.

    Args:
        statement: `CREATE TABLE IF NOT EXISTS`, `ALTER TABLE` or `CREATE OR REPLACE VIEW`.
        cluster: Its name in the servers' `remote_servers`, whose `shard` and `replica` macros are
            used.

    Raises:
        ConfigurationError: The name is no identifier.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", cluster):
        raise ConfigurationError("A cluster's name has letters, digits, _ and - only.")
    change = _CHANGE.match(statement)
    if change is not None:  # of the parts first: the whole reads what they have
        names = [f"{change[1]}_local", change[1]]
        if _INSIDE.match(statement):
            names.pop()  # the whole stores nothing, has no index, and refuses to be told of either
        return [
            _CHANGE.sub(f"ALTER TABLE {name} ON CLUSTER '{cluster}'", statement) for name in names
        ]
    table = _TABLE.match(statement)
    if table is None:
        return [_VIEW.sub(rf"\1 ON CLUSTER '{cluster}'", statement)]
    name = table[1]
    if name not in _SHARDING:  # a small table, whole on every node
        return [_replicated(statement, name, name, cluster, "")]
    local = f"{name}_local"
    whole = (
        f"CREATE TABLE IF NOT EXISTS {name} ON CLUSTER '{cluster}' AS {local}\n"
        f"ENGINE = Distributed('{cluster}', currentDatabase(), '{local}', {_SHARDING[name]})"
    )
    return [_replicated(statement, name, local, cluster, "{shard}/"), whole]


def _replicated(statement: str, name: str, local: str, cluster: str, shard: str) -> str:
    path = f"'/clickhouse/tables/{shard}{{database}}/{name}', '{{replica}}'"
    moved = _TABLE.sub(f"CREATE TABLE IF NOT EXISTS {local} ON CLUSTER '{cluster}'", statement)
    return _ENGINE.sub(
        lambda engine: (
            f"ENGINE = Replicated{engine[1]}({', '.join(filter(None, (path, engine[2])))})"
        ),
        moved,
    )
