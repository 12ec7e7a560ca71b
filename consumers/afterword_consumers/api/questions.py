"""`/api/query`: the questions of `afterword query`, as parameters of a URL.

    GET /api/query?measure=feedback.score&group_by=metadata.model&where=source = explicit&since=7d

JSON, or CSV for `format=csv` or `Accept: text/csv`; what JSON says beside the series, headers say there.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from afterword_consumers.api.accepting import choose
from afterword_consumers.api.arguments import Arguments
from afterword_consumers.api.errors import ApiError, ErrorCode, of_question
from afterword_consumers.api.json_answers import NOT_KEPT, json_answer
from afterword_consumers.api.service import api_of
from afterword_consumers.csv_text import BYTE_ORDER_MARK, csv_line, spreadsheet_line
from afterword_consumers.query import (
    Answer,
    Plan,
    Question,
    QuestionError,
    as_csv,
    as_object,
    parse,
    run_plan,
    to_sql,
)
from afterword_consumers.query.answer.formats import freshness_fields
from afterword_consumers.query.language.question import DEFAULT_TOP, MAX_TOP

_ONE: Final = (
    *("measure", "since", "until", "bucket", "timezone", "top", "compare", "approximate"),
    *("sql", "format", "spreadsheet"),
)
_MANY: Final = ("group_by", "where")

_WITH_OFFSETS: Final = ("since", "until", "timezone")
_PLUS: Final = "In a URL, write a + as %2B."

_JSON: Final = "application/json"
_CSV: Final = "text/csv"
_FORMATS: Final = {"json": _JSON, "csv": _CSV}


async def query(request: Request) -> Response:
    """Answer a question about any path."""
    api = api_of(request)
    asked = api.read(request, one=_ONE, many=_MANY)
    form = _form(request, asked.arguments)
    plan = _plan(asked.arguments, asked.project)
    freshness = await api.freshness.look()  # before the tables are read
    found = await api.ask(
        request, lambda database: run_plan(plan, database, database.budget, freshness)
    )
    if form == _CSV:
        return _csv(found, for_spreadsheets=asked.arguments.flag("spreadsheet"))
    body = as_object(found)
    if asked.arguments.flag("sql"):
        body["sql"] = _sql(found)
    return json_answer(body, headers={"vary": "accept"})


ROUTES: Final = [Route("/api/query", query, methods=["GET"])]


def _form(request: Request, arguments: Arguments) -> str:
    form = _chosen(request, arguments)
    if form is None:
        raise ApiError(
            406,
            ErrorCode.NOT_ACCEPTABLE,
            "The answer is JSON or CSV.",
            f"Accept: {_JSON}, or {_CSV}.",
        )
    if form == _JSON and arguments.flag("spreadsheet"):
        raise ApiError(
            400, ErrorCode.INVALID_PARAMETER, "JSON is for no spreadsheet.", "Add format=csv."
        )
    if form == _CSV and arguments.flag("sql"):
        raise ApiError(
            400, ErrorCode.INVALID_PARAMETER, "CSV has no place for SQL.", f"Accept: {_JSON}."
        )
    return form


def _chosen(request: Request, arguments: Arguments) -> str | None:
    """Return the form that the parameter names, or else that the header likes best."""
    named = arguments.text("format")
    if named is None:
        return choose(", ".join(request.headers.getlist("accept")), [_JSON, _CSV])
    if named not in _FORMATS:
        raise ApiError(
            400,
            ErrorCode.INVALID_PARAMETER,
            "format is not of its form.",
            "Write format=json or format=csv.",
        )
    return _FORMATS[named]


def _plan(arguments: Arguments, project: str | None) -> Plan:
    measure = arguments.text("measure")
    if measure is None:
        raise ApiError(
            400,
            ErrorCode.MISSING_PARAMETER,
            "The question has no measure.",
            "Write measure=feedback.score, another path, value, thumbs, weighted or count.",
        )
    question = Question(
        measure,
        project=project,
        group_by=arguments.texts("group_by"),
        where=arguments.texts("where"),
        since=arguments.text("since"),
        until=arguments.text("until"),
        bucket=arguments.text("bucket"),
        timezone=arguments.text("timezone") or "UTC",
        top=arguments.count("top", usual=DEFAULT_TOP, most=MAX_TOP),
        approximate=arguments.flag("approximate"),
        compare=arguments.text("compare"),
    )
    try:
        return parse(question, datetime.now(UTC))
    except QuestionError as error:
        raise of_question(error, hint=_PLUS if _lost_a_plus(arguments) else "") from error


def _lost_a_plus(arguments: Arguments) -> bool:
    """Whether a space stands in a time or a zone, where a plus may have been meant."""
    return any(" " in (arguments.text(name) or "").strip() for name in _WITH_OFFSETS)


def _sql(found: Answer) -> list[Mapping[str, Any]]:
    """Return what ran, each statement ready to paste, also what found nothing."""
    return [{"type": each.series, "sql": to_sql(each)} for each in found.statements]


def _csv(found: Answer, *, for_spreadsheets: bool) -> Response:
    text = as_csv(found, spreadsheet_line if for_spreadsheets else csv_line)
    begin = BYTE_ORDER_MARK if for_spreadsheets else ""
    told: dict[str, str | int | None] = {
        "notice": found.notice or None,
        "suggestions": ", ".join(found.suggestions) or None,
        **({} if found.freshness is None else freshness_fields(found.freshness)),
    }
    headers = {
        f"afterword-{name.replace('_', '-')}": _header(str(each))
        for name, each in told.items()
        if each is not None
    }
    return Response(
        f"{begin}{text}\n" if text else "",
        headers={**NOT_KEPT, "vary": "accept", **headers},
        media_type="text/csv; charset=utf-8; header=present",
    )


def _header(text: str) -> str:
    r"""Return text as a header can carry it: what is no ASCII, and no line, is escaped as in JSON.

    >>> _header("no ü\r\n")
    'no \\u00fc\\r\\n'
    """
    return json.dumps(text)[1:-1]
