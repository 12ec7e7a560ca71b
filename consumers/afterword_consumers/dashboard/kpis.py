"""The four numbers at the head of the overview, each with its company.

kpis = [thumbs(trend), weighted(trend), regenerated(trend), feedback(trend)]
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from afterword_consumers.dashboard.figures import spark
from afterword_consumers.dashboard.wording import (
    difference,
    interval,
    number,
    percent,
    score,
    whole,
)
from afterword_consumers.explore.summary import Sums
from afterword_consumers.query.answer.columns import MIN_COMPARABLE
from afterword_consumers.query.statistics.comparisons import (
    Contrast,
    compare_shares,
    compare_weighted,
)
from afterword_consumers.query.statistics.intervals import (
    Share,
    share_interval,
    weighted_interval,
)

SOURCES: Final = {"explicit": "said", "implicit": "done"}
"""What people did with an answer, as the pages call it."""


@dataclass(frozen=True, slots=True)
class Trend:
    """What happened in the buckets of both periods.

    Attributes:
        buckets: What each amounts to.
        half: The index at which this period begins.
        by_source: What this period amounts to, by source.
    """

    buckets: Sequence[Sums]
    half: int
    by_source: dict[str, Sums]

    @property
    def before(self) -> Sums:
        """What the period before amounts to."""
        return Sums.of(self.buckets[: self.half])

    @property
    def now(self) -> Sums:
        """What this period amounts to."""
        return Sums.of(self.buckets[self.half :])


@dataclass(frozen=True, slots=True)
class Kpi:
    """A number with its company.

    Attributes:
        title: What it is.
        measure: What Explore is asked for more of it.
        value: As people read it.
        change: From the period before; empty where there is none to compare.
        tone: `up` for better, `down` for worse, `quiet` for neither.
        note: Interval and n, or other company.
        now: The points of a line, this period.
        before: The same of the period before.
        scale: Percent along the scale: of the low end, the value, the high end, and of the value before.
    """

    title: str
    measure: str
    value: str
    change: str
    tone: str
    note: str
    now: str = ""
    before: str = ""
    scale: tuple[float, float, float, float | None] | None = None


def thumbs(trend: Trend) -> Kpi | None:
    """Return thumbs up; None without votes."""
    return _of_shares("Thumbs up", "thumbs", trend, lambda sums: sums.thumbs, more_is=1)


def regenerated(trend: Trend) -> Kpi | None:
    """Return how much of all feedback asks for another answer; None where none does."""
    if not trend.before.regenerated + trend.now.regenerated:
        return None
    title = "Regenerated, of all feedback"
    return _of_shares(
        title, "feedback.regenerated", trend, lambda sums: sums.regenerations, more_is=-1
    )


def weighted(trend: Trend) -> Kpi | None:
    """Return the weighted average; None without values."""
    before, now = trend.before.weighted, trend.now.weighted
    value, ends = now.mean, weighted_interval(now)
    if value is None:
        return None
    low, high = ends or (None, None)
    contrast = compare_weighted(before, now)
    means = [sums.weighted.mean for sums in trend.buckets]
    return Kpi(
        "Weighted, −10 to 10",
        "weighted",
        score(value),
        "" if contrast.difference is None else difference(contrast.difference, digits=2),
        tone(contrast, is_small=min(before.n, now.n) < MIN_COMPARABLE),
        f"{interval(low, high, 2)} · n {whole(now.n)}",
        spark(means[trend.half :], means),
        spark(means[: trend.half], means),
        None
        if ends is None
        else (
            _on_scale(ends[0]),
            _on_scale(value),
            _on_scale(ends[1]),
            None if before.mean is None else _on_scale(before.mean),
        ),
    )


def feedback(trend: Trend) -> Kpi:
    """Return how much feedback there is, what was said and what was done apart."""
    before, now = trend.before.n, trend.now.n
    counts = [float(sums.n) for sums in trend.buckets]
    parts = [
        f"{number(sums.n)} {SOURCES.get(source, source)}"
        for source, sums in sorted(trend.by_source.items())
        if sums.n
    ]
    change = difference(100 * (now - before) / before, digits=0) if before else ""
    return Kpi(
        "Feedback",
        "count",
        number(now),
        change and f"{change}\N{NO-BREAK SPACE}%",
        "quiet",
        " · ".join(parts),
        spark(counts[trend.half :], [0.0, *counts]),
        spark(counts[: trend.half], [0.0, *counts]),
    )


def tone(contrast: Contrast, *, is_small: bool, more_is: int = 1) -> str:
    """Return `up` for better, `down` for worse, and `quiet` where chance, or few, may have made it.

    Args:
        contrast: Of the two periods.
        is_small: Whether there are too few to tell.
        more_is: 1 where more is better, -1 where it is worse.
    """
    low, high = contrast.interval or (0.0, 0.0)
    if is_small or low <= 0 <= high:
        return "quiet"
    return "up" if (low > 0) == (more_is > 0) else "down"


def _of_shares(
    title: str, measure: str, trend: Trend, share_of: Callable[[Sums], Share], *, more_is: int
) -> Kpi | None:
    before, now = share_of(trend.before), share_of(trend.now)
    ends = share_interval(now)
    if ends is None:
        return None
    contrast = compare_shares(before, now)
    parts = [_percent(share_of(sums)) for sums in trend.buckets]
    return Kpi(
        title,
        measure,
        percent(_percent(now)),
        "" if contrast.difference is None else difference(contrast.difference, "points"),
        tone(contrast, is_small=min(before.n, now.n) < MIN_COMPARABLE, more_is=more_is),
        f"{interval(*ends)} · n {whole(now.n)}",
        spark(parts[trend.half :], parts),
        spark(parts[: trend.half], parts),
        (ends[0], _percent(now) or 0.0, ends[1], _percent(before)),
    )


def _percent(share: Share) -> float | None:
    return 100 * share.part / share.n if share.n else None


def _on_scale(value: float) -> float:
    """Return where a value from −10 to 10 stands, in percent."""
    return max(0.0, min(100.0, 5 * (value + 10)))
