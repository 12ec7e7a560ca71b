"""Two groups set against each other: differences, intervals and tests."""

import math
import statistics
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from scipy import stats

from afterword_consumers.query import (
    Cell,
    Database,
    Question,
    QuestionError,
    SeriesType,
    answer_question,
    parse,
)

Row = Callable[..., dict[str, Any]]
Store = Callable[..., None]
Ask = Callable[..., list[dict[str, Cell]]]

_NOW = datetime(2026, 2, 10, tzinfo=UTC)


def day(number: int) -> datetime:
    """Return the beginning of a day of January."""
    return datetime(2026, 1, number, tzinfo=UTC)


def _thumbs(row: Row, prompt: str, ups: int, downs: int, start: int) -> list[dict[str, Any]]:
    return [
        row(start + number, prompt=prompt, feedback={"liked": number < ups})
        for number in range(ups + downs)
    ]


def test_newcombes_published_example(store: Store, row: Row, ask: Ask) -> None:
    """56 of 70 against 48 of 80 differ by 20 points, from 5.24 to 33.39 (Newcombe 1998, method 10)."""
    store(_thumbs(row, "v1", 48, 32, 0) + _thumbs(row, "v2", 56, 14, 100))
    (found,) = ask("feedback.liked", compare="metadata._prompt = v1, v2")
    assert found == {
        "n_first": 80,
        "n_second": 70,
        "true_percent_first": pytest.approx(60),
        "true_percent_second": pytest.approx(80),
        "difference": pytest.approx(20),
        "difference_low": pytest.approx(5.24, abs=0.005),
        "difference_high": pytest.approx(33.39, abs=0.005),
        # of chi squared = (56 * 32 - 48 * 14)^2 * 149 / (104 * 46 * 70 * 80) = 6.97658
        "p_value": pytest.approx(math.erfc(math.sqrt(6.97658 / 2)), rel=1e-5),
        "is_small": False,
    }


@pytest.mark.parametrize("sizes", [(2, 3), (17, 40), (750, 750)])
def test_welchs_test(store: Store, row: Row, ask: Ask, sizes: tuple[int, int]) -> None:
    """Difference, interval and p-value of two means are SciPy's of the stored numbers."""
    first, second = ([n % 13 + 0.2 * at for n in range(size)] for at, size in enumerate(sizes))
    values = [("v1", value) for value in first] + [("v2", value) for value in second]
    store([row(n, prompt=p, feedback={"score": value}) for n, (p, value) in enumerate(values)])
    (found,) = ask("feedback.score", compare="prompt=v1,v2")
    test = stats.ttest_ind(second, first, equal_var=False)
    exact = test.confidence_interval(0.95)
    assert (found["avg_first"], found["avg_second"]) == pytest.approx(
        (statistics.mean(first), statistics.mean(second))
    )
    assert found["difference"] == pytest.approx(
        statistics.mean(second) - statistics.mean(first), abs=1e-12
    )
    ends = (found["difference_low"], found["difference_high"])
    assert ends == pytest.approx((exact.low, exact.high))
    assert found["p_value"] == pytest.approx(test.pvalue)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([19.99] * 40, [19.99] * 40),
        ([3.3] * 100, [3.3] * 77),
        ([0.0] * 40, [0.0] * 40),
        ([5.0] * 40, [7.0] * 40),
        ([1e200, 2e200], [1e200, 3e200]),
        ([1.7e308] * 3, [-1.7e308] * 3),
        ([1.0], [2.0, 3.0]),
    ],
)
def test_without_spread_there_is_no_test(
    store: Store, row: Row, ask: Ask, first: list[float], second: list[float]
) -> None:
    """What all agree on, one value, and what overflows: no interval and no p-value, and no error."""
    values = [("v1", value) for value in first] + [("v2", value) for value in second]
    store([row(n, prompt=p, feedback={"x": value}) for n, (p, value) in enumerate(values)])
    (found,) = ask("feedback.x", compare="prompt=v1,v2")
    assert (found["difference_low"], found["difference_high"], found["p_value"]) == (None,) * 3
    if first[0] == second[0]:
        assert found["difference"] in {0, None} or len(first) == 2


@pytest.mark.parametrize("offset", [0.0, 1e7, 1e9, 1e12])
def test_large_numbers_that_lie_close_are_told_apart(
    store: Store, row: Row, ask: Ask, offset: float
) -> None:
    """Times in seconds or milliseconds have the p-value that their differences have."""
    first = [offset + number % 8 for number in range(100)]
    second = [offset + (number % 8) + 0.75 for number in range(100)]
    values = [("v1", value) for value in first] + [("v2", value) for value in second]
    store([row(n, prompt=p, feedback={"x": value}) for n, (p, value) in enumerate(values)])
    (found,) = ask("feedback.x", compare="prompt=v1,v2")
    near = [number % 8 for number in range(100)]
    test = stats.ttest_ind([number + 0.75 for number in near], near, equal_var=False)
    assert found["difference"] == pytest.approx(0.75, abs=2e-3)
    assert found["p_value"] == pytest.approx(test.pvalue, rel=0.02)


