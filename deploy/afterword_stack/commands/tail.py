"""The command that shows feedback as it comes in: tail."""

import json
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from afterword_consumers.explore.live import NewFeedback, Tail
from afterword_consumers.query import Question, parse
from afterword_consumers.query.language.question import COUNT
from afterword_consumers.rfc3339 import rfc3339
from afterword_schemas import RetryableError
from afterword_stack.commands.options import Project, Where
from afterword_stack.run.database import open_database
from afterword_stack.settings import load_settings
from afterword_stack.terminal.console import notice, out

_LOOK_EVERY_S: Final = 0.5
_RETRY_S: Final = 2.0
_MAX_COMMENT: Final = 200


def tail(
    project: Project = None,
    where: Where = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a line.")] = False,
) -> None:
    """Show feedback as it is stored, until Ctrl-C.

    One line for each: when, where, by whom, and what was said or done. It goes on when ClickHouse was away.
    Example: `afterword tail --where 'thumbs = down'`.
    """
    now = datetime.now(UTC)
    plan = parse(Question(COUNT, project=project, where=tuple(where or ())), now)
    watch = Tail(plan, now)
    with open_database(load_settings(notice).clickhouse) as clickhouse:
        notice("waiting for feedback; Ctrl-C stops")
        while True:
            try:
                found = watch.look(clickhouse)
            except RetryableError as error:
                notice(f"{error} Trying again.")
                time.sleep(_RETRY_S)
                continue
            for one in found:
                out(json.dumps(_fields(one), ensure_ascii=False) if as_json else line_of(one))
            if found:
                sys.stdout.flush()
            time.sleep(_LOOK_EVERY_S)


def line_of(one: NewFeedback) -> str:
    """Return a feedback as a line of text: what is in it can neither end the line nor command a terminal."""
    parts = [
        rfc3339(one.created_ms),
        one.project,
        one.trace_id or "-",
        one.user or "-",
        " ".join(_said(one)) or one.source,
    ]
    return "  ".join(_printable(part) for part in parts)


def _said(one: NewFeedback) -> list[str]:
    said = [*one.deeds]
    if one.thumbs_up is not None:
        said.append("thumbs up" if one.thumbs_up else "thumbs down")
    if one.value is not None:
        said.append(f"{one.value}:{one.weight:g}")
    if one.comment:
        said.append(f'"{one.comment[:_MAX_COMMENT]}"')
    return said


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _fields(one: NewFeedback) -> dict[str, object]:
    fields = asdict(one)
    return {"created_at": rfc3339(fields.pop("created_ms")), **fields}
