"""The commands that give a path a column of its own, and take it away: promote, demote."""

import time
from typing import Annotated, Final

import typer

from afterword_consumers.clickhouse.client import ClickHouse
from afterword_consumers.explore.promotion import demote as demote_path
from afterword_consumers.explore.promotion import promote as promote_path
from afterword_consumers.explore.promotion import read_backfill
from afterword_consumers.query import read_promoted
from afterword_stack.commands.options import Timeout
from afterword_stack.errors import CommandError
from afterword_stack.run.database import open_database
from afterword_stack.settings import load_settings
from afterword_stack.terminal.console import notice, out, print_table, progress

_LOOK_EVERY_S: Final = 0.5

_Cluster = Annotated[
    str | None, typer.Option("--cluster", help="Of the tables, as for `afterword migrate`.")
]


def promote(
    path: Annotated[
        str | None, typer.Argument(help="Such as feedback.score; without one, lists what is.")
    ] = None,
    cluster: _Cluster = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Until stored feedback has the column, too.")
    ] = True,
    timeout: Timeout = None,
) -> None:
    """Give a path a column of its own, for faster answers.

    Questions about it then read that and no whole map; the answers are the same. For paths that are asked
    often, of much feedback: each costs some disk, and some time of each insert.
    Example: `afterword promote feedback.score`; `afterword demote feedback.score` undoes it.
    """
    with open_database(load_settings(notice).within(timeout).clickhouse) as clickhouse:
        if path is None:
            _list(clickhouse)
            return
        for name in promote_path(clickhouse, path, cluster):
            out(name)
        notice(f"questions about {path} use it from now on")
        if wait:
            _wait(clickhouse)


def demote(
    path: Annotated[str, typer.Argument(help="A promoted path.")],
    cluster: _Cluster = None,
    timeout: Timeout = None,
) -> None:
    """Drop the columns that promote gave a path.

    Nothing is lost: its values are in the feedback still.
    Example: `afterword demote feedback.score`.
    """
    with open_database(load_settings(notice).within(timeout).clickhouse) as clickhouse:
        for name in demote_path(clickhouse, path, cluster):
            out(name)
        notice(f"dropped; the values of {path} are in the feedback still")


def _list(clickhouse: ClickHouse) -> None:
    promoted = sorted((path, name) for (_, path), name in read_promoted(clickhouse, {}).items())
    if not promoted:
        notice("no path is promoted; `afterword promote PATH` promotes one")
    print_table([{"path": path, "column": name} for path, name in promoted])


def _wait(clickhouse: ClickHouse) -> None:
    """Wait until no part of the table lacks a promoted column."""
    if to_do := read_backfill(clickhouse).parts_to_do:
        notice("filling what is stored goes on after Ctrl-C, too")
        with progress("parts filled", to_do) as advance:
            while left := _parts_to_do(clickhouse):
                advance(max(0, to_do - left))
                to_do = min(to_do, left)
                time.sleep(_LOOK_EVERY_S)
            advance(to_do)
    notice("all stored feedback has it")


def _parts_to_do(clickhouse: ClickHouse) -> int:
    found = read_backfill(clickhouse)
    if found.failure:
        raise CommandError(f"ClickHouse cannot fill the column: {found.failure}")
    return found.parts_to_do
