"""`/`: is it getting worse, where, since when, and what do people say?

GET /?period=14d&by=metadata.model
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from afterword_consumers.api.errors import ApiError
from afterword_consumers.dashboard.courses import (
    Course,
    name_of,
    read_courses,
    together,
)
from afterword_consumers.dashboard.figures import MAX_COLOURS, Figure, lines, spark, stack
from afterword_consumers.dashboard.frame import Frame, Job, rows_of
from afterword_consumers.dashboard.headline import Headline, find_headline
from afterword_consumers.dashboard.wording import (
    difference,
    interval,
    number,
    percent,
    score,
    whole,
)
from afterword_consumers.explore.comments import COMMENT, find_comments
from afterword_consumers.explore.paths import find_paths, has_feedback
from afterword_consumers.query import Answer
from afterword_consumers.query.statistics.comparisons import compare_shares
from afterword_consumers.query.statistics.intervals import Share, share_interval
from afterword_consumers.rejected.listing import count_refusals

_GROUPS: Final = ("metadata.model", "metadata._prompt", "metadata._environment")
"""By what feedback is told apart, the first that there is, where the URL names nothing."""

_SHOWN: Final = 10
_COMMENTS: Final = 6
_REGENERATED: Final = "feedback.regenerated = true"
_SOURCES: Final = {"explicit": "said", "implicit": "done"}


@dataclass(frozen=True, slots=True)
class Kpi:
    """A number with its company.

    Attributes:
        title: What it is.
        value: As people read it.
        change: From the period before; empty where there is none to compare.
        tone: `up` for better, `down` for worse, `quiet` for neither.
        note: Interval and n, or other company.
        now: The points of a line, this period.
        before: The same of the period before.
        scale: Percent along the scale: of the low end, the value, the high end, and of the value before.
        link: Where to see more.
    """

    title: str
    value: str
    change: str
    tone: str
    note: str
    link: str
    now: str = ""
    before: str = ""
    scale: tuple[float, float, float, float | None] | None = None


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
    found = await frame.ask_all(_jobs(frame, by))
    return frame.render("overview.html", by=by, **_cards(frame, by, found))


ROUTES: Final = [Route("/", overview, methods=["GET"])]


def _jobs(frame: Frame, by: str | None) -> dict[str, Job]:
    """Return what is asked, all of it side by side."""
    both = {"since": frame.period.before.isoformat(), "bucket": frame.period.bucket}
    groups = () if by is None else (by,)
    pairs = tuple(dict.fromkeys(["metadata._prompt", *groups]))
    comments = frame.plan("count")
    return {
        "course": frame.question("thumbs", **both, group_by=groups, top=MAX_COLOURS - 1),
        "thumbs": frame.question("thumbs", compare="before"),
        "weighted": frame.question("weighted"),
        "weighted_change": frame.question("weighted", compare="before"),
        "weights": frame.question("weighted", **both),
        "volume": frame.question("count", **both, group_by=("source",)),
        "regenerated": frame.question("count", **both, where=(_REGENERATED,)),
        "changes": frame.question("thumbs", compare="before", group_by=pairs, top=50),
        "comments": lambda database: find_comments(
            database, comments, limit=_COMMENTS, budget=database.budget
        ),
        "grew": frame.question(COMMENT, compare="before", top=8),
        "rejected": lambda database: count_refusals(
            database, project=frame.project, since=frame.period.since, budget=database.budget
        ),
    }


def _cards(frame: Frame, by: str | None, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the template shows; a card of what could not be asked holds its error."""
    period = frame.period
    courses = _or_error(found["course"], lambda answer: _courses(frame, answer, "up_percent"))
    if isinstance(courses, ApiError):
        headline = Headline("Thumbs up cannot be told now", str(courses))
        votes: Figure | ApiError = courses
    else:
        headline = find_headline(courses, period)
        votes = _votes(frame, courses, headline)
    return {
        "headline": headline,
        "votes": votes,
        "kpis": [kpi for kpi in _kpis(frame, found, courses) if kpi],
        "changes": _or_error(found["changes"], lambda answer: _changes(answer, by)),
        "comments": found["comments"],
        "grew": _or_error(found["grew"], _grew),
        "volume": _or_error(found["volume"], lambda answer: _volume(frame, answer)),
        "rejected": found["rejected"],
        "error_of": _is_error,
    }


