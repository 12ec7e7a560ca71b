"""Find what preference pairs are made of: who chose what, and what else is known of the trace.

One query reads the feedback that chose, and joins to each what the other feedback of its trace says.
"""

import re
from dataclasses import dataclass
from typing import Final

from afterword_consumers.explore.traces import GROUND_TRUTH
from afterword_consumers.export.selection import (
    SETTINGS,
    StreamingDatabase,
    select,
)
from afterword_consumers.query import Plan, QuestionError
from afterword_consumers.query.compile.parameters import Parameters, of_project
from afterword_consumers.query.compile.source import Source
from afterword_consumers.query.compile.storage import MAPS
from afterword_consumers.query.language.fields import resolve

EDIT: Final = re.compile(r"feedback\.edits\.([0-9]+)\.(value|original)")
"""Where SDK and browser snippet put an edit: what the answer became, and what it was."""


_NO_SPACE: Final = r"[^\\t-\\r\\x1C-\\x20\\x85\\pZ]"
"""What `str.strip` leaves, in the terms of RE2 within quotes of SQL."""


@dataclass(frozen=True, slots=True)
class PairPaths:
    """Where the texts of a pair stand that are no feedback themselves.

    Attributes:
        prompt: The path of what the model was asked.
        answer: The path of what the model answered, where an edit does not say it.

    Raises:
        QuestionError: One is no path or column.
    """

    prompt: str = "metadata.input"
    answer: str = "metadata.output"

    def __post_init__(self) -> None:
        for name in (self.prompt, self.answer):
            if resolve(name).is_wildcard:
                raise QuestionError(
                    f"{name!r} has a wildcard, and a pair has one text there.",
                    "Name one position, such as feedback.edits.0.original.",
                )


def count_candidates(selection: Plan, database: StreamingDatabase) -> int:
    """Return how many feedback events hold an edit or a ground truth; errors as for `select`."""
    parameters = Parameters()
    sql = f"SELECT count() FROM ({_chosen('1', selection, parameters)})"
    ((events,),) = database.query(sql, parameters.values, SETTINGS).rows
    return int(events or 0)


def pairs_sql(selection: Plan, paths: PairPaths, parameters: Parameters) -> str:
    """Return the query whose rows are candidates; errors as for `select`.

    Its columns are project, feedback_id, trace_id, ground_truth, edits by path, and the prompt and answer of
    the feedback itself; then of the trace how many different prompts it has, one of them and the id of
    the first feedback with one, and the same of its answers.
    """
    prompt, answer = (
        Source(parameters).text(resolve(name)) for name in (paths.prompt, paths.answer)
    )
    chosen = _chosen(
        f"project, feedback_id, trace_id, {prompt} AS own_prompt, {answer} AS own_answer",
        selection,
        parameters,
    )
    return f"""\
SELECT e.project, toString(e.feedback_id), e.trace_id, e.ground_truth, e.edits, e.own_prompt, e.own_answer,
    (t.prompts, t.a_prompt, t.prompt_id), (t.answers, t.an_answer, t.answer_id)
FROM (
{chosen}
) AS e
LEFT JOIN (
    SELECT project, trace_id, {_of_trace("said", "prompts", "a_prompt", "prompt_id")},
        {_of_trace("answered", "answers", "an_answer", "answer_id")}
    FROM (
        SELECT project, trace_id, feedback_id, {_present(prompt)} AS said, {_present(answer)} AS answered
        FROM feedback_current
        WHERE {of_project(selection.project, parameters)} AND trace_id != '' AND trace_id IN (SELECT trace_id FROM (
{chosen}
        ))
    )
    GROUP BY project, trace_id
) AS t ON e.project = t.project AND e.trace_id = t.trace_id
ORDER BY e.project, toUInt128(e.feedback_id)"""


def _chosen(columns: str, selection: Plan, parameters: Parameters) -> str:
    """Return the query for the feedback selected that holds a ground truth or an edit."""
    truth = Source(parameters).text(resolve(GROUND_TRUTH))
    inner = select(
        f"{columns}, {truth} AS ground_truth, {_edits(parameters)} AS edits",
        selection,
        parameters,
    )
    return f"SELECT *\nFROM (\n{inner}\n)\nWHERE ground_truth IS NOT NULL OR notEmpty(edits)"


def _edits(parameters: Parameters) -> str:
    """Return the texts of edits by path, numbers and booleans as `as_text` writes them."""
    pattern = parameters.text(f"^{EDIT.pattern}$")
    found = [
        f"mapFilter((path, leaf) -> match(path, {pattern}), {column})" for column in MAPS.values()
    ]
    texts = [f"mapApply((path, leaf) -> (path, toString(leaf)), {edits})" for edits in found]
    return f"mapConcat({', '.join(texts)})"


def _present(text: str) -> str:
    return f"if(match({text}, '{_NO_SPACE}'), {text}, NULL)"


def _of_trace(text: str, texts: str, one: str, feedback_id: str) -> str:
    """Return how many different texts a trace has, and the first of them with its feedback."""
    has = f"{text} IS NOT NULL"
    return (
        f"uniqExact({text}) AS {texts}, "
        f"argMinIf(assumeNotNull({text}), toUInt128(feedback_id), {has}) AS {one}, "
        f"toString(argMinIf(feedback_id, toUInt128(feedback_id), {has})) AS {feedback_id}"
    )
