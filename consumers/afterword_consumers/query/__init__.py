"""Ask ClickHouse about feedback: percentiles, shares and counts of any path, grouped by any other.

    from afterword_consumers.query import Question, answer, to_sql

    question = Question("feedback.score", project="acme", group_by=("metadata.model",), since="7d")
    found = answer(question, database, now)
    print(to_sql(found.statements[0]))

What users write never becomes SQL: column names come from a closed list, all else is a parameter.
Filters and groups see each feedback once, in its latest state, and never what was taken back.
"""

from afterword_consumers.query.answer.formats import as_csv, as_json, as_object, freshness_fields
from afterword_consumers.query.answer.freshness import Freshness
from afterword_consumers.query.answer.run import Answer, Series, answer
from afterword_consumers.query.answer.suggestions import did_you_mean, suggest
from afterword_consumers.query.columns import Column, Kind, tell_apart
from afterword_consumers.query.compile.catalogue import read_promoted, read_storage
from afterword_consumers.query.compile.measures import SeriesType
from afterword_consumers.query.compile.pasting import to_sql
from afterword_consumers.query.compile.statements import Budget, Statement, build
from afterword_consumers.query.database import Cell, Database, Parameter, Table
from afterword_consumers.query.language.errors import QuestionError
from afterword_consumers.query.language.question import Bucket, Question

__all__ = [
    "Answer",
    "Bucket",
    "Budget",
    "Cell",
    "Column",
    "Database",
    "Freshness",
    "Kind",
    "Parameter",
    "Question",
    "QuestionError",
    "Series",
    "SeriesType",
    "Statement",
    "Table",
    "answer",
    "as_csv",
    "as_json",
    "as_object",
    "build",
    "did_you_mean",
    "freshness_fields",
    "read_promoted",
    "read_storage",
    "suggest",
    "tell_apart",
    "to_sql",
]
