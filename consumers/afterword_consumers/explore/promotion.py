"""Give a path a column of its own, so that a question about it reads that and not a whole map.

    promote(clickhouse, "feedback.score")        # adds columns, and begins to fill them
    read_backfill(clickhouse).parts_to_do        # 0 when all that was stored before has them
    read_promoted(clickhouse, {})                # {("numbers", "feedback.score"): "promoted_…"}

Answers are the same before, during and after: where a part of the table lacks the column, ClickHouse
computes it from the map.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol

from afterword_consumers.query.answer.suggestions import did_you_mean, find_near_paths, suggest
from afterword_consumers.query.compile.parameters import quote
from afterword_consumers.query.compile.storage import (
    MAP_OF,
    MAPS,
    PROMOTED_MARK,
    read_promoted,
)
from afterword_consumers.query.database import Database
from afterword_consumers.query.language.fields import Type, resolve
from afterword_consumers.query.language.question import QuestionError
from afterword_schemas.cluster import clustered

_TABLES: Final = "'feedback', 'feedback_local'"
"""Where columns are filled: on one server, or on each node of a cluster."""

_SAMPLED_ROWS: Final = 1_000_000
_FEW_TEXTS: Final = 10_000
"""Up to so many different texts a dictionary is quicker to group by than the texts themselves."""

_TYPE_IN: Final[Mapping[str, str]] = {
    MAPS[Type.NUMBER]: "Nullable(Float64)",
    MAPS[Type.BOOLEAN]: "Nullable(Bool)",
    MAPS[Type.TEXT]: "Nullable(String)",
}


class Tables(Database, Protocol):
    """A database whose tables may be changed."""

    def command(self, sql: str) -> None:
        """Run a statement that answers nothing."""


@dataclass(frozen=True, slots=True)
class Backfill:
    """How far the columns of what was stored before are filled.

    Attributes:
        parts_to_do: Parts of the table that still lack one; 0 when all is done.
        failure: Why the last try of a part failed; ClickHouse goes on trying. Else empty.
    """

    parts_to_do: int
    failure: str


def promote(tables: Tables, path: str, cluster: str | None = None) -> list[str]:
    """Add a column for each type that a path has, begin to fill them, and return their names.

    Promoting what is promoted fills its columns again, and adds one for a type that the path has got since.

    Args:
        tables: Where the feedback is.
        path: Such as `feedback.score`.
        cluster: As for `afterword_schemas.migrate.migrate`.

    Raises:
        QuestionError: No feedback has the path, or it cannot have a column of its own.
    """
    _check(path)
    known = read_promoted(tables, {})
    names = []
    for kept_in in _maps_that_hold(path, tables):
        name = known.get((kept_in, path))
        if name is None:
            name = _name(kept_in, path)
            column = (
                f"`{name}` {_type(kept_in, path, tables)} MATERIALIZED {kept_in}[{quote(path)}]"
            )
            comment = quote(f"{PROMOTED_MARK}{kept_in} {path}")
            _alter(tables, f"ADD COLUMN IF NOT EXISTS {column} COMMENT {comment}", cluster)
        # Of a column that is there, too: whoever added it may not have come to this. ClickHouse would
        # answer when all parts are filled, which may be hours later.
        _alter(tables, f"MATERIALIZE COLUMN `{name}` SETTINGS mutations_sync = 0", cluster)
        names.append(name)
    return names


def demote(tables: Tables, path: str, cluster: str | None = None) -> list[str]:
    """Drop the columns of a path, and return their names; the path's values stay in their map.

    Raises:
        QuestionError: The path is not promoted.
    """
    promoted = read_promoted(tables, {})
    names = [name for (_, held), name in promoted.items() if held == path]
    if not names:
        near = suggest(path, [held for _, held in promoted])
        raise QuestionError(
            f"{path} is not promoted.", did_you_mean(near) or "See `afterword promote`."
        )
    for name in names:
        _stop_filling(tables, name, cluster)
        _alter(tables, f"DROP COLUMN IF EXISTS `{name}`", cluster)
    return names


def read_backfill(tables: Tables) -> Backfill:
    """Return how far all promoted columns are filled; on a cluster, those of the node asked."""
    table = tables.query(
        "SELECT sum(parts_to_do), anyLast(latest_fail_reason) FROM system.mutations "
        f"WHERE database = currentDatabase() AND table IN ({_TABLES}) "
        "AND NOT is_done AND command LIKE '%MATERIALIZE COLUMN%promoted_%'",
        {},
        {},
    )
    ((parts, failure),) = table.rows
    return Backfill(int(parts or 0), str(failure or ""))


def _check(path: str) -> None:
    field = resolve(path)
    if field.column is not None:
        raise QuestionError(
            f"{path} is the column {field.column} already.", "Ask about it as it is."
        )
    if field.is_wildcard:
        raise QuestionError(
            f"{path} stands for many paths.", "Promote one, such as feedback.edits.0.value."
        )


def _maps_that_hold(path: str, tables: Tables) -> list[str]:
    parameters = {"path": path}
    found = tables.query(
        "SELECT DISTINCT type FROM feedback_paths WHERE path = {path:String} ORDER BY type",
        parameters,
        {},
    )
    if found.rows:
        return [MAP_OF[str(kind)] for (kind,) in found.rows]
    near = find_near_paths(path, tables, None, {})
    raise QuestionError(
        f"No feedback has the path {path}.", did_you_mean(near) or "See `afterword paths`."
    )


def _type(kept_in: str, path: str, tables: Tables) -> str:
    kind = _TYPE_IN[kept_in]
    if kept_in != MAPS[Type.TEXT]:
        return kind
    ((texts,),) = tables.query(
        "SELECT uniq(text) FROM (SELECT strings[{path:String}] AS text FROM feedback "
        f"WHERE text IS NOT NULL LIMIT {_SAMPLED_ROWS})",
        {"path": path},
        {},
    ).rows
    return f"LowCardinality({kind})" if int(texts or 0) <= _FEW_TEXTS else kind


def _stop_filling(tables: Tables, name: str, cluster: str | None) -> None:
    """End what still fills a column: ClickHouse drops none that a change waits for."""
    on_cluster = "" if cluster is None else f" ON CLUSTER '{cluster}'"
    tables.command(
        f"KILL MUTATION{on_cluster} WHERE database = currentDatabase() "
        f"AND table IN ({_TABLES}) AND NOT is_done AND command LIKE '%MATERIALIZE COLUMN%{name}%' SYNC"
    )


def _name(kept_in: str, path: str) -> str:
    """Return a name that a person recognises, and that no other path has."""
    readable = re.sub(r"[^A-Za-z0-9]+", "_", path)[:48].strip("_")
    return f"promoted_{kept_in}_{readable}_{sha256(path.encode()).hexdigest()[:16]}"


def _alter(tables: Tables, change: str, cluster: str | None) -> None:
    statement = f"ALTER TABLE feedback {change}"
    statements = [statement] if cluster is None else clustered(statement, cluster)
    # The whole reads what its parts have: it gets a column last, and loses it first.
    for each in reversed(statements) if change.startswith("DROP") else statements:
        tables.command(each)
