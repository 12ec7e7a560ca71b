"""The commands on the keys of gateway and dashboard: keys create, list, revoke."""

from typing import Annotated

import typer

from afterword.gateway.auth.key_file import Key, KeyFile, Scope
from afterword_stack.commands.lazy import PLAIN
from afterword_stack.settings import load_settings
from afterword_stack.terminal.console import notice, out, print_table

keys = typer.Typer(
    **PLAIN,
    no_args_is_help=True,
    help="Make, list and revoke the keys of gateway and dashboard.",
)


@keys.command()
def create(
    project: Annotated[
        str, typer.Option("--project", "-p", help="The project whose events it sends or reads.")
    ],
    scope: Annotated[
        list[Scope],
        typer.Option(
            "--scope",
            metavar="SCOPE",
            help="Services: write, read, or both by repeating it. Web pages: publish.",
        ),
    ],
    origin: Annotated[
        list[str] | None,
        typer.Option(
            "--origin",
            metavar="ORIGIN",
            help="Of a page that may use a publish key, as https://app.example.com; repeat for more; "
            "'*' is all.",
        ),
    ] = None,
    events_per_minute: Annotated[
        int | None,
        typer.Option(
            "--events-per-minute",
            metavar="COUNT",
            help="From one address, with a publish key; 600 if not given.",
        ),
    ] = None,
    note: Annotated[
        str, typer.Option("--note", metavar="TEXT", help="For you: who has it, and what for.")
    ] = "",
) -> None:
    """Make a key and print it, this once.

    What is stored is only its hash.
    Examples: `afterword keys create --project support-bot --scope write --note "chat backend"`,
    `afterword keys create --project support-bot --scope publish --origin https://app.example.com`.
    """
    settings = load_settings(notice)
    file = KeyFile(settings.gateway_keys_file)
    first = not file.configured
    secret, key = file.create(
        project, scope, origins=origin or (), events_per_minute=events_per_minute, note=note
    )
    out(secret)
    notice(
        f"key {key.key_id} of project {key.project} is in {settings.gateway_keys_file.absolute()}"
    )
    if first:
        notice(
            "it is the first one: gateways and dashboards that use this file now serve nobody "
            "without a key"
        )
    notice(_next_step(secret, key))


@keys.command("list")
def list_() -> None:
    """List all keys, revoked ones too.

    Never the secrets, which are kept nowhere.
    """
    path = load_settings(notice).gateway_keys_file.absolute()
    found = KeyFile(path).list()
    print_table([_row(key) for key in found])
    if not found:
        notice(f"{path} has no keys; `afterword keys create --help` shows how to make one")


@keys.command()
def revoke(
    key_id: Annotated[
        str, typer.Argument(metavar="ID", help="As `list` names it; or the key itself.")
    ],
) -> None:
    """End a key for good: whoever still has it is refused.

    Gateways and dashboards that run follow within a second.
    Example: `afterword keys revoke h7c2k9wq4m`.
    """
    file = KeyFile(load_settings(notice).gateway_keys_file)
    key = file.revoke(key_id)
    out(f"key {key.key_id} of project {key.project} is revoked since {key.revoked_at}")
    notice("gateways and dashboards that run follow within a second")
    if all(each.revoked_at for each in file.list()):
        notice("it was the last one: they serve nobody until you make another")


def _next_step(secret: str, key: Key) -> str:
    if Scope.PUBLISH in key.scopes:
        snippet = (
            f'<script src="https://YOUR-GATEWAY/afterword.js" data-key="{secret}" defer></script>'
        )
        return f"put this into the pages of {', '.join(key.origins)}:\n\n  {snippet}\n"
    return "keep it secret, and send it as a header: Authorization: Bearer KEY"


def _row(key: Key) -> dict[str, object]:
    return {
        "id": key.key_id,
        "project": key.project,
        "scopes": ", ".join(sorted(key.scopes)),
        "origins": ", ".join(key.origins),
        "events/min": str(key.events_per_minute or ""),
        "note": key.note,
        "created": _to_the_minute(key.created_at),
        "revoked": key.revoked_at and _to_the_minute(key.revoked_at),
    }


def _to_the_minute(time: str) -> str:
    return time[:16].replace("T", " ")
