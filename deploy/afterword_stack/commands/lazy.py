"""Commands that are imported when they are run, not when they are listed.

    class Root(LazyGroup):
        lazy = {"query": LazyCommand("afterword_stack.commands.ask", "query", "Answer a question …")}

What is behind the commands takes a second to import; `--help` and `--version` have no use for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Final

import typer
from typer.core import TyperGroup

PLAIN: Final[dict[str, Any]] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,
}
"""How Typer makes every part of the command line: as plain text."""


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """Where a command is.

    Attributes:
        module: Its module, under `afterword_stack.commands`.
        name: Of the function, or of the group of commands, in it.
        summary: What `--help` lists: the first line of its own help.
    """

    module: str
    name: str
    summary: str

    def load(self) -> Any:
        """Import the command, and return it as Typer runs it."""
        found = getattr(import_module(f"afterword_stack.commands.{self.module}"), self.name)
        if isinstance(found, typer.Typer):
            return typer.main.get_command(found)
        alone = typer.Typer(**PLAIN)
        alone.command()(found)
        return typer.main.get_command(alone)


class LazyGroup(TyperGroup):
    """A group that lists its commands without importing them."""

    lazy: ClassVar[Mapping[str, LazyCommand]] = {}

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names, in the order in which they are listed."""
        return list(self.lazy)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, imported now; None if there is none of this name."""
        # For a name that is unknown all of them, so that Typer can suggest one that is near.
        for name in [cmd_name] if cmd_name in self.lazy else self.lazy:
            if name not in self.commands:
                self.add_command(self.lazy[name].load(), name)
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write names and summaries."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in self.lazy.items()])
