"""Whether a share changed in one of several groups, in which one, and since when.

    find_change({"aurora-1": [Share(74, 100), …], "aurora-2": [Share(82, 100), …]}, first=14)

A group's course is a share for each day. Every day from `first` on may be the one on which it changed: what came
before it is set against what came since, and the pair that chance explains least is taken. So many looks find
something by chance alone, so the p-value is multiplied by their number (Bonferroni): whatever the groups and days,
no more than `LEVEL` of the courses without a change are taken for one.

Days differ more than votes alone would make them, by weekday for instance. How much more is estimated from what is
left on both sides of the change (Pearson's chi-squared by its degrees of freedom), and test and interval allow
for it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Final, TypeVar

from afterword_consumers.query.statistics.comparisons import (
    Contrast,
    compare_shares,
    fewest_expected,
)
from afterword_consumers.query.statistics.intervals import Share, t_p_value

LEVEL: Final = 0.01
"""How often a course without any change may be taken for one."""

MIN_VOTES: Final = 30
"""On each side; of fewer there is no telling."""

_MIN_EXPECTED: Final = 5
_Group = TypeVar("_Group")


@dataclass(frozen=True, slots=True)
class Change:
    """A change that chance does not explain.

    Attributes:
        at: The index of the first day after it.
        before: All votes before that day.
        since: All votes from that day on.
        contrast: How far they are apart; its p-value allows for the number of places that were looked at.
    """

    at: int
    before: Share
    since: Share
    contrast: Contrast


def find_change(
    courses: Mapping[_Group, Sequence[Share]], first: int
) -> tuple[_Group, Change] | None:
    """Return the group that changed most surely, and its change; None where chance may have made all.

    Args:
        courses: For each group a share for each day, all equally long; empty days have n 0.
        first: The earliest day that a change may begin on.
    """
    found = [
        (group, change) for group, course in courses.items() for change in _changes(course, first)
    ]
    if not found:
        return None
    looks = sum(max(0, len(course) - first) for course in courses.values())
    group, change = min(found, key=lambda each: _p(each[1]))
    p_value = min(1.0, _p(change) * looks)
    if p_value > LEVEL:
        return None
    return group, replace(change, contrast=replace(change.contrast, p_value=p_value))


def _changes(course: Sequence[Share], first: int) -> Iterator[Change]:
    """Yield what each day would be as the beginning of a change."""
    for at in range(max(first, 1), len(course)):
        before, since = _together(course[:at]), _together(course[at:])
        if min(before.n, since.n) < MIN_VOTES or fewest_expected(before, since) < _MIN_EXPECTED:
            continue
        contrast = compare_shares(before, since)
        if contrast.difference is None or contrast.interval is None or contrast.p_value is None:
            continue
        yield Change(at, before, since, _allow_for_days(contrast, course, at, before, since))


def _allow_for_days(
    contrast: Contrast, course: Sequence[Share], at: int, before: Share, since: Share
) -> Contrast:
    """Widen a contrast by how much more the days differ than votes alone would make them."""
    sides = ((course[:at], before), (course[at:], since))
    left = sum(_chi2(day, whole) for days, whole in sides for day in days if day.n)
    freedom = sum(1 for day in course if day.n) - len(sides)
    spread = left / freedom if freedom > 0 else 1.0
    if spread <= 1 or contrast.difference is None or contrast.interval is None:
        return contrast
    wider, apart = sqrt(spread), contrast.difference
    low, high = (apart + (end - apart) * wider for end in contrast.interval)
    z = _z(before, since) / wider
    return Contrast(apart, (low, high), t_p_value(z, freedom))


def _z(before: Share, since: Share) -> float:
    """Return how many standard errors two shares are apart."""
    both, n = before.part + since.part, before.n + since.n
    apart = before.part * since.n - since.part * before.n
    return abs(apart) * sqrt((n - 1) / (both * (n - both) * before.n * since.n))


def _chi2(day: Share, whole: Share) -> float:
    """Return Pearson's chi-squared of a day's votes under the share of its whole side."""
    share = whole.part / whole.n
    if share in {0, 1}:
        return 0.0
    expected = day.n * share
    return (day.part - expected) ** 2 / (expected * (1 - share))


def _together(days: Sequence[Share]) -> Share:
    return Share(sum(day.part for day in days), sum(day.n for day in days))


def _p(change: Change) -> float:
    return 1.0 if change.contrast.p_value is None else change.contrast.p_value
