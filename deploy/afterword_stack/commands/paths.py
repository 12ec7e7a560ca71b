"""The command that lists what can be asked about: paths."""

import json
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from afterword_consumers.csv_text import BYTE_ORDER_MARK, CsvLine, csv_line, spreadsheet_line
from afterword_consumers.explore.paths import find_paths, suggest_paths
from afterword_schemas import ConfigurationError
from afterword_stack.commands.ask import Format
from afterword_stack.commands.options import Project, Spreadsheet, Timeout
from afterword_stack.run.database import open_database, patience
from afterword_stack.settings import load_settings
from afterword_stack.terminal.console import notice, out, print_table

_TO_THE_MINUTE: Final = len("2026-01-31T12:00")


def paths(  # noqa: PLR0917  # one for each option
    prefix: Annotated[str, typer.Argument(help="Only paths that begin so, case as written.")] = "",
    project: Project = None,
    measured: Annotated[
        bool,
        typer.Option(
            "--measured",
            help="Count each path's feedback and its distinct values, which reads all of it.",
        ),
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=100_000, help="So many rows at most.")
    ] = 10_000,
    form: Annotated[
        Format, typer.Option("--format", "-f", help="How it is written.")
    ] = Format.TABLE,
    spreadsheet: Spreadsheet = False,
    timeout: Timeout = None,
) -> None:
    """List every path ever seen, its type, when, and an example.

    Examples: `afterword paths feedback. --project acme`, `afterword paths --measured`.
    """
    if spreadsheet and form is Format.JSON:
        raise ConfigurationError(
            "JSON is for no spreadsheet.", "Leave --format or --spreadsheet out."
        )
    suggestions: list[str] = []
    settings = load_settings(notice).within(timeout)
    address = settings.clickhouse if measured else settings.clickhouse_look
    with open_database(address) as clickhouse:
        found = find_paths(
            clickhouse,
            project=project,
            prefix=prefix,
            measured=measured,
            limit=limit,
            budget=patience(address),
        )
        if not found:
            suggestions = suggest_paths(clickhouse, prefix, project=project)
    rows = [each.fields() for each in found]
    if spreadsheet:
        _write_csv(rows, spreadsheet_line, BYTE_ORDER_MARK)
    else:
        _write(rows, suggestions, form)
    if not found:
        _say_nothing_found(suggestions, asked=bool(prefix or project))
    elif len(found) == limit:
        notice(f"only the first {limit:,} are shown; see --limit, or give a prefix")


def _say_nothing_found(suggestions: Sequence[str], *, asked: bool) -> None:
    hint = f"; did you mean {', '.join(suggestions)}?" if suggestions else ""
    seen = "no such path was seen" if asked else "no feedback was stored yet"
    notice(f"{seen}{hint}")


def _write(rows: Sequence[dict[str, object]], suggestions: Sequence[str], form: Format) -> None:
    match form:
        case Format.JSON:
            document = {"paths": rows, "suggestions": suggestions}
            out(json.dumps(document, ensure_ascii=False, indent=2))
        case Format.CSV:
            _write_csv(rows, csv_line)
        case Format.TABLE:
            print_table([_cells(row) for row in rows])


def _write_csv(rows: Sequence[dict[str, object]], line: CsvLine, begin: str = "") -> None:
    if rows:
        lines = [line(rows[0]), *(line(row.values()) for row in rows)]
        out(begin + "".join(lines).rstrip("\n"))


def _cells(row: dict[str, object]) -> dict[str, object]:
    """Return a row as a person reads it: times to the minute, percent signs, and the example last."""
    cells = {name.replace("_", " "): cell for name, cell in row.items() if name != "example"}
    for name in ("first seen", "last seen"):
        cells[name] = str(cells[name])[:_TO_THE_MINUTE].replace("T", " ")
    if "share percent" in cells:
        share = cells.pop("share percent")
        cells["share"] = None if share is None else f"{share:.1f} %"
    return cells | {"example": row["example"]}
