"""Say why a question found nothing: a path that no feedback has, or filters that none passes."""

import re

from afterword_consumers.query.catalogue import fields_of
from afterword_consumers.query.database import Database
from afterword_consumers.query.fields import Field
from afterword_consumers.query.parameters import Parameters
from afterword_consumers.query.question import Question
from afterword_consumers.query.statements import Budget
from afterword_consumers.query.suggestions import suggest

_MAX_PATHS = 100_000


def explain_nothing(
    question: Question, database: Database, budget: Budget
) -> tuple[str, list[str]]:
    """Return a sentence, and paths that may have been meant."""
    known = _known_paths(question, database, budget)
    if not known:
        of = "" if question.project is None else f" of project {question.project}"
        return (
            f"No paths{of} are known yet: either nothing has arrived, or the name is another.",
            [],
        )
    for field in fields_of(question):
        if field.column is None and not _is_known(field, known):
            return f"No feedback has the path {field.name}.", suggest(field.name, known)
    return "No feedback passes the filters within the period; widen them.", []


def _known_paths(question: Question, database: Database, budget: Budget) -> list[str]:
    parameters = Parameters()
    where = (
        "" if question.project is None else f"WHERE project = {parameters.text(question.project)}\n"
    )
    sql = f"SELECT DISTINCT path\nFROM feedback_paths\n{where}ORDER BY path\nLIMIT {_MAX_PATHS}"
    table = database.query(sql, parameters.values, budget.settings())
    return [str(path) for (path,) in table.rows]


def _is_known(field: Field, known: list[str]) -> bool:
    if not field.is_wildcard:
        return field.name in known
    pattern = re.compile(field.pattern)
    return any(pattern.search(path) for path in known)
