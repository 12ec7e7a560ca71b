"""The command line's root: which commands there are, in the order in which --help lists them."""

from importlib.metadata import version
from typing import Annotated

import typer

from afterword_stack.commands.ask import query
from afterword_stack.commands.events import check, publish
from afterword_stack.commands.export import export
from afterword_stack.commands.keys import keys
from afterword_stack.commands.local import demo, up
from afterword_stack.commands.operate import (
    dashboard,
    doctor,
    gateway,
    migrate,
    schema,
    status,
    worker,
)
from afterword_stack.commands.paths import paths
from afterword_stack.commands.promote import demote, promote
from afterword_stack.commands.rejected import rejected
from afterword_stack.console import out

app = typer.Typer(
    name="afterword",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Feedback on AI answers: through Kafka into ClickHouse, and questions about it.\n\n"
    "Try `afterword demo` first. Settings: AFTERWORD_* variables or afterword.toml; "
    "see `afterword doctor`.",
)

for command in (
    *(demo, up, publish, check, query, paths, export, status, doctor),
    *(worker, gateway, dashboard, migrate, promote, demote, schema),
):
    app.command()(command)
app.add_typer(rejected, name="rejected")
app.add_typer(keys, name="keys")


def _print_version(wanted: bool) -> None:  # noqa: FBT001  # the form of a typer callback
    if wanted:
        out(f"afterword {version('afterword')}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass
