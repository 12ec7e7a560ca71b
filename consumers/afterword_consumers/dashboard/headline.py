"""The finding at the head of the overview: what changed, where and since when, or that nothing did.

headline = find_headline({"aurora-2": [Share(82, 100), …]}, period)
headline.title      # Thumbs up fell 24 points since 16 Nov in aurora-2

A change is told only where chance does not explain it: see `query.statistics.changes`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from afterword_consumers.dashboard.courses import NONE, OTHER
from afterword_consumers.dashboard.period import Period
from afterword_consumers.dashboard.wording import day, interval, p_value, percent, points, whole
from afterword_consumers.query import Bucket
from afterword_consumers.query.statistics.changes import Change, find_change
from afterword_consumers.query.statistics.intervals import Share

ALL: Final = ""
"""All groups together, beside which no group is called."""


@dataclass(frozen=True, slots=True)
class Headline:
    """What is told first.

    Attributes:
        title: A finding in a sentence.
        evidence: The numbers behind it.
        group: The group that changed; None where it is all of them, or none.
        at: The index of the bucket since which; None where nothing changed.
        since: That time in words.
    """

    title: str
    evidence: str
    group: str | None = None
    at: int | None = None
    since: str = ""


def find_headline(votes: Mapping[str, Sequence[Share]], period: Period) -> Headline:
    """Return the finding over the votes of groups, and of all together.

    Args:
        votes: Of each group a share for each bucket of both periods.
        period: The present one; a change may begin in it.
    """
    together = [_sum(at) for at in zip(*votes.values(), strict=True)]
    looked_at = {name: course for name, course in votes.items() if name != OTHER}
    if len(votes) > 1:
        looked_at = {ALL: together, **looked_at}
    found = find_change(looked_at, period.count)
    if found is None:
        return _unchanged(together, period)
    group, change = found
    return _changed(group, change, period)


def _changed(group: str, change: Change, period: Period) -> Headline:
    at = period.buckets[change.at]
    since = f"{day(at)}, {at:%H:%M}" if period.bucket is Bucket.HOUR else day(at)
    apart = change.contrast.difference or 0.0
    verb = "fell" if apart < 0 else "rose"
    where = "" if group == ALL else f" in {_called(group)}"
    title = f"Thumbs up {verb} {points(abs(apart))} since {since}{where}"
    low, high = change.contrast.interval or (None, None)
    evidence = (
        f"From {_share(change.before)} to {_share(change.since)}; the change is {interval(low, high)} points "
        f"(95 % interval, p {_p(change)}, n {whole(change.before.n)} and {whole(change.since.n)})."
    )
    return Headline(title, evidence, None if group == ALL else group, change.at, since)


def _unchanged(together: Sequence[Share], period: Period) -> Headline:
    before, now = _sum(together[: period.count]), _sum(together[period.count :])
    since = day(period.since)
    if not now.n:
        return Headline(
            f"No thumbs since {since}", "People said and did other things; see below how much."
        )
    evidence = f"Thumbs up is {_share(now)} of {whole(now.n)}"
    evidence += f", {_share(before)} of {whole(before.n)} before." if before.n else "."
    return Headline(f"Nothing changed beyond chance since {since}", evidence)


def _sum(parts: Sequence[Share]) -> Share:
    return Share(sum(each.part for each in parts), sum(each.n for each in parts))


def _share(share: Share) -> str:
    return percent(100 * share.part / share.n)


def _p(change: Change) -> str:
    text = p_value(change.contrast.p_value)
    return text if text.startswith("<") else f"= {text}"


def _called(group: str) -> str:
    return "feedback without a name" if group == NONE else group
