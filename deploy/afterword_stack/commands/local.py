"""The commands that run everything on this machine: demo, up."""

import contextlib
import signal
import sys
import time
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from afterword_consumers.explore.sample import SAMPLE
from afterword_stack.demo.run import fill_sample, run_demo
from afterword_stack.local.stack import LocalStack
from afterword_stack.run.pipeline import Pipeline
from afterword_stack.run.restarts import Restarts
from afterword_stack.settings import default_settings, read_settings
from afterword_stack.terminal.console import invocation, notice, out

_LOOK_EVERY_S: Final = 1.0

_NEXT: Final = {
    "demo --serve": "the same, with a page to look at",
    "up": "in one terminal: the same parts, staying up",
    "publish deploy/examples/feedback.jsonl": "in another: events of a file",
    "query feedback.score --group-by metadata.model --sql": "the answer, and its SQL",
    "rejected list": "what was refused, and why",
}


def demo(
    events: Annotated[int, typer.Option("--events", min=200, help="How many to publish.")] = 50_000,
    serve: Annotated[
        bool, typer.Option("--serve", help="Keep the page of it open until Ctrl-C.")
    ] = False,
) -> None:
    """Run the whole pipeline once on made-up feedback, then clean up.

    Starts Kafka, ClickHouse and a worker, publishes, waits until all has arrived, and asks. Apart
    from everything else: own ports, own temporary folder, no settings of yours.
    Example: `afterword demo --events 5000`.
    """
    _end_in_order()
    with Pipeline(LocalStack.temporary(), default_settings(), servers=serve) as pipeline:
        addresses = pipeline.stack.addresses
        notice(f"running Kafka {addresses.kafka} and {addresses.clickhouse}, with one worker")
        run_demo(pipeline, events=events, now=datetime.now(UTC))
        if serve:
            out(f"\npage        {pipeline.dashboard_url}")
            sys.stdout.flush()
            notice("Ctrl-C stops, and removes all of it.")
            _watch(pipeline)
    if not serve:
        _print_next()


def up(
    sample: Annotated[
        bool,
        typer.Option("--sample", help=f"A month of made-up feedback, in the project {SAMPLE}."),
    ] = False,
) -> None:
    """Run the pipeline on this machine until Ctrl-C; its data stays.

    Starts Kafka, ClickHouse, a worker, the HTTP gateway and the dashboard; other `afterword` commands
    find them by themselves. A part that ends is started again, at most three times within five minutes.
    """
    _end_in_order()
    with Pipeline(LocalStack(), read_settings(), servers=True) as pipeline:
        _print_addresses(pipeline)
        if sample:
            fill_sample(pipeline, now=datetime.now(UTC))
        _watch(pipeline)
        notice("stopping: the worker writes what it has")


def _watch(pipeline: Pipeline) -> None:
    """Start parts that ended again, until Ctrl-C."""
    restarts = Restarts()
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            for restarted in pipeline.restart_ended(restarts):
                notice(restarted)
            time.sleep(_LOOK_EVERY_S)


def _print_next() -> None:
    out("\nNext")
    for arguments, what in _NEXT.items():
        out(f"  {invocation()} {arguments}\n      {what}")


def _print_addresses(pipeline: Pipeline) -> None:
    settings, addresses = pipeline.settings, pipeline.stack.addresses
    kafka = f"{settings.kafka_bootstrap_servers}  topic {settings.kafka_topic}"
    out(f"page        {pipeline.dashboard_url}")
    out(f"Kafka       {kafka}  (Kafka {addresses.kafka})")
    native = f"native {addresses.clickhouse_native}"
    out(f"ClickHouse  {settings.clickhouse}  {native}  ({addresses.clickhouse})")
    out(f"gateway     {pipeline.gateway_url}")
    out(f"JSON API    {pipeline.dashboard_url}/api")
    out(f"data        {addresses.data_dir}")
    keys_file = settings.gateway_keys_file
    whom = (
        "needed, see `afterword keys list`"
        if keys_file.exists()
        else "none, so only this machine is served"
    )
    out(f"keys        {whom}  ({keys_file})")
    sys.stdout.flush()  # a pipe gets them now, not when `up` ends
    name = invocation()
    notice(f"\nIn another terminal: {name} publish FILE, {name} query PATH. Ctrl-C stops.")


def _end_in_order() -> None:
    """End on SIGTERM and with the terminal as on Ctrl-C: with everything stopped and removed."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup wants it
            signal.signal(number, signal.default_int_handler)
