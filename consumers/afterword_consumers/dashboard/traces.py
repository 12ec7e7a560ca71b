"""`/traces` and `/trace`: which answers have feedback, and all that was said and done about one.

GET /traces?order=worst&find=currency
GET /trace?id=tr-048213
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from afterword_consumers.api.errors import ApiError, ErrorCode
from afterword_consumers.api.pages import Page, read_cursor
from afterword_consumers.dashboard.diff import Diff, diff_words
from afterword_consumers.dashboard.frame import Frame
from afterword_consumers.dashboard.wording import day, from_ms, score, whole
from afterword_consumers.explore.trace import FeedbackPlace, TraceFeedback, read_trace
from afterword_consumers.explore.traces import GROUND_TRUTH, Order, Trace, TracePlace, find_traces

_LIMIT: Final = 50
_FEEDBACK_LIMIT: Final = 100
_MAX_FIND: Final = 200


@dataclass(frozen=True, slots=True)
class ShownFeedback:
    """One feedback, re-nested as it was sent.

    Attributes:
        title: What it is, in words.
        user: Who gave it; None where that is not known.
        at: When.
        source: `explicit` or `implicit`.
        value: None where it has none.
        weight: Of the value.
        tree: What is under `feedback`.
    """

    title: str
    user: str | None
    at: datetime
    source: str
    value: str | None
    weight: str
    tree: Mapping[str, Any]


async def traces(request: Request) -> Response:
    """List traces, the newest or the worst first."""
    frame = await Frame.read(request, "traces", one=("order", "find", "cursor"), many=("where",))
    arguments = frame.arguments
    where = [text for text in arguments.texts("where") if text.strip()]
    find = (arguments.text("find") or "").strip()[:_MAX_FIND]
    order = _order(arguments.text("order"))
    after = _place(arguments.text("cursor"), order)
    error: ApiError | None = None
    found: Sequence[Trace]
    try:
        plan = frame.plan("count", where=tuple(where))
        found = await frame.api.ask(
            request,
            lambda database: find_traces(
                database, plan, limit=_LIMIT + 1, after=after, order=order, search=find,
                budget=database.budget,
            ),
        )  # fmt: skip
    except ApiError as failure:
        if failure.status >= 500:  # noqa: PLR2004
            raise
        found, error = (), failure
    page = Page.of(found, _LIMIT)
    return frame.render(
        "traces.html",
        title="The worst traces" if order is Order.WORST else "The newest traces",
        where=where,
        find=find,
        order=str(order),
        traces=page.items,
        next=page.next,
        error=error,
        live=frame.live_link(where) if order is Order.NEWEST and after is None else "",
    )


async def trace(request: Request) -> Response:
    """Show all feedback on one trace."""
    frame = await Frame.read(request, "traces", one=("id", "cursor"))
    trace_id = frame.arguments.text("id") or ""
    cursor = read_cursor(frame.arguments.text("cursor"), int, str)
    after = None if cursor is None else FeedbackPlace(*cursor)
    if not trace_id:
        raise ApiError(
            400, ErrorCode.MISSING_PARAMETER, "Which trace?", "Write id=… in the address."
        )
    plan = frame.plan("count", since=None)
    found = await frame.ask_all(
        {
            "feedback": lambda database: read_trace(
                database,
                trace_id,
                project=frame.project,
                limit=_FEEDBACK_LIMIT + 1,
                after=after,
                budget=database.budget,
            ),
            "summary": lambda database: find_traces(
                database, plan, limit=1, trace_id=trace_id, budget=database.budget
            ),
        }
    )
    for each in found.values():
        if isinstance(each, ApiError):
            raise each
    page: Page[TraceFeedback] = Page.of(found["feedback"], _FEEDBACK_LIMIT)
    if not page.items or not found["summary"]:
        raise _unknown(trace_id)
    return frame.render("trace.html", **_trace(frame, trace_id, page, found["summary"][0]))


ROUTES: Final = [
    Route("/traces", traces, methods=["GET"]),
    Route("/trace", trace, methods=["GET"]),
]


def _order(name: str | None) -> Order:
    if name not in {None, *Order}:
        raise ApiError(
            400, ErrorCode.INVALID_PARAMETER, "There is no such order.", "Write newest or worst."
        )
    return Order(name or Order.NEWEST)


def _place(cursor: str | None, order: Order) -> TracePlace | None:
    """Return where the page before ended; the worst traces have one page."""
    if order is Order.WORST:
        return None
    place = read_cursor(cursor, int, str, str)
    return None if place is None else TracePlace(*place)


def _trace(
    frame: Frame, trace_id: str, page: Page[TraceFeedback], summary: Trace
) -> dict[str, Any]:
    feedback = page.items
    shown = [_shown(one) for one in feedback]
    return {
        "trace_id": trace_id,
        "title": _title(summary, feedback),
        "subtitle": _subtitle(summary, feedback),
        "diffs": list(_diffs(feedback)),
        "feedback": shown,
        "next": page.next,
        "summary": summary,
        "ground_truth": list(_ground_truth(feedback)),
        "metrics": list(_metrics(feedback)),
        "facts": _facts(frame, summary, feedback),
        "json_link": _json_link(frame, trace_id),
    }


def _json_link(frame: Frame, trace_id: str) -> str:
    path = f"/api/traces/{quote(trace_id, safe='')}"
    return f"{path}?{urlencode({'project': frame.project})}" if frame.project else path


def _title(summary: Trace, feedback: Sequence[TraceFeedback]) -> str:
    comment = next(
        (one.leaves["feedback.comment"] for one in feedback if "feedback.comment" in one.leaves),
        None,
    )
    rated = "" if summary.weighted_avg is None else f"Rated {score(summary.weighted_avg)}"
    corrected = any(_is_correction(path) for one in feedback for path in one.leaves)
    found = " and ".join(part for part in (rated, "corrected" if corrected else "") if part)
    title = found[:1].upper() + found[1:] or _feedbacks(summary.feedback)
    return f"{title}: “{comment}”" if isinstance(comment, str) else title


def _feedbacks(count: int) -> str:
    return f"{whole(count)} feedback{'' if count == 1 else 's'}"


def _is_correction(path: str) -> bool:
    return path.startswith("feedback.edits.") and path.endswith(".value")


def _subtitle(summary: Trace, feedback: Sequence[TraceFeedback]) -> str:
    prompt = next((one.columns["prompt"] for one in feedback if one.columns["prompt"]), None)
    model = next(
        (one.leaves.get("metadata.model") for one in feedback if "metadata.model" in one.leaves),
        None,
    )
    made = " with ".join(str(each) for each in (prompt, model) if each)
    first, last = from_ms(summary.first_ms), from_ms(summary.last_ms)
    when = f"{day(first)}, {first:%H:%M}"
    if last != first:
        same_day = last.date() == first.date()
        when += f" to {last:%H:%M}" if same_day else f" to {day(last)}, {last:%H:%M}"
    count = _feedbacks(summary.feedback)
    return " · ".join(part for part in (made, when, count) if part)


def _shown(one: TraceFeedback) -> ShownFeedback:
    value = one.columns["value"]
    return ShownFeedback(
        title=_called(one),
        user=None if one.columns["user_id"] is None else str(one.columns["user_id"]),
        at=from_ms(one.created_ms),
        source=str(one.columns["source"]),
        value=None if value is None else whole(float(value)),
        weight=score(float(one.columns["weight"] or 0)),
        tree=nest(
            {path: leaf for path, leaf in one.leaves.items() if path.startswith("feedback.")}
        ).get("feedback", {}),
    )


_DEEDS: Final = {
    "feedback.copied": "Copied",
    "feedback.regenerated": "Regenerated",
    "feedback.edited": "Edited the answer",
}


def _called(one: TraceFeedback) -> str:
    """Return what a feedback is, in words."""
    leaves, value = one.leaves, one.columns["value"]
    for path, deed in _DEEDS.items():
        if leaves.get(path) is True:
            return deed
    comment = ", with a comment" if "feedback.comment" in leaves else ""
    if (rating := leaves.get("feedback.rating")) is not None and isinstance(rating, bool):
        return f"Thumbs {'up' if rating else 'down'}{comment}"
    for path in ("feedback.stars", "feedback.score"):
        if path in leaves:
            return f"{path.rpartition('.')[2].capitalize()} {leaves[path]}{comment}"
    if value is not None:
        return f"Value {whole(float(value))}{comment}"
    return "A comment" if comment else "Feedback"


def nest(leaves: Mapping[str, bool | float | str]) -> dict[str, Any]:
    """Return dotted paths as the objects they were; positions of an array are keys.

    >>> nest({"feedback.step1.retry": True, "feedback.edits.0.value": "Oslo"})
    {'feedback': {'step1': {'retry': True}, 'edits': {'0': {'value': 'Oslo'}}}}
    """
    root: dict[str, Any] = {}
    for path, leaf in leaves.items():
        node, steps = root, path.split(".")
        for step in steps[:-1]:
            below = node.setdefault(step, {})
            if not isinstance(below, dict):
                below = node[step] = {"": below}
            node = below
        node[steps[-1]] = leaf
    return root


def _diffs(feedback: Sequence[TraceFeedback]) -> Iterator[Diff]:
    """Yield each correction whose answer was sent, too."""
    for one in feedback:
        for path, text in one.leaves.items():
            original = one.leaves.get(path.removesuffix(".value") + ".original")
            if _is_correction(path) and isinstance(text, str) and isinstance(original, str):
                yield diff_words(path, original, text)


def _ground_truth(feedback: Sequence[TraceFeedback]) -> Iterator[tuple[str, str]]:
    for one in feedback:
        for path, leaf in one.ground_truth.items():
            yield path.removeprefix(GROUND_TRUTH).lstrip("."), str(leaf)


def _metrics(feedback: Sequence[TraceFeedback]) -> Iterator[tuple[str, str]]:
    for one in feedback:
        for path, leaf in one.leaves.items():
            if path.startswith("metrics."):
                text = (
                    score(leaf)
                    if isinstance(leaf, float | int) and not isinstance(leaf, bool)
                    else str(leaf)
                )
                yield path.removeprefix("metrics."), text


def _facts(
    frame: Frame, summary: Trace, feedback: Sequence[TraceFeedback]
) -> list[tuple[str, list[tuple[str, str]]]]:
    def column(name: str) -> list[str]:
        return list(dict.fromkeys(str(one.columns[name]) for one in feedback if one.columns[name]))

    sessions = [(session, frame.link("traces", find=session)) for session in summary.session_ids]
    models = dict.fromkeys(
        str(one.leaves["metadata.model"]) for one in feedback if "metadata.model" in one.leaves
    )
    facts: list[tuple[str, list[tuple[str, str]]]] = [
        ("Trace", [(summary.trace_id, "")]),
        ("Project", [(summary.project, "")]),
        ("Session", sessions),
        ("Users", [(user, frame.link("traces", find=user)) for user in column("user_id")]),
        ("Model", [(model, "") for model in models]),
        ("Prompt", [(prompt, "") for prompt in column("prompt")]),
        ("Environment", [(name, "") for name in column("environment")]),
        ("Organisation", [(name, "") for name in column("organisation")]),
    ]
    return [(name, values) for name, values in facts if values]


def _unknown(trace_id: str) -> ApiError:
    return ApiError(
        404,
        ErrorCode.UNKNOWN_TRACE,
        f"No feedback is on trace {trace_id[:200]}.",
        "It may still be on its way, or was taken back.",
    )
