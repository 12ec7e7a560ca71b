"""The command that writes feedback to a file: export."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from afterword_consumers.clickhouse.client import ClickHouse
from afterword_consumers.export import (
    PairCounts,
    PairPaths,
    Piece,
    Skipped,
    count,
    count_candidates,
    explain_empty,
    explain_missing,
    export_csv,
    export_events,
    export_pairs,
    export_parquet,
    parse_selection,
)
from afterword_consumers.query import Plan, did_you_mean
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
from afterword_stack.run.database import open_database
from afterword_stack.run.freshness import freshness_line, read_freshness
from afterword_stack.settings import load_settings
from afterword_stack.terminal.console import notice, progress
from afterword_stack.terminal.output_file import open_whole


class FileFormat(StrEnum):
    """What a file of feedback is written as."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


_WRITERS: Final = {
    FileFormat.JSONL: export_events,
    FileFormat.CSV: export_csv,
    FileFormat.PARQUET: export_parquet,
}


_PATHS: Final = PairPaths()


def export(  # noqa: PLR0917  # one for each option
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to; - for stdout.")],
    form: Annotated[
        FileFormat | None,
        typer.Option("--format", "-f", help="By default as FILE ends; jsonl without an ending."),
    ] = None,
    project: Project = None,
    where: Where = None,
    since: Since = None,
    until: Until = None,
    timezone: Timezone = "UTC",
    pairs: Annotated[
        bool, typer.Option("--pairs", help="Preference pairs of edits and ground truths, as JSONL.")
    ] = False,
    prompt_path: Annotated[
        str, typer.Option("--prompt-path", metavar="PATH", help="Of pairs: the prompt's text.")
    ] = _PATHS.prompt,
    answer_path: Annotated[
        str, typer.Option("--answer-path", metavar="PATH", help="Of pairs: the answer's text.")
    ] = _PATHS.answer,
    spreadsheet: Spreadsheet = False,
    timeout: Timeout = None,
) -> None:
    """Write feedback to a file, each in its latest state.

    JSONL is events that `afterword publish` takes, CSV has a column for each path, Parquet the
    typed maps. An existing FILE is replaced once the new one is complete.
    Examples: `afterword export all.jsonl`, `afterword export week.csv --project shop --since 7d`,
    `afterword export train.jsonl --pairs -w 'feedback.edited = true'`.
    """
    selection = parse_selection(
        datetime.now(UTC),
        project=project,
        where=tuple(where or ()),
        since=since,
        until=until,
        timezone=timezone,
    )
    written_as = form or _form_of(file)
    if pairs and written_as is not FileFormat.JSONL:
        raise ConfigurationError(
            "Pairs are JSONL.", "Leave --format out, or let FILE end in .jsonl."
        )
    if spreadsheet and written_as is not FileFormat.CSV:
        raise ConfigurationError(
            "--spreadsheet is for CSV.", "Let FILE end in .csv, or say --format csv."
        )
    texts = PairPaths(prompt_path, answer_path) if pairs else None
    settings = load_settings(notice).within(timeout)
    fresh = read_freshness(settings)
    with open_database(settings.clickhouse) as clickhouse:
        if texts is None:
            said = ""
            _export(file, selection, written_as, clickhouse, for_spreadsheets=spreadsheet)
        else:
            said = _export_pairs(file, selection, texts, clickhouse)
    notice(freshness_line(fresh))
    if said:
        notice(said)


def _export(
    file: str,
    selection: Plan,
    form: FileFormat,
    clickhouse: ClickHouse,
    *,
    for_spreadsheets: bool,
) -> None:
    """Write feedback.

    Raises:
        CommandError: No feedback is selected; nothing is written, not even an empty file.
    """
    total = count(selection, clickhouse)
    if not total:
        sentence, suggestions = explain_empty(selection, clickhouse)
        raise CommandError(f"nothing was written. {sentence} {did_you_mean(suggestions)}".rstrip())
    writer = partial(export_csv, for_spreadsheets=True) if for_spreadsheets else _WRITERS[form]
    _write(file, writer(selection, clickhouse), form, total)


def _export_pairs(file: str, selection: Plan, paths: PairPaths, clickhouse: ClickHouse) -> str:
    """Write pairs, and return how many of what was read there are.

    Raises:
        CommandError: Nothing selected could make a pair; nothing is written, not even an empty file.
    """
    counts = PairCounts()
    total = count_candidates(selection, clickhouse)
    if not total:
        raise CommandError("nothing was written. No feedback here holds an edit or a ground truth.")
    pieces = export_pairs(selection, paths, clickhouse, counts)
    with open_whole(file) as target, progress("feedback read", total) as advance:
        for piece in pieces:
            target.write(piece.data)
            advance(piece.rows)
        said = " ".join([f"{counts}.", *_missing(counts, paths, selection, clickhouse)])
        if not counts.pairs:  # in here, so that what was there before stays
            raise CommandError(f"nothing was written. {said}")
    return said


def _missing(
    counts: PairCounts, paths: PairPaths, selection: Plan, clickhouse: ClickHouse
) -> Iterator[str]:
    """Yield a sentence for each path of texts that was looked for in vain, as no feedback has it."""
    looked_for = {Skipped.NO_PROMPT: paths.prompt, Skipped.NO_REJECTED: paths.answer}
    for reason in filter(counts.skipped.get, looked_for):
        notice, near = explain_missing(looked_for[reason], selection, clickhouse)
        yield from filter(None, (notice, did_you_mean(near)))


def _write(file: str, pieces: Iterable[Piece], form: FileFormat, total: int) -> None:
    # Parquet does not show where a row ends, but how much of it there is.
    by_bytes = form is FileFormat.PARQUET
    what = "bytes exported" if by_bytes else "exported"
    with (
        open_whole(file) as target,
        progress(what, None if by_bytes else total) as advance,
    ):
        for piece in pieces:
            target.write(piece.data)
            advance(len(piece.data) if by_bytes else piece.rows)


def _form_of(file: str) -> FileFormat:
    ending = Path(file).suffix.lower().removeprefix(".")
    if ending in set(FileFormat):
        return FileFormat(ending)
    if ending in {"", "ndjson"}:
        return FileFormat.JSONL
    raise ConfigurationError(
        f"{file} does not end in a format.", f"Say --format {', '.join(FileFormat)}."
    )
