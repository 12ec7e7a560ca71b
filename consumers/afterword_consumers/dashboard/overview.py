"""`/`: is it getting worse, where, since when, and what do people say?

GET /?period=14d&by=metadata.model
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from afterword_consumers.api.errors import ApiError
from afterword_consumers.dashboard import kpis
from afterword_consumers.dashboard.courses import NONE, OTHER, places_of, point_of
from afterword_consumers.dashboard.figures import MAX_COLOURS, Figure, lines, stack
from afterword_consumers.dashboard.frame import Frame, Job, literal
from afterword_consumers.dashboard.headline import Headline, find_headline
from afterword_consumers.dashboard.kpis import SOURCES, Trend
from afterword_consumers.explore.comments import find_comments
from afterword_consumers.explore.paths import find_paths, has_feedback
from afterword_consumers.explore.phrases import find_grown_phrases
from afterword_consumers.explore.summary import BEFORE, NOW, Summary, Sums, read_summary
from afterword_consumers.query.answer.columns import MIN_COMPARABLE
from afterword_consumers.query.statistics.comparisons import compare_shares
from afterword_consumers.query.statistics.intervals import Share, share_interval
from afterword_consumers.rejected.listing import count_rejected

_GROUPS: Final = ("metadata.model", "metadata._prompt", "metadata._environment")
"""By what feedback is told apart, the first that there is, where the URL names nothing."""

_PROMPT: Final = "metadata._prompt"
_SHOWN: Final = 10
_COMMENTS: Final = 6
_PHRASES: Final = 8


async def overview(request: Request) -> Response:
    """Show how it goes, or how to begin where nothing has come yet."""
    frame = await Frame.read(request, "overview", one=["by"])
    known = await frame.api.ask(
        request, lambda database: find_paths(database, project=frame.project, limit=10_000)
    )
    paths = {path.path for path in known}
    if not known and not await frame.api.ask(
        request, lambda database: has_feedback(database, project=frame.project)
    ):
        options = request.app.state.page_options
        return frame.render("empty.html", options=options, keyed=frame.api.is_bound(request))
    by = frame.arguments.text("by") or next((path for path in _GROUPS if path in paths), None)
    found = await frame.ask_all(_numbers(frame, by))
    cards = _cards(frame, by, found)
    only = _only(by, cards["headline"])
    said = await frame.ask_all(_comments(frame, only))
    return frame.render("overview.html", by=by, only=only, **said, **cards)


ROUTES: Final = [Route("/", overview, methods=["GET"])]


def _numbers(frame: Frame, by: str | None) -> dict[str, Job]:
    """Return what is asked first, side by side."""
    period = frame.period
    plan = frame.plan(
        "thumbs",
        since=period.before.isoformat(),
        bucket=period.bucket,
        group_by=() if by is None else (by,),
    )
    return {
        "summary": lambda database: read_summary(database, plan, period.since, database.budget),
        "rejected": lambda database: count_rejected(
            database, project=frame.project, since=period.since, budget=database.budget
        ),
    }


def _comments(frame: Frame, only: Sequence[str]) -> dict[str, Job]:
    """Return what is asked then: what people say where something changed."""
    period = frame.period
    plan = frame.plan("count", where=tuple(only))
    both = frame.plan("count", where=tuple(only), since=period.before.isoformat())
    return {
        "comments": lambda database: find_comments(
            database, plan, limit=_COMMENTS, budget=database.budget
        ),
        "grew": lambda database: find_grown_phrases(
            database, both, period.since, limit=_PHRASES, budget=database.budget
        ),
    }


def _only(by: str | None, headline: Headline) -> list[str]:
    """Return the filter of the group that changed; none where no single one did."""
    if by is None or headline.group is None:
        return []
    return [f"{by} missing" if headline.group == NONE else f"{by} = {literal(headline.group)}"]


def _cards(frame: Frame, by: str | None, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the template shows; a card of what could not be asked holds its error."""
    summary = found["summary"]
    cards: dict[str, Any] = {
        "rejected": found["rejected"],
        "error_of": lambda each: each if isinstance(each, ApiError) else None,
    }
    if isinstance(summary, ApiError):
        headline = Headline("Thumbs up cannot be told now", str(summary))
        failed = dict.fromkeys(("votes", "changes", "volume"), summary)
        return cards | failed | {"headline": headline, "kpis": []}
    by_group = _by_group(frame, summary)
    votes = {group: [sums.thumbs for sums in course] for group, course in by_group.items()}
    headline = find_headline(votes, frame.period)
    trend = _trend(frame, summary, by_group)
    makers = (kpis.thumbs, kpis.weighted, kpis.regenerated, kpis.feedback)
    return cards | {
        "headline": headline,
        "votes": _votes(frame, votes, headline),
        "kpis": [kpi for make in makers if (kpi := make(trend))],
        "changes": _changes(summary, by),
        "volume": _volume(frame, summary),
    }


