"""The command that takes away what `afterword up --sample` has put there."""

import typer

from afterword_consumers.explore.sample import SAMPLE, remove_sample
from afterword_schemas.counted import counted
from afterword_stack.commands.lazy import PLAIN
from afterword_stack.commands.options import Timeout
from afterword_stack.run.database import open_database
from afterword_stack.settings import load_settings
from afterword_stack.terminal.console import notice

sample = typer.Typer(
    **PLAIN,
    no_args_is_help=True,
    help="Look after the made-up feedback of `afterword up --sample`.",
)


@sample.callback()
def _group() -> None:
    """Keep `remove` a command below this one, as the only one it is."""


@sample.command()
def remove(timeout: Timeout = None) -> None:
    """Delete the made-up feedback of `afterword up --sample`.

    It is in a project of its own, and nothing else is touched.
    Example: `afterword sample remove`.
    """
    with open_database(load_settings(notice).within(timeout).clickhouse) as clickhouse:
        count = remove_sample(clickhouse)
    notice(f"deleted {counted(count, 'row', 'rows')} of the project {SAMPLE}")
