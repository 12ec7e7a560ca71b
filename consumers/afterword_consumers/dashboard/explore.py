"""`/explore`: any question about any path, with its picture, its table and its SQL.

GET /explore?measure=feedback.score&group_by=metadata.model&where=source = explicit&bucket=day&compare=before
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from afterword_consumers.api.errors import ApiError
from afterword_consumers.dashboard.answers import Shown, show
from afterword_consumers.dashboard.frame import Frame
from afterword_consumers.explore.paths import KnownPath, find_paths
from afterword_consumers.query import Bucket, Plan
from afterword_consumers.query.language.fields import THUMBS
from afterword_consumers.query.language.question import BEFORE, COUNT, WEIGHTED

_ONE: Final = ("measure", "bucket", "compare", "top")
_MANY: Final = ("group_by", "where")
_TOP: Final = 8
_MEASURES: Final = {
    THUMBS: "thumbs up or down",
    "value": "number, −10 to 10",
    WEIGHTED: "value by its weight",
    COUNT: "how much feedback",
}
"""What can be measured beside the paths, and what it is."""

_GROUPS: Final = ("metadata._prompt", "metadata._environment", "metadata._user", "source")


@dataclass(frozen=True, slots=True)
class Choice:
    """Something to pick from.

    Attributes:
        name: What a question names.
        about: Its type, and an example.
    """

    name: str
    about: str


async def explore(request: Request) -> Response:
    """Show the answer beside the form that asks it."""
    frame = await Frame.read(request, "explore", one=_ONE, many=_MANY)
    arguments = frame.arguments
    measure = arguments.text("measure") or THUMBS
    where = tuple(text for text in arguments.texts("where") if text.strip())
    groups = tuple(name for name in arguments.texts("group_by") if name)
    known = await frame.api.ask(
        request, lambda database: find_paths(database, project=frame.project, limit=10_000)
    )
    shown, error = await _answer(frame, measure, groups, where)
    return frame.render(
        "explore.html",
        measure=measure,
        groups=groups,
        where=where,
        bucket=arguments.text("bucket") or "",
        compare=arguments.text("compare") or "",
        before=BEFORE,
        buckets=list(Bucket),
        measures=_measures(known),
        groupings=_groupings(known),
        shown=shown,
        error=error,
        api_link=lambda form: _api_link(frame, measure, form),
    )


ROUTES: Final = [Route("/explore", explore, methods=["GET"])]


async def _answer(
    frame: Frame, measure: str, groups: Sequence[str], where: Sequence[str]
) -> tuple[Shown | None, ApiError | None]:
    """Return what is answered, or why nothing can be."""
    try:
        plan = _plan(frame, measure, groups, where)
        found = await frame.ask_all({"answer": frame.job(plan)})
    except ApiError as error:
        return None, error
    answer = found["answer"]
    if isinstance(answer, ApiError):
        return None, answer
    return show(frame, answer), None


def _plan(frame: Frame, measure: str, groups: Sequence[str], where: Sequence[str]) -> Plan:
    arguments = frame.arguments
    return frame.plan(
        measure,
        group_by=tuple(groups),
        where=tuple(where),
        bucket=arguments.text("bucket") or None,
        compare=arguments.text("compare") or None,
        top=arguments.count("top", usual=_TOP, most=200),
    )


def _api_link(frame: Frame, measure: str, form: str) -> str:
    """Return the address at which the API gives the same answer as a file."""
    given = dict(frame.arguments.items())
    given.pop("period", None)
    given |= {"measure": [measure], "since": [frame.period.since.isoformat()], "format": [form]}
    given.setdefault("top", [str(_TOP)])
    pairs = {name: [text for text in texts if text] for name, texts in given.items()}
    return f"/api/query?{urlencode(pairs, doseq=True)}"


def _measures(known: Sequence[KnownPath]) -> list[Choice]:
    return [
        *(Choice(name, about) for name, about in _MEASURES.items()),
        *_choices(known),
    ]


def _groupings(known: Sequence[KnownPath]) -> list[Choice]:
    """Return by what feedback can be told apart: columns of text, and paths."""
    columns = [Choice(name, "column") for name in _GROUPS]
    return [*columns, *(each for each in _choices(known) if each.name not in _GROUPS)]


def _choices(known: Sequence[KnownPath]) -> list[Choice]:
    """Return each path once, whatever its projects and types."""
    about: dict[str, list[str]] = {}
    for path in known:
        example = path.example if len(path.example) <= 24 else f"{path.example[:23]}…"  # noqa: PLR2004
        about.setdefault(path.path, []).append(f"{path.type}, such as {example}")
    return [Choice(name, "; ".join(dict.fromkeys(kinds))[:120]) for name, kinds in about.items()]