def _by_group(frame: Frame, summary: Summary) -> dict[str, list[Sums]]:
    """Return what each bucket of both periods amounts to, by group; those past the colours are one."""
    groups = summary.groups()
    shown = groups if len(groups) <= MAX_COLOURS else groups[: MAX_COLOURS - 1]
    places = places_of(frame.period.buckets, frame.period.bucket)
    found = {_name(group): [Sums()] * len(places) for group in shown}
    for (bucket, group, _), sums in summary.by_time.items():
        if (index := places.get(bucket)) is not None:
            name = _name(group) if group in shown else OTHER
            course = found.setdefault(name, [Sums()] * len(places))
            course[index] = Sums.of([course[index], sums])
    return found


def _trend(frame: Frame, summary: Summary, by_group: Mapping[str, Sequence[Sums]]) -> Trend:
    half = frame.period.count
    buckets = [Sums.of(at) for at in zip(*by_group.values(), strict=True)]
    by_source = {
        source: Sums.of(course[half:]) for source, course in _by_source(frame, summary).items()
    }
    return Trend(buckets or [Sums()] * (2 * half), half, by_source)


def _by_source(frame: Frame, summary: Summary) -> dict[str, list[Sums]]:
    places = places_of(frame.period.buckets, frame.period.bucket)
    found = {source: [Sums()] * len(places) for source in SOURCES}
    for (bucket, _, source), sums in summary.by_time.items():
        if (index := places.get(bucket)) is not None:
            course = found.setdefault(source, [Sums()] * len(places))
            course[index] = Sums.of([course[index], sums])
    return found


def _votes(frame: Frame, votes: Mapping[str, Sequence[Share]], headline: Headline) -> Figure:
    period = frame.period
    mark = None if headline.at is None else (headline.at, f"since {headline.since}")
    courses = {
        group: [point_of(share) for share in course]
        for group, course in votes.items()
        if any(share.n for share in course)
    }
    return lines(
        "percent",
        period.buckets,
        period.bucket,
        courses,
        colours={name: number for number, name in enumerate(courses, start=1)},
        in_question=headline.group,
        mark=mark or (period.count, "this period"),
    )


def _volume(frame: Frame, summary: Summary) -> Figure:
    half = frame.period.count
    return stack(
        frame.period.buckets[half:],
        frame.period.bucket,
        {
            SOURCES.get(source, source): [sums.n for sums in course[half:]]
            for source, course in _by_source(frame, summary).items()
        },
        axis=f"feedback, by {frame.period.bucket}",
        tokens={shown: source for source, shown in SOURCES.items()},
    )


def _changes(summary: Summary, by: str | None) -> list[dict[str, Any]]:
    """Return the pairs of prompt and group, those that surely got worse first."""
    keys = dict.fromkeys((group, prompt) for _, group, prompt in summary.by_prompt)
    rows: list[dict[str, Any]] = []
    for group, prompt in keys:
        before, now = (
            summary.by_prompt.get((side, group, prompt), Sums()).thumbs for side in (BEFORE, NOW)
        )
        ends = share_interval(now)
        if ends is None:
            continue
        contrast = compare_shares(before, now)
        is_small = min(before.n, now.n) < MIN_COMPARABLE
        rows.append(
            {
                "prompt": _name(prompt),
                "other": None if by in {None, _PROMPT} else _name(group),
                "now": 100 * now.part / now.n,
                "before": 100 * before.part / before.n if before.n else None,
                "ends": ends,
                "n": now.n,
                "difference": contrast.difference,
                "interval": contrast.interval or (None, None),
                "is_small": is_small,
                "tone": kpis.tone(contrast, is_small=is_small),
            }
        )
    order = {"down": 0, "up": 1, "quiet": 2}
    rows.sort(key=lambda row: (row["is_small"], order[row["tone"]], -abs(row["difference"] or 0)))
    return rows[:_SHOWN]


def _name(group: str | None) -> str:
    return NONE if group is None else group
