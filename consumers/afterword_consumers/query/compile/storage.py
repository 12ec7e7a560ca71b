"""How the paths of a plan are stored: in which maps, and in which columns of their own.

    compile_plan(plan, storage=read_storage(plan, database, settings))

The catalogue has every path before any row that holds it, as workers write it first. Promoted columns
say what they hold in their comments. A path of which nothing is known may be in any map: the answer is
the same, after more reading.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from afterword_consumers.query.compile.parameters import Parameters, of_project
from afterword_consumers.query.database import Database
from afterword_consumers.query.language.fields import RATING, Field, Type
from afterword_consumers.query.language.parse import Plan

MAPS: Final[Mapping[Type, str]] = {
    Type.NUMBER: "numbers",
    Type.BOOLEAN: "booleans",
    Type.TEXT: "strings",
}
"""By type, the map that holds the values of paths."""

PROMOTED_MARK: Final = "Promoted by afterword: "
"""How the comment of a promoted column begins; the map and the path follow."""

MAP_OF: Final[Mapping[str, str]] = {
    "number": MAPS[Type.NUMBER],
    "boolean": MAPS[Type.BOOLEAN],
    "string": MAPS[Type.TEXT],
}
"""By type of the catalogue, the map that holds its values."""


@dataclass(frozen=True, slots=True)
class Storage:
    """Where the values of paths are.

    Attributes:
        maps: By path, as the user wrote it, the maps that may hold it.
        promoted: By map and path, the materialized column with the same values.
    """

    maps: Mapping[str, frozenset[str]] = field(default_factory=dict)
    promoted: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def types(self, what: Field) -> tuple[Type, ...]:
        """Return the types that a field may have."""
        if what.column is not None or what.name not in self.maps:
            return what.types
        return tuple(kind for kind in what.types if MAPS[kind] in self.maps[what.name])


UNKNOWN: Final = Storage()
"""Nothing is known: every path is looked for in every map."""


def read_storage(plan: Plan, database: Database, settings: Mapping[str, int | float]) -> Storage:
    """Return what is known of the paths that a plan reads."""
    paths = _paths_of(plan)
    if not paths:
        return Storage()
    return Storage(
        _read_maps(paths, plan.project, database, settings), read_promoted(database, settings)
    )


def unpromoted_paths(plan: Plan, storage: Storage) -> tuple[str, ...]:
    """Return the known paths of a plan that could have a column of their own, and have none."""
    names = dict.fromkeys(path.name for path in _paths_of(plan) if not path.is_wildcard)
    return tuple(
        name
        for name in names
        if any((kept_in, name) not in storage.promoted for kept_in in storage.maps.get(name, ()))
    )


def read_promoted(
    database: Database, settings: Mapping[str, int | float]
) -> dict[tuple[str, str], str]:
    """Return the promoted columns, by the map and path that each one holds."""
    table = database.query(
        "SELECT name, substring(comment, length({mark:String}) + 1) FROM system.columns "
        "WHERE database = currentDatabase() AND table = 'feedback' "
        "AND default_kind = 'MATERIALIZED' AND startsWith(comment, {mark:String})",
        {"mark": PROMOTED_MARK},
        settings,
    )
    return {
        (kept_in, path): str(name)
        for name, held in table.rows
        for kept_in, _, path in [str(held).partition(" ")]
    }


def _paths_of(plan: Plan) -> list[Field]:
    """Return the paths that a plan reads: those that it names, and what makes its votes."""
    votes = [Field(RATING, None)] if any(each.is_thumbs for each in plan.fields) else []
    return [each for each in (*plan.fields, *votes) if each.column is None]


def _read_maps(
    paths: list[Field],
    project: str | None,
    database: Database,
    settings: Mapping[str, int | float],
) -> dict[str, frozenset[str]]:
    parameters = Parameters()
    named = [f"path = {parameters.text(p.name)}" for p in paths if not p.is_wildcard]
    named += [f"match(path, {parameters.text(p.pattern)})" for p in paths if p.is_wildcard]
    table = database.query(
        "SELECT DISTINCT path, type FROM feedback_paths "
        f"WHERE {of_project(project, parameters)} AND ({' OR '.join(named)})",
        parameters.values,
        settings,
    )
    maps = {
        path.name: frozenset(
            MAP_OF[str(kind)]
            for known, kind in table.rows
            if re.fullmatch(path.pattern, str(known))
        )
        for path in paths
    }
    return {name: held_in for name, held_in in maps.items() if held_in}
