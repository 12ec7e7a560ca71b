"""What can be asked about: every path ever seen, its types, when, an example, and how common it is.

    for known in find_paths(database, project="acme", prefix="feedback.", measured=True):
        print(known.path, known.type, known.share_percent)

The list comes from the catalogue that the worker keeps, whatever the size of the table; only what is
measured reads the feedback itself, each once and in its latest state.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from afterword_consumers.query import Budget, Database, suggest
from afterword_consumers.query.answer.suggestions import find_near_paths
from afterword_consumers.query.compile.parameters import Parameters, of_project
from afterword_consumers.query.compile.source import rfc3339_sql
from afterword_consumers.query.compile.storage import MAP_OF
from afterword_consumers.query.database import whole
from afterword_consumers.query.language.fields import is_utf8
from afterword_consumers.query.language.parse import check_project
from afterword_consumers.query.language.question import QuestionError
from afterword_schemas.event import RESERVED_METADATA

_MEASURED: Final = ("events", "share_percent", "distinct")


@dataclass(frozen=True, slots=True)
class KnownPath:
    """One type of value that one path was seen with in one project.

    Attributes:
        path: As a question names it.
        type: `boolean`, `number` or `string`.
        first_seen: By the worker, RFC 3339 in UTC.
        last_seen: Likewise; up to ten minutes before the truth.
        example: A value as text; long ones are cut.
        events: Current feedback with such a value; None where not measured.
        share_percent: Of the project's current feedback, 0 to 100; None where not measured, or where
            the project has none.
        distinct: Different values among them: exact up to 65,536, beyond that an estimate whose
            standard error is 0.4 %; None where not measured.
    """

    project: str
    path: str
    type: str
    first_seen: str
    last_seen: str
    example: str
    events: int | None = None
    share_percent: float | None = None
    distinct: int | None = None

    def fields(self) -> dict[str, Any]:
        """Return it by name, without what was not measured; a share that there is none of is None."""
        found = asdict(self)
        if self.events is None:
            return {name: found[name] for name in found if name not in _MEASURED}
        return found


def find_paths(
    database: Database,
    *,
    project: str | None = None,
    prefix: str = "",
    measured: bool = False,
    limit: int = 10_000,
    budget: Budget | None = None,
) -> list[KnownPath]:
    """Return the paths in order of project, path and type.

    A path that only feedback since taken back had is listed too, with 0 events. The four reserved
    paths of metadata (`metadata._user` and so on) are strings here: integers in them are kept as text.

    Args:
        database: Where to look.
        project: The tenant; None looks at all.
        prefix: What a path begins with, case as written.
        measured: Whether to fill `events`, `share_percent` and `distinct`. That reads the maps of all
            feedback of the project.
        limit: How many at most, the first in their order.
        budget: What each of the one or two queries may cost.

    Raises:
        QuestionError: Project or prefix is what none can be.
    """
    check_project(project)
    if not is_utf8(prefix):
        raise QuestionError("The prefix is not valid UTF-8.", "Write what a path begins with.")
    budget = budget or Budget()
    known = _catalogue(database, project, prefix, limit, budget)
    if not measured or not known:
        return known
    counts = _counts(database, project, prefix, limit, budget)
    return [_measure(each, counts) for each in known]


def has_feedback(
    database: Database, *, project: str | None = None, budget: Budget | None = None
) -> bool:
    """Return whether any feedback was ever stored, also such as was taken back."""
    parameters = Parameters()
    sql = f"SELECT 1 FROM feedback WHERE {of_project(project, parameters)} LIMIT 1"
    return bool(database.query(sql, parameters.values, (budget or Budget()).settings()).rows)


def suggest_paths(
    database: Database, prefix: str, *, project: str | None = None, budget: Budget | None = None
) -> list[str]:
    """Return up to five paths, or objects above them, that may have been meant by a prefix."""
    settings = (budget or Budget()).settings()
    near = find_near_paths(prefix.rstrip("."), database, project, settings)
    above = {beginning for path in near for beginning in _beginnings(path)}
    return suggest(prefix.rstrip("."), above.union(near))


_RESERVED_COUNTS: Final = ", ".join(
    f"('{path}', 'string', countIf({column} != ''), uniqIf({column}, {column} != ''))"
    for path, column in RESERVED_METADATA.items()
)
_COUNTS_OF_COLUMNS: Final = f"""\
SELECT project, entry.1 AS path, entry.2 AS type, entry.3 AS events, entry.4 AS values
FROM (
    SELECT project, arrayJoin([
        ('', '', count(), toUInt64(0)),
        ('value', 'number', count(value), uniq(value)),
        {_RESERVED_COUNTS}
    ]) AS entry
    FROM feedback_current
    WHERE {{where}}
    GROUP BY project
)
WHERE path = '' OR (events > 0 AND {{begins}})"""
_COUNTS_OF_MAP: Final = """\
SELECT project, path, '{type}' AS type, count() AS events, uniq(leaf) AS values
FROM feedback_current
ARRAY JOIN mapKeys({column}) AS path, mapValues({column}) AS leaf
WHERE {where}
GROUP BY project, path"""

_Key = tuple[str, str, str]
"""Project, path and type; path and type are empty for the project as a whole."""


def _catalogue(
    database: Database, project: str | None, prefix: str, limit: int, budget: Budget
) -> list[KnownPath]:
    parameters = Parameters()
    reserved = ", ".join(f"'{path}'" for path in RESERVED_METADATA)
    sql = f"""\