def test_a_text_and_a_number_are_two_groups(store: Store, row: Row, ask: Ask) -> None:
    """Where the path may hold both."""
    store(
        [
            row(1, metadata={"v": 1}, feedback={"score": 3}),
            row(2, metadata={"v": "1"}, feedback={"score": 5}),
        ]
    )
    (found,) = ask("feedback.score", compare="metadata.v = 1, '1'")
    assert (found["avg_first"], found["avg_second"]) == (3, 5)


def test_rounding_is_no_difference(store: Store, row: Row, ask: Ask) -> None:
    """The mean of 20,000 times 0.1 is that of three times 0.1."""
    store([row(n, prompt="v1" if n > 2 else "v2", feedback={"x": 0.1}) for n in range(20_003)])
    (found,) = ask("feedback.x", compare="prompt=v1,v2")
    assert (found["avg_first"], found["difference"]) == (0.1, 0)


def test_weighted_means_without_spread(store: Store, row: Row, ask: Ask) -> None:
    """Certainty never comes of rounding, nor of a single vote."""
    votes = [("v1", 3, 0.1)] * 40 + [("v2", 3, 0.7)] * 40
    store([row(n, prompt=p, value=v, weight=w) for n, (p, v, w) in enumerate(votes)])
    (found,) = ask("weighted", compare="prompt=v1,v2")
    assert (found["difference"], found["difference_low"], found["p_value"]) == (0, None, None)
    store(
        [row(1, prompt="v1", value=3, weight=0.1), *(row(n, prompt="v2", value=n) for n in (2, 3))]
    )
    (found,) = ask("weighted", compare="prompt=v1,v2")
    assert found["difference"] == pytest.approx(-0.5)
    assert (found["difference_low"], found["p_value"]) == (None, None)


def test_second_against_first(store: Store, row: Row, ask: Ask) -> None:
    """Named the other way round, the difference, its interval and nothing else change sign."""
    store(_thumbs(row, "v1", 5, 35, 0) + _thumbs(row, "v2", 20, 20, 100))
    (found,) = ask("feedback.liked", compare="prompt=v1,v2")
    (turned,) = ask("feedback.liked", compare="prompt=v2,v1")
    assert turned["difference"] == pytest.approx(-float(found["difference"] or 0))
    assert turned["difference_low"] == pytest.approx(-float(found["difference_high"] or 0))
    assert turned["p_value"] == pytest.approx(found["p_value"])


def test_few_of_a_kind_are_marked(store: Store, row: Row, ask: Ask) -> None:
    """4 of 276 against none of 265: large groups, but too few thumbs down to tell from chance."""
    store(_thumbs(row, "v1", 272, 4, 0) + _thumbs(row, "v2", 265, 0, 1000))
    (found,) = ask("feedback.liked", compare="prompt=v1,v2")
    assert found["is_small"] is True


def test_shares_of_texts(store: Store, row: Row, ask: Ask) -> None:
    """Each value's share is of the texts of the same side, whatever the values it is beside."""
    reasons = [("v1", "slow")] * 30 + [("v1", "wrong")] * 10 + [("v2", "slow")] * 10
    reasons += [("v2", "wrong")] * 30
    store(
        [
            row(number, prompt=prompt, feedback={"reason": reason})
            for number, (prompt, reason) in enumerate(reasons)
        ]
    )
    found = ask("feedback.reason", compare="prompt=v1,v2")
    assert [
        (each["value"], each["percent_first"], each["percent_second"], each["difference"])
        for each in found
    ] == [("slow", 75, 25, -50), ("wrong", 25, 75, 50)]
    assert {each["is_small"] for each in found} == {False}


def test_weighted_means(store: Store, row: Row, analytics: Database) -> None:
    """Weighted feedback differs as its weighted means do; values without weight count for nothing."""
    votes = [("v1", 2, 1.0), ("v1", 4, 0.5), ("v1", 9, 0.0), ("v2", 8, 0.25), ("v2", 6, 0.75)]
    store(
        [
            row(number, prompt=prompt, value=value, weight=weight)
            for number, (prompt, value, weight) in enumerate(votes)
        ]
    )
    (series,) = answer_question(
        Question("weighted", compare="prompt=v1,v2"), analytics, _NOW
    ).series
    assert series.type == SeriesType.WEIGHTED
    found = dict(zip([column.name for column in series.columns], series.rows[0], strict=True))
    assert found["weighted_avg_first"] == pytest.approx(4 / 1.5)
    assert found["weighted_avg_second"] == pytest.approx(6.5)
    difference = 6.5 - 4 / 1.5
    first = 2 / 1 * (1 * (2 - 4 / 1.5) ** 2 + 0.25 * (4 - 4 / 1.5) ** 2) / 1.5**2
    second = 2 / 1 * (0.25**2 * 1.5**2 + 0.75**2 * 0.5**2) / 1**2
    error = math.sqrt(first + second)
    assert found["difference"] == pytest.approx(difference)
    assert found["difference_low"] == pytest.approx(difference - 1.959964 * error)
    assert found["p_value"] == pytest.approx(math.erfc(difference / error / math.sqrt(2)))


