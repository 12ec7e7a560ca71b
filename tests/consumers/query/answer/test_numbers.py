"""Numbers: count, sum, mean with its interval, extremes and percentiles."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.consumers.query.conftest import NOW
from tests.examples import on_services

from afterword_consumers.query import Cell, Question, QuestionError, parse

Ask = Callable[..., list[dict[str, Cell]]]
Row = Callable[..., dict[str, Any]]
Store = Callable[..., None]

_scores = st.floats(-1e6, 1e6) | st.integers(-5, 5)


def test_ten_scores(store: Store, row: Row, ask: Ask) -> None:
    """The scores 1 to 10 give the statistics that a textbook gives."""
    store([row(score, feedback={"score": score}) for score in range(1, 11)])
    assert ask("feedback.score") == [
        {
            "n": 10,
            "sum": 55,
            "avg": 5.5,
            "avg_low": pytest.approx(5.5 - 2.262157 * 3.027650 / 10**0.5, abs=1e-3),
            "avg_high": pytest.approx(5.5 + 2.262157 * 3.027650 / 10**0.5, abs=1e-3),
            "median": 5.5,
            "min": 1,
            "max": 10,
            "p95": pytest.approx(9.55),
            "p98": pytest.approx(9.82),
            "p99": pytest.approx(9.91),
            "is_small": True,
        }
    ]


@pytest.mark.parametrize(
    ("n", "t"),
    [
        (2, 12.706),
        (3, 4.303),
        (4, 3.182),
        (5, 2.776),
        (6, 2.571),
        (11, 2.228),
        (31, 2.042),
        (101, 1.984),
    ],
)
def test_interval_is_students(store: Store, row: Row, ask: Ask, n: int, t: float) -> None:
    """Half the interval over the standard error is the t that tables print."""
    scores = [float(number % 2) for number in range(n)]
    store([row(number, feedback={"score": score}) for number, score in enumerate(scores)])
    (found,) = ask("feedback.score")
    error = float(np.std(scores, ddof=1)) / n**0.5
    assert (float(found["avg_high"] or 0) - float(found["avg_low"] or 0)) / 2 / error == (
        pytest.approx(t, abs=0.001)
    )


def test_one_score_has_no_interval(store: Store, row: Row, ask: Ask) -> None:
    """From one number nothing is known about its spread."""
    store([row(1, feedback={"score": 3})])
    (found,) = ask("feedback.score")
    assert (found["avg"], found["avg_low"], found["avg_high"]) == (3, None, None)


@on_services
@given(groups=st.dictionaries(st.sampled_from("abcdef"), st.lists(_scores, min_size=1), min_size=1))
def test_percentiles_are_numpys(
    store: Store, row: Row, ask: Ask, groups: dict[str, list[float]]
) -> None:
    """Each group, and all those past the top as one, has the numbers that numpy computes."""
    events = [(name, score) for name, scores in groups.items() for score in scores]
    rows = [
        row(number, feedback={"score": score}, prompt=name)
        for number, (name, score) in enumerate(events)
    ]
    store(rows[::2], rows[1::2]) if len(rows) > 1 else store(rows)
    ranked = sorted(groups, key=lambda name: (-len(groups[name]), name))
    rest = [score for name in ranked[3:] for score in groups[name]]
    expected = [(name, 0, groups[name]) for name in ranked[:3]]
    expected += [("other", len(ranked) - 3, rest)] if rest else []

    found = ask("feedback.score", group_by=("prompt",), top=3)

    assert found == [
        {"group_1": name, "other_groups": folded} | _reference(scores)
        for name, folded, scores in expected
    ]


def _reference(scores: list[float]) -> dict[str, Any]:
    levels = ("median", "p95", "p98", "p99")
    return {
        "n": len(scores),
        "is_small": len(scores) < 30,
        "sum": pytest.approx(np.sum(scores), rel=1e-9, abs=1e-6),
        "avg": pytest.approx(np.mean(scores), rel=1e-9, abs=1e-6),
        "min": np.min(scores),
        "max": np.max(scores),
        "avg_low": _Anything(),
        "avg_high": _Anything(),
        **{
            name: pytest.approx(percentile, rel=1e-12, abs=0)
            for name, percentile in zip(
                levels, np.percentile(scores, [50, 95, 98, 99]).tolist(), strict=True
            )
        },
    }


class _Anything:
    """Equal to whatever it is compared with."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


