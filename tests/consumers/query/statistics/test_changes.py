"""A planted change is found where it is, and chance alone is rarely taken for one."""

from collections.abc import Iterator

import numpy as np
import pytest

from afterword_consumers.query.statistics.changes import LEVEL, find_change
from afterword_consumers.query.statistics.intervals import Share

_DAYS, _FIRST, _GROUPS = 28, 14, 8
_SEEDS = 300


def _course(
    dice: np.random.Generator, shares: "np.ndarray[tuple[int], np.dtype[np.float64]]", votes: int
) -> list[Share]:
    counts = dice.poisson(votes, len(shares))
    return [
        Share(int(dice.binomial(n, share)), int(n)) for n, share in zip(counts, shares, strict=True)
    ]


def _unchanged(spread: float) -> Iterator[dict[str, list[Share]]]:
    """Yield courses of groups whose days differ by chance, and by a beta distribution beside."""
    for seed in range(_SEEDS):
        dice = np.random.default_rng(seed)
        courses = {}
        for group in range(_GROUPS):
            mean = dice.uniform(0.3, 0.9)
            shares = np.full(_DAYS, mean)
            if spread:
                shares = dice.beta(mean / spread, (1 - mean) / spread, _DAYS)
            courses[f"g{group}"] = _course(dice, shares, int(dice.choice([5, 40, 300])))
        yield courses


@pytest.mark.parametrize("spread", [0, 0.01])
def test_chance_is_rarely_taken_for_a_change(spread: float) -> None:
    """Of eight groups over four weeks; also where days differ more than votes alone would make them."""
    alarms = sum(find_change(courses, _FIRST) is not None for courses in _unchanged(spread))
    # Three standard errors above the promise.
    assert alarms <= _SEEDS * LEVEL + 3 * (_SEEDS * LEVEL) ** 0.5


@pytest.mark.parametrize("points", [-24, -12, 12])
def test_a_planted_change_is_found_where_it_is(points: int) -> None:
    """In its group, within a day of its beginning, with an interval that holds the truth."""
    found, near, held = 0, 0, 0
    seeds = 100
    for seed in range(seeds):
        dice = np.random.default_rng(seed)
        courses = {
            f"g{group}": _course(dice, np.full(_DAYS, 0.7), 120) for group in range(_GROUPS - 1)
        }
        at = int(dice.integers(_FIRST + 2, _DAYS - 3))
        shares = np.where(np.arange(_DAYS) < at, 0.7, 0.7 + points / 100)
        courses["changed"] = _course(dice, shares, 120)
        answer = find_change(courses, _FIRST)
        if answer is None or answer[0] != "changed":
            continue
        change = answer[1]
        assert change.contrast.interval is not None
        low, high = change.contrast.interval
        found += 1
        near += abs(change.at - at) <= 1
        held += low <= points <= high
    assert found >= 0.97 * seeds
    assert near >= 0.85 * found
    assert held >= 0.85 * found


def test_a_change_before_the_first_day_is_no_news() -> None:
    """What was so all through the period that is looked at did not begin in it."""
    course = [Share(80, 100)] * 7 + [Share(60, 100)] * 21
    answer = find_change({"g": course}, 14)
    assert answer is None or answer[1].at == 14


@pytest.mark.parametrize(
    "course",
    [[], [Share(0, 0)] * 20, [Share(5, 5)] * 20, [Share(3, 3)] * 10 + [Share(0, 2)] * 10],
)
def test_few_and_equal_votes_tell_nothing(course: list[Share]) -> None:
    """No votes, all alike, and too few to tell."""
    assert find_change({"g": course}, 10) is None


def test_no_groups_have_no_change() -> None:
    """Nothing was asked."""
    assert find_change({}, 5) is None
