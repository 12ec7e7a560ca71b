"""The command that answers questions: query."""

import shlex
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final

import typer

from afterword_consumers.csv_text import BYTE_ORDER_MARK, spreadsheet_line
from afterword_consumers.query import (
    Answer,
    Bucket,
    Question,
    as_csv,
    as_json,
    did_you_mean,
    parse,
    run_plan,
    to_sql,
)
from afterword_consumers.query.language.question import DEFAULT_TOP
from afterword_schemas import ConfigurationError
from afterword_stack.commands.options import (
    Project,
    Since,
    Spreadsheet,
    Timeout,
    Timezone,
    Until,
    Where,
)
from afterword_stack.errors import CommandError
from afterword_stack.run.database import open_database, patience
from afterword_stack.run.freshness import freshness_line, read_freshness
from afterword_stack.settings import load_settings
from afterword_stack.terminal.console import bold, notice, out, terminal_width
from afterword_stack.terminal.tables import as_table


class Format(StrEnum):
    """How an answer is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


_LONG_S: Final = 5.0
"""From here on a person notices that a question could be cheaper."""

_WRITERS: Final[Mapping[Format, Callable[[Answer], str]]] = {
    Format.TABLE: lambda found: as_table(found, terminal_width(), bold),
    Format.JSON: as_json,
    Format.CSV: as_csv,
}


_Approximate = Annotated[
    bool,
    typer.Option(
        "--approximate",
        help="Percentiles within 0.8 % of the value at their rank, sooner and in little memory.",
    ),
]


def query(  # noqa: PLR0917  # one for each option
    path: Annotated[
        str,
        typer.Argument(help="A path such as feedback.score, or value, thumbs, weighted, count."),
    ],
    group_by: Annotated[
        list[str] | None,
        typer.Option("--group-by", "-g", metavar="PATH", help="Path or column; up to two."),
    ] = None,
    where: Where = None,
    since: Since = None,
    until: Until = None,
    bucket: Annotated[Bucket | None, typer.Option("--bucket", help="A row for each.")] = None,
    timezone: Timezone = "UTC",
    top: Annotated[
        int, typer.Option("--top", help="Groups shown; the rest is 'other'.")
    ] = DEFAULT_TOP,
    project: Project = None,
    compare: Annotated[
        str | None,
        typer.Option(
            "--compare",
            metavar="PATH=A,B",
            help="How B differs from A, with a test; `before`: the period from the one before it.",
        ),
    ] = None,
    approximate: _Approximate = False,
    form: Annotated[
        Format, typer.Option("--format", "-f", help="How it is written.")
    ] = Format.TABLE,
    spreadsheet: Spreadsheet = False,
    sql: Annotated[
        bool, typer.Option("--sql", help="Print the SQL as well, ready to paste; to stderr.")
    ] = False,
    timeout: Timeout = None,
) -> None:
    """Answer a question about any path.

    A boolean gives true and false %, a number its sum, average and percentiles, a text its values;
    thumbs is what people voted, up and down %. Examples: `afterword query feedback.score -g metadata.model --since 7d`,
    `afterword query weighted -g metadata._environment`, `afterword query feedback.comment --top 5`,
    `afterword query thumbs --compare metadata._prompt=v1,v2`.
    """
    write = _spreadsheet_writer(form) if spreadsheet else _WRITERS[form]
    question = Question(
        path,
        project=project,
        group_by=tuple(group_by or ()),
        where=tuple(where or ()),
        since=since,
        until=until,
        bucket=bucket,
        timezone=timezone,
        top=top,
        approximate=approximate,
        compare=compare,
    )
    plan = parse(question, datetime.now(UTC))
    settings = load_settings(notice).within(timeout)
    fresh = read_freshness(settings)
    with open_database(settings.clickhouse) as clickhouse:
        began_s = time.monotonic()
        found = run_plan(plan, clickhouse, patience(settings.clickhouse), fresh)
        took_s = time.monotonic() - began_s
    if found.series or form is Format.JSON:
        out(write(found))
    _print_remarks(found, slow_line(found, took_s), sql=sql)


def slow_line(found: Answer, took_s: float) -> str:
    """Return how such questions could be answered sooner; empty where this took no long time."""
    if took_s < _LONG_S or not found.unpromoted:
        return ""
    commands = ", ".join(f"`afterword promote {shlex.quote(path)}`" for path in found.unpromoted)
    return f"This took {took_s:.1f} s. If you ask it often: {commands}"


def _spreadsheet_writer(form: Format) -> Callable[[Answer], str]:
    if form is Format.JSON:
        raise ConfigurationError(
            "JSON is for no spreadsheet.", "Leave --format or --spreadsheet out."
        )
    return lambda found: BYTE_ORDER_MARK + as_csv(found, spreadsheet_line)


def _print_remarks(found: Answer, slow: str, *, sql: bool) -> None:
    remark = f"{found.notice} {did_you_mean(found.suggestions)}".rstrip()
    said = "" if found.freshness is None else freshness_line(found.freshness)
    for line in filter(None, (said, remark if found.series else "", slow)):
        notice(f"-- {line}" if sql else line)
    if sql:
        _print_sql(found)
    if not found.series:
        raise CommandError(remark)


def _print_sql(found: Answer) -> None:
    """Print what ran; one statement can be pasted with all that stands before it."""
    end = ";\n" if len(found.statements) > 1 else ""  # no server takes two in one request
    for statement in found.statements:
        notice(f"-- {statement.series}\n{to_sql(statement)}{end}")
