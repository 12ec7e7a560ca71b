"""Weighted feedback: the average of value by weight, and the count of each pair of the two."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import on_services

from afterword_consumers.query import (
    Database,
    Question,
    answer_question,
    compile_plan,
    parse,
    to_sql,
)

Row = Callable[..., dict[str, Any]]
Store = Callable[..., None]

_NOW = datetime(2026, 2, 10, tzinfo=UTC)
_votes = st.tuples(st.integers(-10, 10), st.sampled_from([0.0, 0.1, 0.25, 0.4, 1.0]))


def test_average_and_pairs(store: Store, row: Row, analytics: Database) -> None:
    """4 at weight 1 twice and -2 at weight 0.5 average to 2.8, in two pairs."""
    votes = [(4, 1.0), (4, 1.0), (-2, 0.5)]
    store([row(number, value=value, weight=weight) for number, (value, weight) in enumerate(votes)])
    average, pairs = answer_question(Question("weighted"), analytics, _NOW).series
    assert average.rows[0][:3] == (3, 2.5, 2.8)
    assert [row[:3] for row in pairs.rows] == [("4:1", 0, 2), ("-2:0.5", 0, 1)]


def test_equally_frequent_pairs_come_by_number(store: Store, row: Row, analytics: Database) -> None:
    """Of pairs that are as frequent the lower value comes first, then the lower weight; 9 before 10."""
    votes = [(10, 1.0), (9, 1.0), (9, 0.25), (-2, 1.0), (0, 1.0), (0, 1.0)]
    store([row(number, value=value, weight=weight) for number, (value, weight) in enumerate(votes)])
    _, pairs = answer_question(Question("weighted"), analytics, _NOW).series
    assert [row[0] for row in pairs.rows] == ["0:1", "-2:1", "9:0.25", "9:1", "10:1"]


def test_no_weight_is_null_in_sql(store: Store, row: Row, analytics: Database) -> None:
    """Where the weights sum to 0 the pasted SQL and the view say NULL, not NaN."""
    store([row(1, value=3, weight=0)])
    statement, _ = compile_plan(parse(Question("weighted"), _NOW))
    view = (
        "SELECT * FROM weighted_feedback(project = '', group_by = '', since = '2026-01-01', "
        "until = '2027-01-01')"
    )
    for sql in (to_sql(statement), view):
        found = analytics.query(f"SELECT weighted_avg IS NULL FROM ({sql})", {}, {})
        assert found.rows == ((1,),)


def test_equal_weights_have_the_plain_interval(store: Store, row: Row, analytics: Database) -> None:
    """With one weight for all, the weighted mean and its interval are those of the plain mean."""
    store([row(number, value=number, weight=0.3) for number in range(8)])
    average, _ = answer_question(Question("weighted"), analytics, _NOW).series
    (plain,) = answer_question(Question("value"), analytics, _NOW).series
    assert average.rows[0][2:5] == pytest.approx(plain.rows[0][2:5])


def test_pairs_of_one_trace(store: Store, row: Row, analytics: Database) -> None:
    """Grouped by trace, each trace has its pairs; feedback without a value makes none."""
    store(
        [
            row(1, trace_id="t1", value=5),
            row(2, trace_id="t1", value=5, weight=0.4),
            row(3, trace_id="t2", value=-5),
            row(4, trace_id="t2", feedback={"liked": False}),
        ]
    )
    _, pairs = answer_question(Question("weighted", group_by=("trace_id",)), analytics, _NOW).series
    assert [(trace, pair, n) for trace, _, pair, _, n, *_ in pairs.rows] == [
        ("t1", "5:0.4", 1),
        ("t1", "5:1", 1),
        ("t2", "-5:1", 1),
    ]


@on_services
@given(votes=st.lists(_votes, min_size=1, max_size=60))
def test_average_is_numpys(
    store: Store, row: Row, analytics: Database, votes: list[tuple[int, float]]
) -> None:
    """The average is numpy's, NULL where no weight is above 0, and lies in its interval."""
    store([row(number, value=value, weight=weight) for number, (value, weight) in enumerate(votes)])
    average, pairs = answer_question(Question("weighted", top=1000), analytics, _NOW).series
    ((n, weight_sum, mean, low, high, _),) = average.rows
    values, weights = np.array(votes).T
    assert n == len(votes)
    assert weight_sum == pytest.approx(weights.sum())
    assert {pair: count for pair, _, count, *_ in pairs.rows} == Counter(
        f"{value}:{weight:g}" for value, weight in votes
    )
    if not weights.any():
        assert (mean, low, high) == (None, None, None)
        return
    assert mean == pytest.approx(np.average(values, weights=weights), abs=1e-9)
    counted = int((weights > 0).sum())
    if counted > 5:
        squares = (weights**2 * (values - float(mean or 0)) ** 2).sum() / weights.sum() ** 2
        freedom = counted - 1
        t = 1.959964 + 2.372271 / freedom + 2.822499 / freedom**2
        spread = t * (squares * counted / freedom) ** 0.5
        assert float(high or 0) - float(mean or 0) == pytest.approx(spread, rel=0.02, abs=1e-6)
