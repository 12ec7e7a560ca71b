"""`/rejected`: what is broken at the sender, when, and the bytes with the place marked.

GET /rejected?code=unknown_field
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from afterword_consumers.api.errors import ApiError
from afterword_consumers.api.pages import Page, read_cursor
from afterword_consumers.dashboard.courses import bucket_name
from afterword_consumers.dashboard.figures import Figure, stack
from afterword_consumers.dashboard.frame import Frame
from afterword_consumers.dashboard.wording import from_ms, percent, whole
from afterword_consumers.rejected.listing import (
    RejectedPlace,
    RejectedRow,
    count_rejected,
    count_rejected_by_time,
    find_rejected,
)

_LIMIT: Final = 20
_SHOWN_CHARS: Final = 4000
_CODES: Final = 4
"""Codes of the chart; the rest is one."""

_OTHERS: Final = "others"


@dataclass(frozen=True, slots=True)
class ShownMessage:
    """A rejected message.

    Attributes:
        place: `partition:offset`, by which it is replayed.
        size: Bytes; None where the payload is not known any more.
        payload: As text; what is no UTF-8 is shown as a replacement character.
        before: The text up to the place that is wrong.
        marked: That place; empty where it cannot be told.
        after: The rest, as far as it is shown.
        cut: Characters that are not shown.
    """

    place: str
    at: datetime
    replayed_at: datetime | None
    code: str
    path: str
    detail: str
    partition: int
    offset: int
    size: int | None
    payload: str | None
    before: str
    marked: str
    after: str
    cut: int


async def rejected(request: Request) -> Response:
    """Show what was rejected."""
    frame = await Frame.read(request, "rejected", one=("code", "cursor"))
    code = frame.arguments.text("code") or None
    cursor = read_cursor(frame.arguments.text("cursor"), int, str, int, int)
    after = None if cursor is None else RejectedPlace(*cursor)
    period, project = frame.period, frame.project
    found = await frame.ask_all(
        {
            "counts": lambda database: count_rejected(
                database, project=project, since=period.since, budget=database.budget
            ),
            "by_time": lambda database: count_rejected_by_time(
                database, project=project, since=period.since, bucket=period.bucket,
                budget=database.budget,
            ),
            "messages": lambda database: find_rejected(
                database, project=project, code=code, limit=_LIMIT + 1, after=after,
                with_payload=True, budget=database.budget,
            ),
        }
    )  # fmt: skip
    for each in found.values():
        if isinstance(each, ApiError):
            raise each
    counts: Mapping[str, int] = found["counts"]
    page: Page[RejectedRow] = Page.of(found["messages"], _LIMIT)
    return frame.render(
        "rejected.html",
        title=_title(counts, page.items),
        evidence=f"From {period.label}, UTC. Every one is kept byte for byte and can be replayed.",
        counts=counts,
        code=code,
        figure=_figure(frame, found["by_time"], counts),
        messages=[_shown(one) for one in page.items],
        next=page.next,
    )


ROUTES: Final = [Route("/rejected", rejected, methods=["GET"])]


def _title(counts: Mapping[str, int], newest: Sequence[RejectedRow]) -> str:
    total = sum(counts.values())
    if not total:
        return "Nothing was rejected" if not newest else "Nothing was rejected lately"
    code, most = next(iter(counts.items()))
    messages = f"{whole(total)} message{'' if total == 1 else 's'}"
    verb = "was" if total == 1 else "were"
    if len(counts) == 1:
        return f"{messages} {verb} rejected, all for {code}"
    return f"{messages} {verb} rejected, {percent(100 * most / total)} for {code}"


def _figure(
    frame: Frame, by_time: Mapping[tuple[str, str], int], counts: Mapping[str, int]
) -> Figure | None:
    if not by_time:
        return None
    half = frame.period.count
    buckets = frame.period.buckets[half:]
    places = {bucket_name(at, frame.period.bucket): index for index, at in enumerate(buckets)}
    codes = list(counts)[:_CODES]
    courses: dict[str, list[int]] = {code: [0] * len(buckets) for code in codes}
    for (bucket, code), count in by_time.items():
        course = courses.setdefault(code if code in codes else _OTHERS, [0] * len(buckets))
        if bucket in places:
            course[places[bucket]] += count
    axis = f"messages, by {frame.period.bucket}"
    return stack(buckets, frame.period.bucket, courses, axis=axis, tokens={_OTHERS: "before"})


def _shown(one: RejectedRow) -> ShownMessage:
    payload = None if one.payload is None else one.payload.decode(errors="replace")
    text = payload or ""
    shown = text[:_SHOWN_CHARS]
    start, end = _marked(shown, one.path)
    return ShownMessage(
        place=str(one.place),
        at=from_ms(one.place.rejected_ms),
        replayed_at=None if one.replayed_ms is None else from_ms(one.replayed_ms),
        code=one.code,
        path=one.path or "–",
        detail=one.detail,
        partition=one.place.partition,
        offset=one.place.offset,
        size=None if one.payload is None else len(one.payload),
        payload=payload,
        before=shown[:start],
        marked=shown[start:end],
        after=shown[end:],
        cut=len(text) - len(shown),
    )


def _marked(text: str, path: str) -> tuple[int, int]:
    """Return where the last key of a path stands in a payload; the end of it where it does not.

    >>> _marked('{"vlaue": 4}', "vlaue")
    (1, 8)
    """
    key = f'"{path.rpartition(".")[2]}"'
    at = text.find(key) if path else -1
    return (len(text), len(text)) if at < 0 else (at, at + len(key))
