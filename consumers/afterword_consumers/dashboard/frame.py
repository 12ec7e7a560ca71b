"""What every page has: the bar, the list of pages, links that keep project and period, and its headers.

frame = await Frame.read(request, page="overview")
return frame.render("overview.html", kpis=kpis)
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, Self
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from afterword_consumers.api.arguments import Arguments
from afterword_consumers.api.errors import ApiError, of_question
from afterword_consumers.api.service import Api, api_of
from afterword_consumers.dashboard import assets, wording
from afterword_consumers.dashboard.period import CHOICES, DEFAULT, Period, read_period
from afterword_consumers.explore.sample import SAMPLE
from afterword_consumers.query import (
    Answer,
    Freshness,
    Plan,
    Question,
    QuestionError,
    parse,
    run_plan,
)
from afterword_consumers.query.language.question import BEFORE

PAGES: Final = {
    "overview": ("/", "Overview"),
    "explore": ("/explore", "Explore"),
    "traces": ("/traces", "Traces"),
    "rejected": ("/rejected", "Rejected"),
    "pipeline": ("/pipeline", "Pipeline"),
}
"""Each page, its address and what it is called."""

COOKIE: Final = "afterword_key"
"""The cookie that holds the key of who has signed in."""

_STALE_S: Final = 60.0
_POLICY: Final = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}

Job = Callable[[Any], Any]
"""Asks a database something."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A page that is being made.

    Attributes:
        request: What asked for it.
        page: Which one of `PAGES`.
        api: What it asks.
        project: The one that it is about; None for all.
        arguments: Of the URL.
        period: What it looks at.
        freshness: As it was before the tables are read.
        projects: Those to choose from; empty where there is no choice.
    """

    request: Request
    page: str
    api: Api
    project: str | None
    arguments: Arguments
    period: Period
    freshness: Freshness
    projects: Sequence[str]

    @classmethod
    async def read(
        cls, request: Request, page: str, *, one: Sequence[str] = (), many: Sequence[str] = ()
    ) -> Self:
        """Admit a request and read its URL; raises `ApiError`.

        Args:
            request: What asks.
            page: Which one of `PAGES`.
            one: Its own parameters that take one value.
            many: Those that may be repeated.
        """
        api = api_of(request)
        asked = api.read(request, one=["period", *one], many=many)
        period = read_period(asked.arguments.text("period"), datetime.now(UTC))
        freshness = await api.freshness.look()
        projects = [] if api.is_bound(request) else await api.ask(request, _projects)
        return cls(request, page, api, asked.project, asked.arguments, period, freshness, projects)

    def plan(self, measure: str, **fields: Any) -> Plan:
        """Return the plan of a question about the page's project and, if no other, period.

        Raises:
            ApiError: 400 where it cannot be asked.
        """
        fields = {"since": self.period.since.isoformat(), **fields}
        if fields.get("compare") == BEFORE:  # whole buckets on both sides
            fields = {"until": self.period.end.isoformat(), **fields}
        try:
            return parse(Question(measure, project=self.project, **fields), self.period.now)
        except QuestionError as error:
            raise of_question(error) from error

    def question(self, measure: str, **fields: Any) -> Job:
        """Return the job that answers a question; see `plan`."""
        return self.job(self.plan(measure, **fields))

    def job(self, plan: Plan) -> Job:
        """Return the job that answers a plan."""

        def answer(database: Any) -> Answer:
            return run_plan(plan, database, database.budget, self.freshness)

        return answer

    async def ask_all(self, jobs: Mapping[str, Job]) -> dict[str, Any]:
        """Return what each job finds; an `ApiError` in place of what could not be found."""
        return await self.api.ask_all(self.request, jobs)

    def link(self, page: str = "", /, **parameters: str | Sequence[str] | None) -> str:
        """Return the address of a page with this project and period; None leaves a parameter out."""
        kept: dict[str, str | Sequence[str] | None] = {
            "project": self.arguments.text("project"),
            "period": self.period.name if self.period.name != DEFAULT else None,
        }
        kept |= parameters
        pairs = {name: value for name, value in kept.items() if value not in (None, "", ())}
        path = PAGES[page][0] if page in PAGES else page or PAGES[self.page][0]
        return f"{path}?{urlencode(pairs, doseq=True)}" if pairs else path

    def live_link(self, where: Sequence[str] = ()) -> str:
        """Return the address that tells of new feedback of this project, and of these filters."""
        pairs = {"project": [self.project] if self.project else [], "where": list(where)}
        return f"/live?{urlencode(pairs, doseq=True)}"

    def here(self, **changed: str | Sequence[str] | None) -> str:
        """Return the address of this page with some parameters changed; None leaves one out."""
        pairs = dict(self.arguments.items()) | changed
        pairs = {name: value for name, value in pairs.items() if value not in (None, "", (), [])}
        path = self.request.url.path
        return f"{path}?{urlencode(pairs, doseq=True)}" if pairs else path

    def render(self, template: str, status: int = 200, **values: Any) -> Response:
        """Return the page."""
        return _respond(
            template,
            status,
            frame=self,
            link=self.link,
            pages=PAGES,
            periods=CHOICES,
            now=self.period.now,
            is_stale=self.is_stale,
            **values,
        )

    @property
    def is_stale(self) -> bool:
        """Whether what is read may be older than a minute."""
        until = self.freshness.complete_until
        return until is not None and (self.period.now - until).total_seconds() > _STALE_S

    @property
    def signed_in(self) -> bool:
        """Whether a key came in a cookie, which can be forgotten."""
        return COOKIE in self.request.cookies and self.api.is_bound(self.request)

    @property
    def has_sample(self) -> bool:
        """Whether what it shows is made up, or some of it."""
        return self.project == SAMPLE or (self.project is None and SAMPLE in self.projects)


def render_error(request: Request, error: ApiError) -> Response:
    """Return the page that says why there is no other; without a key, the form that asks for it."""
    if error.status == 401:  # noqa: PLR2004
        query = f"?{request.url.query}" if request.url.query else ""
        known = error if COOKIE in request.cookies or "authorization" in request.headers else None
        answer = render_sign_in(request, known, f"{request.url.path}{query}")
        answer.status_code = error.status
        return answer
    return _respond(
        "error.html", error.status, error=error, frame=None, pages=PAGES, path=request.url.path
    )


def render_sign_in(request: Request, error: ApiError | None, after: str) -> Response:
    """Return the form that asks for a key.

    Args:
        request: What asks.
        error: What is wrong with the key that was sent; None for none.
        after: The address to go on to.
    """
    status = 200 if error is None else error.status
    values: dict[str, Any] = {"error": error, "next": after, "frame": None, "pages": {}}
    return _respond("sign_in.html", status, **values)


def rows_of(answer: Answer) -> list[dict[str, Any]]:
    """Return the rows of an answer's first series by column name; none without data."""
    if not answer.series:
        return []
    series = answer.series[0]
    names = [column.name for column in series.columns]
    return [dict(zip(names, row, strict=True)) for row in series.rows]


