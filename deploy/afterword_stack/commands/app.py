"""The command line's root, to which the other modules add their commands."""

from importlib.metadata import version
from typing import Annotated

import typer

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