def _is_error(found: object) -> ApiError | None:
    return found if isinstance(found, ApiError) else None


def _or_error(found: Any, make: Any) -> Any:
    return found if isinstance(found, ApiError) else make(found)


def _courses(frame: Frame, answer: Answer, value: str) -> dict[str, Course]:
    return read_courses(rows_of(answer), frame.period.buckets, frame.period.bucket, value)


def _votes(frame: Frame, courses: Mapping[str, Course], headline: Headline) -> Figure:
    period = frame.period
    colours = {name: number for number, name in enumerate(courses, start=1)}
    mark = None if headline.at is None else (headline.at, f"since {headline.since}")
    return lines(
        "percent",
        period.buckets,
        period.bucket,
        courses,
        colours=colours,
        in_question=headline.group,
        mark=mark or (period.count, "this period"),
    )


def _kpis(
    frame: Frame, found: Mapping[str, Any], courses: dict[str, Course] | ApiError
) -> list[Kpi | None]:
    return [
        _or_error(found["thumbs"], lambda answer: _thumbs(frame, answer, courses)),
        _or_error(found["weighted"], lambda answer: _weighted(frame, answer, found)),
        _or_error(
            found["regenerated"], lambda answer: _regenerated(frame, answer, found["volume"])
        ),
        _or_error(found["volume"], lambda answer: _feedback(frame, answer)),
    ]


def _thumbs(frame: Frame, answer: Answer, courses: dict[str, Course] | ApiError) -> Kpi | None:
    rows = rows_of(answer)
    if not rows or not rows[0]["n_second"]:
        return None
    row = rows[0]
    value, n = row["up_percent_second"], row["n_second"]
    ends = share_interval(Share(round(value * n / 100), n)) or (value, value)
    course = [] if isinstance(courses, ApiError) else together(courses)
    return Kpi(
        "Thumbs up",
        percent(value),
        difference(row["difference"], "points"),
        tone(row),
        f"{interval(*ends)} · n {whole(n)}",
        frame.link("explore", measure="thumbs", bucket=str(frame.period.bucket)),
        *_sparks(frame, course),
        scale=(ends[0], value, ends[1], row["up_percent_first"]),
    )


def _weighted(frame: Frame, answer: Answer, found: Mapping[str, Any]) -> Kpi | None:
    rows, changes = rows_of(answer), found["weighted_change"]
    if not rows or rows[0]["weighted_avg"] is None:
        return None
    row = rows[0]
    change = next(iter(rows_of(changes)), None) if isinstance(changes, Answer) else None
    course: Course = []
    if isinstance(found["weights"], Answer):
        course = next(iter(_courses(frame, found["weights"], "weighted_avg").values()), [])
    value, low, high = (row[f"weighted_avg{end}"] for end in ("", "_low", "_high"))
    before = None if change is None else change["weighted_avg_first"]
    return Kpi(
        "Weighted, −10 to 10",
        score(value),
        "" if change is None else difference(change["difference"], digits=2),
        "quiet" if change is None else tone(change),
        f"{interval(low, high, 2)} · n {whole(row['n'])}",
        frame.link("explore", measure="weighted", bucket=str(frame.period.bucket)),
        *_sparks(frame, course),
        scale=None
        if low is None
        else (
            _on_scale(low),
            _on_scale(value),
            _on_scale(high),
            None if before is None else _on_scale(before),
        ),
    )


def _on_scale(value: float) -> float:
    """Return where a value from −10 to 10 stands, in percent."""
    return max(0.0, min(100.0, 5 * (value + 10)))


def _regenerated(frame: Frame, answer: Answer, volume: Any) -> Kpi | None:
    """How much of all feedback is that somebody asked for another answer."""
    if not isinstance(volume, Answer):
        return None
    asked = next(iter(_counts(frame, answer).values()), [0] * len(frame.period.buckets))
    every = [sum(at) for at in zip(*_counts(frame, volume).values(), strict=True)]
    if not every or not sum(asked):
        return None
    half = frame.period.count
    before, now = (
        Share(sum(asked[part]), sum(every[part])) for part in (slice(half), slice(half, None))
    )
    ends = share_interval(now)
    if ends is None:
        return None
    contrast = compare_shares(before, now)
    row = {"difference": contrast.difference, "is_small": min(before.n, now.n) < 30}  # noqa: PLR2004
    row |= dict(
        zip(("difference_low", "difference_high"), contrast.interval or (None, None), strict=True)
    )
    parts = [100 * one / n if n else None for one, n in zip(asked, every, strict=True)]
    value = 100 * now.part / now.n
    return Kpi(
        "Regenerated, of all feedback",
        percent(value),
        difference(contrast.difference, "points"),
        tone(row, more_is=-1),
        f"{interval(*ends)} · n {whole(now.n)}",
        frame.link(
            "explore", measure="count", where=[_REGENERATED], bucket=str(frame.period.bucket)
        ),
        spark(parts[half:], parts),
        spark(parts[:half], parts),
        scale=(ends[0], value, ends[1], 100 * before.part / before.n if before.n else None),
    )


