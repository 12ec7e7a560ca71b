"""The command line's root: which commands there are, in the order in which --help lists them."""

from importlib.metadata import version
from typing import Annotated, ClassVar

import typer

from afterword_stack.commands.lazy import PLAIN, LazyCommand, LazyGroup
from afterword_stack.interrupts import raise_from_now_on
from afterword_stack.terminal.console import out


class Root(LazyGroup):
    """Every command, by the name that one types."""

    lazy: ClassVar = {
        "demo": LazyCommand(
            "local", "demo", "Run the whole pipeline once on made-up feedback, then clean up."
        ),
        "up": LazyCommand(
            "local", "up", "Run the pipeline on this machine until Ctrl-C; its data stays."
        ),
        "sample": LazyCommand(
            "sample", "sample", "Look after the made-up feedback of `afterword up --sample`."
        ),
        "publish": LazyCommand("events", "publish", "Publish the events of a file to the topic."),
        "check": LazyCommand(
            "events", "check", "Name the lines of a file that would be refused, and why."
        ),
        "query": LazyCommand("ask", "query", "Answer a question about any path."),
        "tail": LazyCommand("tail", "tail", "Show feedback as it is stored, until Ctrl-C."),
        "paths": LazyCommand(
            "paths", "paths", "List every path ever seen, its type, when, and an example."
        ),
        "export": LazyCommand(
            "export", "export", "Write feedback to a file, each in its latest state."
        ),
        "status": LazyCommand(
            "operate", "status", "Say how far the workers are behind, and what is stored."
        ),
        "doctor": LazyCommand(
            "operate", "doctor", "Check this machine, settings, Kafka, ClickHouse and tables."
        ),
        "worker": LazyCommand(
            "operate", "worker", "Read the topic into ClickHouse until SIGTERM or Ctrl-C."
        ),
        "gateway": LazyCommand(
            "operate", "gateway", "Serve the HTTP gateway until SIGTERM or Ctrl-C."
        ),
        "dashboard": LazyCommand(
            "operate", "dashboard", "Answer questions over HTTP until SIGTERM or Ctrl-C."
        ),
        "migrate": LazyCommand(
            "operate", "migrate", "Create the database and its tables, or bring them up to date."
        ),
        "promote": LazyCommand(
            "promote", "promote", "Give a path a column of its own, for faster answers."
        ),
        "demote": LazyCommand("promote", "demote", "Drop the columns that promote gave a path."),
        "schema": LazyCommand(
            "operate", "schema", "Print the JSON Schema, the AsyncAPI or an OpenAPI document."
        ),
        "rejected": LazyCommand(
            "rejected", "rejected", "Look at messages that were refused, and publish them again."
        ),
        "keys": LazyCommand(
            "keys", "keys", "Make, list and revoke the keys of gateway and dashboard."
        ),
    }


app = typer.Typer(
    name="afterword",
    cls=Root,
    no_args_is_help=True,
    **PLAIN,
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
    raise_from_now_on()  # Typer calls this once the command is imported, and before it begins
