"""Ask ClickHouse about feedback: percentiles, shares and counts of any path, grouped by any other.

    from afterword_consumers.query import Question, parse, run_plan, to_sql

    question = Question("feedback.score", project="acme", group_by=("metadata.model",), since="7d")
    plan = parse(question, now)             # language: what users write, read once
    answer = run_plan(plan, database)       # compile: statements from it; answer: what they found
    print(to_sql(answer.statements[0]))

What users write never becomes SQL: column names come from a closed list, all else is a parameter.
Filters and groups see each feedback once, in its latest state, and never what was taken back.
"""

from afterword_consumers.query.answer.columns import Column, Kind, tell_apart
from afterword_consumers.query.answer.formats import as_csv, as_json, as_object, freshness_fields
from afterword_consumers.query.answer.run import (
    Answer,
    Freshness,
    Series,
    answer_question,
    run_plan,
)
from afterword_consumers.query.answer.suggestions import did_you_mean, suggest
from afterword_consumers.query.compile.measures import SeriesType
from afterword_consumers.query.compile.statements import Statement, compile_plan, to_sql
from afterword_consumers.query.compile.storage import read_promoted, read_storage
from afterword_consumers.query.database import Budget, Cell, Database, Parameter, Table
from afterword_consumers.query.language.parse import Plan, parse
from afterword_consumers.query.language.question import Bucket, Question, QuestionError

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
    "Plan",
    "Question",
    "QuestionError",
    "Series",
    "SeriesType",
    "Statement",
    "Table",
    "answer_question",
    "as_csv",
    "as_json",
    "as_object",
    "compile_plan",
    "did_you_mean",
    "freshness_fields",
    "parse",
    "read_promoted",
    "read_storage",
    "run_plan",
    "suggest",
    "tell_apart",
    "to_sql",
]
