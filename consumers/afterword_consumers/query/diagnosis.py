"""Say why a question found nothing: a path that no feedback has, or filters that none passes."""

from collections.abc import Mapping

from afterword_consumers.query.catalogue import fields_of
from afterword_consumers.query.database import Database
from afterword_consumers.query.parameters import Parameters
from afterword_consumers.query.question import Question
from afterword_consumers.query.storage import Storage
from afterword_consumers.query.suggestions import find_near_paths


def explain_nothing(
    question: Question,
    database: Database,
    storage: Storage,
    settings: Mapping[str, int | float],
) -> tuple[str, list[str]]:
    """Return a sentence, and paths that may have been meant."""
    if not _knows_any_path(question.project, database, settings):
        of = "" if question.project is None else f" of project {question.project}"
        return (
            f"No paths{of} are known yet: either nothing has arrived, or the name is another.",
            [],
        )
    for field in fields_of(question):
        if field.column is None and field.name not in storage.maps:
            near = find_near_paths(field.name, database, question.project, settings)
            return f"No feedback has the path {field.name}.", near
    return "No feedback passes the filters within the period; widen them.", []


def _knows_any_path(
    project: str | None, database: Database, settings: Mapping[str, int | float]
) -> bool:
    parameters = Parameters()
    of = "true" if project is None else f"project = {parameters.text(project)}"
    sql = f"SELECT 1 FROM feedback_paths WHERE {of} LIMIT 1"
    return bool(database.query(sql, parameters.values, settings).rows)
