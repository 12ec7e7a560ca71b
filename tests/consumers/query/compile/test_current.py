"""Only the latest state of each feedback counts, and nothing that was taken back."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import on_services

from afterword_consumers.query import Cell, Database, Question, compile_plan, parse, to_sql

Ask = Callable[..., list[dict[str, Cell]]]
Row = Callable[..., dict[str, Any]]
Store = Callable[..., None]

_NOW = datetime(2026, 2, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "where",
    [
        "feedback.score = 1",
        "prompt = old",
        "trace_id = old",
        "session_id = old",
        "user_id = old",
        "created_at < 2026-02-01",
        "value < 2",
    ],
)
def test_a_filter_never_finds_a_former_state(store: Store, row: Row, ask: Ask, where: str) -> None:
    """What a filter matches is what was last said, also where an index knows the former state."""
    texts = ("prompt", "trace_id", "session_id", "user_id")
    old = row(1, value=1, feedback={"score": 1}, **dict.fromkeys(texts, "old"))
    new = row(
        1,
        version=2,
        value=2,
        feedback={"score": 2},
        created_at=datetime(2026, 2, 5, tzinfo=UTC),
        **dict.fromkeys(texts, "new"),
    )
    store([old], [new])
    assert ask("count", where=(where,)) == []
    assert ask("value") == ask("value", where=("value = 2",)) != []
    store([new], [old])
    assert ask("count", where=(where,)) == []


_operations = st.lists(
    st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 5)), min_size=1, max_size=20
)


@on_services
@given(operations=_operations, order=st.randoms(use_true_random=False))
def test_the_newest_wins_in_any_order(
    store: Store, row: Row, ask: Ask, operations: list[tuple[int, bool, int]], order: Any
) -> None:
    """However states arrive, the sum is that of the newest ones which were not taken back."""
    rows = [
        row(number, version=version, value=value, is_deleted=int(deleted))
        for version, (number, deleted, value) in enumerate(operations)
    ]
    state = {number: None if deleted else value for number, deleted, value in operations}
    kept = [value for value in state.values() if value is not None]
    order.shuffle(rows)
    store(*([each] for each in rows))
    assert [(each["n"], each["sum"]) for each in ask("value")] == (
        [(len(kept), sum(kept))] if kept else []
    )
    high = [value for value in kept if value >= 3]
    assert [each["n"] for each in ask("value", where=("value >= 3",))] == (
        [len(high)] if high else []
    )


def test_a_project_is_found_by_the_primary_key(store: Store, row: Row, analytics: Database) -> None:
    """The project prunes what is read although the view collapses states first."""
    store([row(1, value=1), row(2, value=1, project="globex")])
    (statement,) = compile_plan(parse(Question("value", project="acme"), _NOW))
    plan = analytics.query(f"EXPLAIN indexes = 1 {to_sql(statement)}", {}, {})
    text = "\n".join(str(line) for (line,) in plan.rows)
    assert "(project in ['acme', 'acme'])" in text
    assert "FINAL: 1" in text


def test_projects_are_apart(store: Store, row: Row, ask: Ask) -> None:
    """A question of one project sees nothing of another; without one it sees all."""
    store([row(1, value=1), row(2, value=5, project="globex")])
    assert [each["sum"] for each in ask("value", project="acme")] == [1]
    assert [each["sum"] for each in ask("value")] == [6]