SELECT project, path, kind, {rfc3339_sql("min(first_seen)")}, {rfc3339_sql("max(last_seen)")}, any(example)
FROM (SELECT *, if(path IN ({reserved}), 'string', type) AS kind FROM feedback_paths)
WHERE {of_project(project, parameters)} AND {_begins(prefix, parameters)}
GROUP BY project, path, kind
ORDER BY project, path, kind
LIMIT {parameters.count(limit)}"""
    rows = database.query(sql, parameters.values, budget.settings()).rows
    return [
        KnownPath(str(tenant), str(path), str(kind), str(first), str(last), str(example))
        for tenant, path, kind, first, last, example in rows
    ]


def _counts(
    database: Database, project: str | None, prefix: str, limit: int, budget: Budget
) -> dict[_Key, tuple[int, int]]:
    """Return events and distinct values of each project, and of its paths as far as `limit` goes.

    In one statement, and so nearly at one moment. Of what the catalogue knows the first `limit` are
    among the first `limit` here, or have no event.
    """
    parameters = Parameters()
    where, begins = of_project(project, parameters), _begins(prefix, parameters)
    parts = [_COUNTS_OF_COLUMNS.format(where=where, begins=begins)]
    for kind, column in MAP_OF.items():
        parts.append(_COUNTS_OF_MAP.format(type=kind, column=column, where=f"{where} AND {begins}"))
    sql = (
        "SELECT project, path, type, events, values\nFROM (\n"
        + "\nUNION ALL\n".join(parts)
        + f"\n)\nORDER BY project, path, type\nLIMIT {parameters.count(limit)} BY path = ''"
    )
    rows = database.query(sql, parameters.values, budget.settings()).rows
    return {(str(p), str(path), str(kind)): (whole(n), whole(d)) for p, path, kind, n, d in rows}


def _measure(known: KnownPath, counts: dict[_Key, tuple[int, int]]) -> KnownPath:
    all_events, _ = counts.get((known.project, "", ""), (0, 0))
    events, distinct = counts.get((known.project, known.path, known.type), (0, 0))
    share = 100 * events / all_events if all_events else None
    return replace(known, events=events, share_percent=share, distinct=distinct)


def _begins(prefix: str, parameters: Parameters) -> str:
    return f"startsWith(path, {parameters.text(prefix)})" if prefix else "true"


def _beginnings(path: str) -> Sequence[str]:
    """List what stands above a path: its root, and what is nested in it."""
    return [path[:at] for at, letter in enumerate(path) if letter == "."]
