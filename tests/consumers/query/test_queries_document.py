"""query-language.md: every example in it runs and finds something."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from afterword_consumers.query import Cell, Database, Question, answer_question, to_sql

Row = Callable[..., dict[str, Any]]
Store = Callable[..., None]

_NOW = datetime(2026, 2, 10, tzinfo=UTC)
_TEXT: Final = (Path(__file__).parents[3] / "consumers" / "docs" / "query-language.md").read_text(
    encoding="utf-8"
)
_QUESTIONS: Final = re.findall(r"```python\n(.*?)\n```", _TEXT, re.DOTALL)
_STATEMENTS: Final = re.findall(r"```sql\n(.*?)\n```", _TEXT, re.DOTALL)


@pytest.fixture
def examples(store: Store, row: Row) -> None:
    """Feedback of all the kinds that the examples ask for."""
    store(
        [
            row(
                number,
                trace_id=f"tr-{number % 3}",
                value=number % 11 - 5,
                weight=(1.0, 0.4)[number % 2],
                prompt=f"v{number % 3}",
                environment=("prod", "test")[number % 2],
                feedback={
                    "score": number % 5,
                    "rating": number % 4 > 0,
                    "reason": ("slow", "wrong")[number % 2],
                    "comment": "Too SLOW",
                    "edits": [{"value": "Oslo"}, {"value": "Bergen"}],
                    "step2": {"retry": number % 3 == 0},
                },
                metadata={"model": f"m{number % 2}"},
                metrics={"accuracy": number / 40},
                created_at=_NOW - timedelta(hours=number),
            )
            for number in range(40)
        ]
    )


def test_the_document_has_examples() -> None:
    """The fences are found at all."""
    assert len(_QUESTIONS) == 11
    assert len(_STATEMENTS) == 5


@pytest.mark.usefixtures("examples")
@pytest.mark.parametrize("example", _QUESTIONS)
def test_example_questions_are_answered(analytics: Database, example: str) -> None:
    """Each example finds something, and its pasted SQL the same groups, counts, shares and means."""
    question = eval(example, {"Question": Question})  # the document's own text
    found = answer_question(question, analytics, _NOW)
    assert found.series
    for series in found.series:
        pasted = analytics.query(to_sql(series.statement), {}, {})
        answered = [column.name for column in series.columns]
        shared = [name for name in pasted.columns if name in answered]
        assert {"n", "bucket", "group_1", "value"} & {*answered} <= {*shared, "n"}
        assert _only(shared, pasted.columns, pasted.rows) == _only(shared, answered, series.rows)


@pytest.mark.usefixtures("examples")
@pytest.mark.parametrize("example", _STATEMENTS)
def test_example_statements_find_something(analytics: Database, example: str) -> None:
    """Each statement runs as it stands in the document."""
    assert analytics.query(example, {}, {}).rows


def _only(
    names: Sequence[str], columns: Sequence[str], rows: Sequence[Sequence[Cell]]
) -> list[list[Cell]]:
    """Return the cells of some columns."""
    return [[row[columns.index(name)] for name in names] for row in rows]