def _respond(template: str, status: int, **values: Any) -> Response:
    text = _templates().get_template(template).render(values)
    error = values.get("error")
    headers = error.headers if isinstance(error, ApiError) and status == error.status else {}
    return HTMLResponse(text, status, {**_HEADERS, **headers})


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("afterword_consumers.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in (
        *("number", "whole", "percent", "score", "difference", "interval", "p_value", "size"),
        *("ago", "exact", "from_ms", "day"),
    ):
        environment.filters[name] = getattr(wording, name)
    environment.filters["quoted"] = _quoted
    environment.filters["last_step"] = _last_step
    environment.globals |= {
        "asset": assets.url,
        "write_percent": wording.percent,
        "write_score": wording.score,
        "write_number": wording.whole,
    }
    return environment


def _projects(database: Any) -> list[str]:
    sql = "SELECT DISTINCT project FROM feedback_paths ORDER BY project LIMIT 1000"
    return [str(name) for (name,) in database.query(sql, {}, database.budget.settings()).rows]


def _quoted(text: str) -> str:
    r"""Return text as a filter writes it.

    >>> print(_quoted("it's"))
    'it\'s'
    """
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _last_step(path: str) -> str:
    """Return what a path is called in a sentence.

    >>> _last_step("metadata._prompt"), _last_step("metadata.model")
    ('prompt', 'model')
    """
    return path.rpartition(".")[2].lstrip("_")


def literal(text: str) -> str:
    """Return a value of a group as a filter writes it: numbers, true and false are no text.

    >>> literal("3.5"), literal("true"), literal("gpt 5")
    ('3.5', 'true', "'gpt 5'")
    """
    return text if text in {"true", "false"} or _NUMBER.fullmatch(text) else _quoted(text)


_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?")
