"""Say what is odd about a question: a path that no feedback has, or filters that none passes.

A group by a misspelt path is one group of all, and a filter that something is not, on a misspelt path,
passes everything: so it is looked at whether anything was found or not.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from afterword_consumers.query.answer.suggestions import find_near_paths
from afterword_consumers.query.compile.parameters import Parameters, of_project
from afterword_consumers.query.compile.storage import MAPS, Storage
from afterword_consumers.query.database import Database
from afterword_consumers.query.language.fields import Field, Type
from afterword_consumers.query.language.filters import Operator
from afterword_consumers.query.language.parse import Plan, Total

_HOLDS: Final = {"numbers": "numbers", "booleans": "true and false", "strings": "texts"}
_VOTE: Final = (
    " A vote is explicit, with a value other than 0 or, without a value, a feedback.rating of true or"
    " false."
)
_IS: Final = {Type.NUMBER: "a number", Type.BOOLEAN: "a boolean", Type.TEXT: "text"}


def explain_nothing(
    plan: Plan,
    database: Database,
    storage: Storage,
    settings: Mapping[str, int | float],
) -> tuple[str, list[str]]:
    """Return a sentence why there is no answer, and paths that may have been meant."""
    if not _knows_any_path(plan.project, database, settings):
        of = "" if plan.project is None else f" of project {plan.project}"
        return f"No feedback{of} is stored yet; see `afterword status`.", []
    notice, near = find_unknown_path(plan, database, storage, settings)
    if notice:
        return notice, near
    for mismatch in _mismatches(plan, storage):
        return mismatch, []
    is_vote = isinstance(plan.measure, Field) and plan.measure.is_thumbs
    has = "is a vote" if is_vote else "has what is measured"
    if plan.measure is Total.COUNT:
        has = ""
    passes = "passes the filters" if plan.filters or plan.comparison else ""
    bounded = plan.since is not None or plan.until is not None
    period = "is of the period" if bounded else ""
    asked = " and ".join(filter(None, (has, passes, period)))
    if not asked:
        return "No feedback is stored.", []
    return f"No feedback {asked}.{_VOTE if is_vote else ''}", []


def find_unknown_path(
    plan: Plan,
    database: Database,
    storage: Storage,
    settings: Mapping[str, int | float],
) -> tuple[str, list[str]]:
    """Return a sentence on a path that no feedback has, and those that may have been meant.

    Empty where there is no such path, or no catalogue that could tell.
    """
    unknown = [
        field.name
        for field in plan.fields
        if field.column is None and field.name not in storage.maps
    ]
    if not unknown or not _knows_any_path(plan.project, database, settings):
        return "", []
    near = find_near_paths(unknown[0], database, plan.project, settings)
    return f"No feedback has the path {unknown[0]}.", near


def _mismatches(plan: Plan, storage: Storage) -> Iterator[str]:
    """Yield a sentence for each filter that compares a path with what it never holds."""
    compared = plan.comparison
    sides = () if compared is None else (compared.first, compared.second)
    for what in (*plan.filters, *sides):
        held = storage.maps.get(what.field.name, frozenset())
        if not held or not what.values or what.operator == Operator.CONTAINS:
            continue
        if held.isdisjoint(MAPS[value.type] for value in what.values):
            value, holds = what.values[0], " and ".join(_HOLDS[kept_in] for kept_in in sorted(held))
            hint = _hint(held, value.type)
            yield f"{what.field.name} holds {holds}; {value.text!r} is {_IS[value.type]}. {hint}"


def _hint(held: frozenset[str], compared: Type) -> str:
    if MAPS[Type.TEXT] in held and compared != Type.TEXT:
        return "In quotes it would be text."
    if MAPS[Type.BOOLEAN] in held:
        return "Write true or false, without quotes."
    return "Write a number, without quotes."


def _knows_any_path(
    project: str | None, database: Database, settings: Mapping[str, int | float]
) -> bool:
    parameters = Parameters()
    sql = f"SELECT 1 FROM feedback_paths WHERE {of_project(project, parameters)} LIMIT 1"
    return bool(database.query(sql, parameters.values, settings).rows)