def test_in_groups_and_buckets(store: Store, row: Row, ask: Ask) -> None:
    """A comparison is made in each group and bucket; a side that is empty there compares as nothing."""
    store(
        _thumbs(row, "v1", 1, 1, 0)
        + _thumbs(row, "v2", 2, 0, 10)
        + [row(20, prompt="v1", feedback={"liked": True}, environment="prod")]
        + [row(30, prompt="v3", feedback={"liked": True}, environment="prod")]
    )
    found = ask("feedback.liked", compare="prompt=v1,v2", group_by=("environment",), bucket="day")
    assert [
        (each["bucket"], each["group_1"], each["n_first"], each["n_second"], each["difference"])
        for each in found
    ] == [("2026-01-31", None, 2, 2, 50), ("2026-01-31", "prod", 1, 0, None)]
    assert found[1]["p_value"] is None


def test_sides_without_spread(store: Store, row: Row, ask: Ask) -> None:
    """Where all agree there is a difference, and no test that could say more."""
    store([row(n, prompt=f"v{1 + n % 2}", feedback={"score": 3, "liked": True}) for n in range(8)])
    (scores,) = ask("feedback.score", compare="prompt=v1,v2")
    assert (scores["difference"], scores["p_value"]) == (0, None)
    (thumbs,) = ask("feedback.liked", compare="prompt=v1,v2")
    assert (thumbs["difference"], thumbs["p_value"]) == (0, None)


def test_the_period_before_is_as_long(store: Store, row: Row, ask: Ask) -> None:
    """Each day belongs to one of the two, its beginning included; what is older to neither."""
    votes = [(at, at % 2 == 0) for at in range(1, 11)]
    store([row(n, created_at=day(at), feedback={"liked": up}) for n, (at, up) in enumerate(votes)])
    (found,) = ask("feedback.liked", compare="before", since="2026-01-06", until="2026-01-10")
    assert (found["n_first"], found["n_second"]) == (4, 4)
    (found,) = ask("feedback.liked", compare="before", since="2026-01-08", until="2026-01-10")
    assert (found["n_first"], found["n_second"]) == (2, 2)
    assert (found["true_percent_first"], found["true_percent_second"]) == (50, 50)
    rows = ask(
        "feedback.liked",
        compare="before",
        since="2026-01-09",
        until="2026-01-11",
        group_by=("prompt",),
    )
    assert [(found["n_first"], found["n_second"]) for found in rows] == [(2, 2)]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "needs a beginning"),
        ({"since": "7d", "bucket": "day"}, "lies in one of the two"),
        ({"since": "2026-03-01"}, "has not begun"),
    ],
)
def test_a_period_without_a_before_is_refused(fields: dict[str, Any], says: str) -> None:
    """It says what to write instead."""
    with pytest.raises(QuestionError, match=says):
        parse(Question("thumbs", compare="before", **fields), _NOW)


def test_the_period_before_begins_in_1970_at_the_earliest() -> None:
    """No question names an earlier moment."""
    plan = parse(Question("thumbs", compare="before", since="1971-01-01"), _NOW)
    assert plan.since is not None
    assert plan.since.at == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("kind", ["metadata.temperature = 1, 2", "feedback.liked = true, false"])
def test_sides_by_any_type(store: Store, row: Row, ask: Ask, kind: str) -> None:
    """Numbers and booleans tell the sides apart as text does."""
    store(
        [
            row(n, feedback={"score": n, "liked": n % 2 == 1}, metadata={"temperature": 2 - n % 2})
            for n in range(4)
        ]
    )
    (found,) = ask("feedback.score", compare=kind)
    assert (found["avg_first"], found["avg_second"]) == (2, 1)


@pytest.mark.parametrize(
    ("compare", "says"),
    [
        ("prompt", "names no values"),
        ("prompt = v1", "names 1"),
        ("prompt = v1, v2, v3", "names 3"),
        ("prompt = v1, v1", "Both groups"),
        ("prompt = 1, '1'", "Both groups"),
        ("value = 1, 1.0", "Both groups"),
        ("metadata.v = 1, 1.0", "Both groups"),
        (
            "feedback_id = 5F0E2F0A-0000-4000-8000-000000000001, 5f0e2f0a-0000-4000-8000-000000000001",
            "Both groups",
        ),
        ("prompt > v1, v2", "names no values"),
        ("prompt = v1,", "names no values"),
        ("= v1, v2", "names no values"),
        ("", "names no values"),
        ("created_at = 1d, 2d", "is a time"),
        ("nonsense = a, b", "neither a path nor a column"),
        ("feedback.edits.*.value = a, b", "wildcard"),
        ("value = up, down", "is a number"),
    ],
)
def test_a_comparison_of_nothing_is_refused(analytics: Database, compare: str, says: str) -> None:
    """A comparison that cannot be made is refused with what to write."""
    with pytest.raises(QuestionError, match=says):
        answer_question(Question("feedback.liked", compare=compare), analytics, _NOW)


def test_counts_are_not_compared() -> None:
    """Of a count there is no rate or mean."""
    with pytest.raises(QuestionError, match="count"):
        parse(Question("count", compare="prompt = v1, v2"), _NOW)