@on_services
@given(scores=st.lists(_scores, min_size=2, max_size=400))
def test_approximate_percentiles_keep_their_error(
    store: Store, row: Row, ask: Ask, scores: list[float]
) -> None:
    """A sketched percentile lies within 0.8 % of the values that stand at its rank."""
    rows = [
        row(number, feedback={"score": score}, prompt=f"p{number % 7}")
        for number, score in enumerate(scores)
    ]
    store(rows[::2], rows[1::2])
    for fields in ({}, {"group_by": ("prompt",), "top": 1}):
        for found in ask("feedback.score", approximate=True, **fields):
            shown = {"p0"} if found.get("group_1") == "p0" else {f"p{n}" for n in range(1, 7)}
            mine = [
                score
                for score, each in zip(scores, rows, strict=True)
                if not fields or each["prompt"] in shown
            ]
            for name, level in (("median", 50), ("p95", 95), ("p98", 98), ("p99", 99)):
                low = np.percentile(mine, level, method="lower")
                high = np.percentile(mine, level, method="higher")
                near = float(found[name] or 0)
                assert low - 0.008 * abs(low) - 1e-38 <= near <= high + 0.008 * abs(high) + 1e-38


def test_approximate_percentiles_of_skewed_numbers(store: Store, row: Row, ask: Ask) -> None:
    """Where the p99 is thousands of times the median, both are within 0.8 %."""
    scores = np.random.default_rng(7).lognormal(0, 4, 5000)
    store([row(number, feedback={"score": score}) for number, score in enumerate(scores.tolist())])
    (found,) = ask("feedback.score", approximate=True)
    exact = np.percentile(scores, [50, 95, 98, 99])
    assert exact[3] > 5000 * exact[0]
    near = [found[name] for name in ("median", "p95", "p98", "p99")]
    assert near == pytest.approx(exact.tolist(), rel=0.008)


_draw = np.random.default_rng(3)


@pytest.mark.parametrize(
    "scores",
    [
        pytest.param(_draw.lognormal(0, 4, 100_001), id="many and skewed"),
        pytest.param(
            np.where(_draw.random(999) < 0.5, -1e15, 1e-3) * _draw.random(999), id="signs"
        ),
        pytest.param(1e12 + _draw.random(1000), id="large numbers close together"),
        pytest.param(np.repeat([1.0, 1e6], [9500, 500]), id="a step beside the p95"),
        pytest.param(np.repeat([0.0, 1e6], [50, 50]), id="a step at the median"),
        pytest.param(np.array([5e-324, 1e-323, 1.5e-323]), id="the least numbers there are"),
        pytest.param(np.array([-1.7e308, 1.0, 1.7e308]), id="the largest"),
    ],
)
def test_percentiles_of_nasty_numbers_are_numpys(
    store: Store, row: Row, ask: Ask, scores: "np.typing.NDArray[np.float64]"
) -> None:
    """ClickHouse's exact percentiles are numpy's within 1e-12 of the value, whatever the data."""
    made = row(1)
    store(
        [
            {**made, "feedback_id": str(UUID(int=n)), "numbers": {"feedback.score": score}}
            for n, score in enumerate(scores.tolist())
        ]
    )
    (found,) = ask("feedback.score")
    percentiles = [found[name] for name in ("median", "p95", "p98", "p99")]
    exact = np.percentile(scores, [50, 95, 98, 99]).tolist()
    assert percentiles == [pytest.approx(each, rel=1e-12, abs=0) for each in exact]


def test_wildcard_takes_every_position(store: Store, row: Row, ask: Ask) -> None:
    """`*` gathers the positions of an array, over all feedback, and no key that is no position."""
    store(
        [
            row(1, feedback={"edits": [{"score": 1}, {"score": 3}]}),
            row(2, feedback={"edits": [{"score": 5, "note": 9}], "edits_x": 100}),
            row(3, feedback={"edits": {"first": {"score": 100}}}),
        ]
    )
    (found,) = ask("feedback.edits.*.score")
    assert (found["n"], found["sum"], found["max"]) == (3, 9, 5)


def test_wildcard_takes_the_other_steps_literally(store: Store, row: Row, ask: Ask) -> None:
    """Signs that mean something in a pattern mean themselves in a path."""
    store([row(1, feedback={"a+(b": [1, 2], "aa(b": [100], "c": [100]})])
    assert [found["sum"] for found in ask("feedback.a+(b.*")] == [3]
    assert ask("feedback.x|c.*") == []


def test_value_and_weight_are_numbers(store: Store, row: Row, ask: Ask) -> None:
    """The columns value and weight have the statistics of numbers, where value is given."""
    store([row(1, value=-3, weight=0.5), row(2, value=4), row(3)])
    assert [(found["n"], found["sum"]) for found in ask("value")] == [(2, 1)]
    assert [(found["n"], found["sum"]) for found in ask("weight")] == [(3, 2.5)]


def test_time_is_no_measure() -> None:
    """A time has no statistics, and the error says to take a bucket."""
    with pytest.raises(QuestionError, match="with a bucket"):
        parse(Question("created_at"), NOW)
