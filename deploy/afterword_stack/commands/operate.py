"""The commands of whoever operates it: worker, gateway, migrate, status, doctor, schema."""

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from importlib import import_module
from typing import Annotated, Final

import typer

from afterword_consumers.progress.freshness import judge
from afterword_consumers.rejected.replay import counts
from afterword_schemas.counted import counted
from afterword_schemas.migrate import plan
from afterword_stack.commands.options import Timeout
from afterword_stack.local.stack import running_stack
from afterword_stack.run.database import (
    create_statement,
    missing_migrations,
    open_database,
    prepare_database,
)
from afterword_stack.run.doctor import diagnose
from afterword_stack.run.freshness import freshness_line, read_lags
from afterword_stack.settings import Settings, load_settings
from afterword_stack.terminal.console import notice, out, print_table, styled

_COLOURS: Final = {"✓": "32", "!": "33", "✗": "31"}


def worker(
    migrate_first: Annotated[
        bool, typer.Option("--migrate", help="Create or upgrade the tables before starting.")
    ] = False,
) -> None:
    """Read the topic into ClickHouse until SIGTERM or Ctrl-C.

    The first signal writes and commits what was fetched; a second one stops at once. Neither loses
    anything: what is not committed is read again. Start as many as the topic has partitions.
    Where Kafka, ClickHouse or the tables are missing, the worker waits for them and says so.
    """
    settings = load_settings(notice)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # the worker reports each try itself
    from afterword_stack.run.worker import run_worker  # noqa: PLC0415  # not for the other commands

    run_worker(settings, migrate_first=migrate_first)


def gateway() -> None:
    """Serve the HTTP gateway until SIGTERM or Ctrl-C.

    Takes events from anything that can send a request, and answers once Kafka has them. Without keys
    (`afterword keys create`) it serves this machine only. Settings: AFTERWORD_GATEWAY_HOST,
    AFTERWORD_GATEWAY_PORT and others; see deploy/docs/settings.md.
    Example: `curl 127.0.0.1:8080/v1/feedback --json '{"trace_id": "tr-1", "value": 1}'`.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    from afterword_stack.run.gateway import serve_gateway  # noqa: PLC0415  # no other command serves

    serve_gateway(load_settings(notice))


def dashboard() -> None:
    """Answer questions over HTTP until SIGTERM or Ctrl-C.

    In JSON and CSV; it only reads. A key of scope read (`afterword keys create --project NAME --scope read`) sees its
    project and no other; without keys it serves this machine only. Settings: AFTERWORD_DASHBOARD_HOST,
    AFTERWORD_DASHBOARD_PORT, AFTERWORD_DASHBOARD_QUERY_TIME_S and others; see deploy/docs/settings.md.
    Example: `curl -G 127.0.0.1:8081/api/query -d measure=feedback.score -d group_by=metadata.model`.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # what it says of a retry names addresses
    from afterword_stack.run.dashboard import serve_dashboard  # noqa: PLC0415  # as above

    serve_dashboard(load_settings(notice))


def migrate(
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster", metavar="NAME", help="Replicated and Distributed tables on this cluster."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the SQL, run none.")] = False,
    timeout: Timeout = None,
) -> None:
    """Create the database and its tables, or bring them up to date.

    Safe to run at every deployment: what was run is recorded.
    """
    address = load_settings(notice).within(timeout).clickhouse
    if not dry_run:
        for name in prepare_database(address, cluster):
            out(name)
        notice(f"{address} is up to date")
        return
    missing = missing_migrations(address, cluster)
    if not missing:
        notice(f"{address} is up to date")
        return
    first = (create_statement(address, cluster), f"USE {address.database}")
    for statement in (*first, *plan(missing, cluster)):
        out(f"{statement};\n")
    notice("nothing was run")


def status(timeout: Timeout = None) -> None:
    """Say how far the workers are behind, and what is stored.

    Also until when that is complete, and what was refused for which reason.
    """
    settings = load_settings(notice).within(timeout)
    notice(f"Kafka {settings.kafka_bootstrap_servers}, ClickHouse {_clickhouse(settings)}")
    asked_at = datetime.now(UTC)
    lags = read_lags(settings)
    print_table(
        [
            {"partition": at.partition, "end": at.end, "committed": at.committed, "lag": at.lag}
            for at in lags
        ]
    )
    with open_database(settings.clickhouse_look) as clickhouse:
        stored, newest = clickhouse.query(
            "SELECT count(), toString(max(ingested_at)) FROM feedback_current"
        ).rows[0]
        refused = counts(clickhouse)
    waiting = sum(at.lag for at in lags)
    last = f", the last at {newest} UTC" if stored else ""
    waits = counted(waiting, "message waits", "messages wait")
    out(f"\n{counted(int(stored or 0), 'feedback')} stored{last}; {waits}")
    out(freshness_line(replace(judge(lags, asked_at), waiting=None)))  # which stands above
    if refused:
        out()
        print_table(
            [
                {"rejected for": code, "messages": n, "not replayed": left}
                for code, n, left in refused
            ]
        )


def doctor(timeout: Timeout = None) -> None:
    """Check this machine, settings, Kafka, ClickHouse and tables.

    Exit status 2 if something must be changed; each finding says what to do.
    """
    findings = list(diagnose(load_settings(notice).within(timeout)))
    for finding in findings:
        out(f"{styled(finding.mark, _COLOURS[finding.mark])} {finding.what}")
        if finding.next_step:
            out(f"    → {finding.next_step}")
    if any(finding.must_change for finding in findings):
        raise typer.Exit(2)


def _clickhouse(settings: Settings) -> str:
    """Return the address of ClickHouse; of a local stack's also that of the native protocol."""
    stack = running_stack()
    if stack is None or stack.clickhouse_url != settings.clickhouse_url:
        return str(settings.clickhouse)
    return f"{settings.clickhouse}, native {stack.clickhouse_native}"


class Document(StrEnum):
    """The published documents."""

    JSON = "json"
    ASYNCAPI = "asyncapi"
    OPENAPI = "openapi"
    OPENAPI_DASHBOARD = "openapi-dashboard"


_MAKERS: Final = {
    Document.JSON: ("afterword_schemas.documents", "json_schema"),
    Document.ASYNCAPI: ("afterword_schemas.documents", "asyncapi"),
    Document.OPENAPI: ("afterword.gateway.openapi.document", "openapi"),
    Document.OPENAPI_DASHBOARD: ("afterword_stack.run.dashboard_openapi", "dashboard_openapi"),
}
"""Where each is made; imported when it is asked for."""


def schema(
    document: Annotated[
        Document,
        typer.Argument(
            help="json: the event; asyncapi: the topic; openapi: the gateway; "
            "openapi-dashboard: the JSON API of questions."
        ),
    ],
) -> None:
    """Print the JSON Schema, the AsyncAPI or an OpenAPI document.

    Example: `afterword schema json > feedback.schema.json`.
    """
    module, name = _MAKERS[document]
    made = getattr(import_module(module), name)()
    out(json.dumps(made, indent=2, ensure_ascii=False))
