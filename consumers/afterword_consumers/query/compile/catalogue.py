"""Look up how the paths of a question are stored: in which maps, and in which columns of their own.

    build(question, now, storage=read_storage(question, database, settings))

The catalogue has every path before any row that holds it, as workers write it first. Promoted columns
say what they hold in their comments.
"""

import re
from collections.abc import Mapping
from typing import Final

from afterword_consumers.query.compile.conditions import of_project
from afterword_consumers.query.compile.parameters import Parameters
from afterword_consumers.query.compile.storage import Storage
from afterword_consumers.query.database import Database
from afterword_consumers.query.language.fields import MAPS, RATING, Field, Type, resolve
from afterword_consumers.query.language.filters import parse_filter
from afterword_consumers.query.language.question import COUNT, WEIGHTED, Question

PROMOTED_MARK: Final = "Promoted by afterword: "
"""How the comment of a promoted column begins; the map and the path follow."""

MAP_OF: Final[Mapping[str, str]] = {
    "number": MAPS[Type.NUMBER],
    "boolean": MAPS[Type.BOOLEAN],
    "string": MAPS[Type.TEXT],
}
"""By type of the catalogue, the map that holds its values."""


def read_storage(
    question: Question, database: Database, settings: Mapping[str, int | float]
) -> Storage:
    """Return what is known of the paths that a question reads."""
    paths = _paths_of(question)
    if not paths:
        return Storage()
    return Storage(
        _read_maps(paths, question.project, database, settings), read_promoted(database, settings)
    )


def unpromoted_paths(question: Question, storage: Storage) -> tuple[str, ...]:
    """Return the known paths of a question that could have a column of their own, and have none."""
    names = dict.fromkeys(field.name for field in _paths_of(question) if not field.is_wildcard)
    return tuple(
        name
        for name in names
        if any((kept_in, name) not in storage.promoted for kept_in in storage.maps.get(name, ()))
    )


def fields_of(question: Question) -> list[Field]:
    """Return everything that a question names."""
    measured = [] if question.measure in {WEIGHTED, COUNT} else [resolve(question.measure)]
    filtered = [parse_filter(text).field for text in question.where]
    compared = [] if question.comparison is None else [question.comparison.first.field]
    return [*measured, *question.groups, *filtered, *compared]


def _paths_of(question: Question) -> list[Field]:
    """Return the paths that a question reads: those that it names, and what makes its votes."""
    fields = fields_of(question)
    votes = [resolve(RATING)] if any(field.is_thumbs for field in fields) else []
    return [field for field in (*fields, *votes) if field.column is None]


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


def _read_maps(
    paths: list[Field],
    project: str | None,
    database: Database,
    settings: Mapping[str, int | float],
) -> dict[str, frozenset[str]]:
    parameters = Parameters()
    named = [f"path = {parameters.text(field.name)}" for field in paths if not field.is_wildcard]
    named += [f"match(path, {parameters.text(f.pattern)})" for f in paths if f.is_wildcard]
    table = database.query(
        "SELECT DISTINCT path, type FROM feedback_paths "
        f"WHERE {of_project(project, parameters)} AND ({' OR '.join(named)})",
        parameters.values,
        settings,
    )
    found = {
        field.name: frozenset(
            MAP_OF[str(kind)] for path, kind in table.rows if re.fullmatch(field.pattern, str(path))
        )
        for field in paths
    }
    return {name: maps for name, maps in found.items() if maps}