def _feedback(frame: Frame, answer: Answer) -> Kpi:
    counts = _counts(frame, answer)
    half = frame.period.count
    every = [sum(at) for at in zip(*counts.values(), strict=True)] or [0] * (2 * half)
    before, now = sum(every[:half]), sum(every[half:])
    parts = [
        f"{number(sum(course[half:]))} {_SOURCES.get(source, source)}"
        for source, course in counts.items()
    ]
    return Kpi(
        "Feedback",
        number(now),
        f"{difference(100 * (now - before) / before, digits=0)}\N{NO-BREAK SPACE}%"
        if before
        else "",
        "quiet",
        " · ".join(parts),
        frame.link(
            "explore", measure="count", group_by=["source"], bucket=str(frame.period.bucket)
        ),
        spark([float(each) for each in every[half:]], [0.0, *map(float, every)]),
        spark([float(each) for each in every[:half]], [0.0, *map(float, every)]),
    )


def tone(row: Mapping[str, Any], more_is: int = 1) -> str:
    """Return `up` for better, `down` for worse, and `quiet` where chance, or few, may have made it.

    Args:
        row: Of a comparison.
        more_is: 1 where more is better, -1 where it is worse.
    """
    low, high = row["difference_low"], row["difference_high"]
    if row["is_small"] or low is None or high is None or low <= 0 <= high:
        return "quiet"
    return "up" if (low > 0) == (more_is > 0) else "down"


def _sparks(frame: Frame, course: Course) -> tuple[str, str]:
    values = [None if point is None else point.value for point in course]
    half = frame.period.count
    return spark(values[half:], values), spark(values[:half], values)


def _counts(frame: Frame, answer: Answer) -> dict[str, list[int]]:
    """Return how many there were in each bucket, by source."""
    courses = read_courses(rows_of(answer), frame.period.buckets, frame.period.bucket, "n")
    found = {
        name: [0 if point is None else point.n for point in course]
        for name, course in courses.items()
    }
    return dict(sorted(found.items()))


def _volume(frame: Frame, answer: Answer) -> Figure:
    counts = _counts(frame, answer)
    half = frame.period.count
    return stack(
        frame.period.buckets[half:],
        frame.period.bucket,
        {_SOURCES.get(name, name): course[half:] for name, course in counts.items()},
        axis=f"feedback, by {frame.period.bucket}",
        tokens={shown: source for source, shown in _SOURCES.items()},
    )


def _changes(answer: Answer, by: str | None) -> list[dict[str, Any]]:
    """Return the pairs of prompt and group, those that surely got worse first."""
    second = None if by in {None, "metadata._prompt"} else "group_2"
    rows = [
        {
            **row,
            "prompt": name_of(row),
            "other": None if second is None else name_of(row, second),
            "tone": tone(row),
            "ends": share_interval(
                Share(round(row["up_percent_second"] * row["n_second"] / 100), row["n_second"])
            ),
        }
        for row in rows_of(answer)
        if row["n_second"] and not row.get("other_groups")
    ]
    order = {"down": 0, "up": 1, "quiet": 2}
    rows.sort(key=lambda row: (row["is_small"], order[row["tone"]], -abs(row["difference"] or 0)))
    return rows[:_SHOWN]


def _grew(answer: Answer) -> list[dict[str, Any]]:
    """Return the comments that people wrote most often, with how often before."""
    rows = [row for row in rows_of(answer) if not row["other_values"] and row["n_second"]]
    rows.sort(key=lambda row: row["n_first"] - row["n_second"])
    most = max((max(row["n_first"], row["n_second"]) for row in rows), default=1)
    return [{**row, "most": most, "tone": tone(row, more_is=-1)} for row in rows]
