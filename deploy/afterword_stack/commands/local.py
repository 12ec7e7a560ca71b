"""The commands that run everything on this machine: demo, up."""

import contextlib
import signal
import time
from datetime import UTC, datetime
from typing import Annotated, Final

import typer

from afterword_stack.console import notice, out
from afterword_stack.demo.run import run_demo
from afterword_stack.local.stack import LocalStack
from afterword_stack.pipeline import Pipeline
from afterword_stack.settings import default_settings, load_settings

_LOOK_EVERY_S: Final = 1.0

_NEXT = """
Next
  afterword up                     the same parts, staying up, with data that stays
  afterword publish FILE           your own events, one JSON object a line
  afterword query feedback.rating --group-by metadata.model --since 7d
  afterword rejected list          what was refused, and why
"""


def demo(
    events: Annotated[int, typer.Option("--events", min=200, help="How many to publish.")] = 50_000,
) -> None:
    """Show the whole pipeline: start Kafka and ClickHouse, publish, ingest, ask, clean up.

    Runs apart from everything else: own ports, own temporary folder, no settings of yours.
    """
    _let_sigterm_interrupt()
    with Pipeline(LocalStack.temporary(), default_settings()) as pipeline:
        addresses = pipeline.stack.addresses
        notice(f"running Kafka {addresses.kafka} and {addresses.clickhouse}, with one worker")
        run_demo(pipeline, events=events, now=datetime.now(UTC))
    out(_NEXT.rstrip())


def up() -> None:
    """Run Kafka, ClickHouse and a worker on this machine until Ctrl-C; the data stays.

    Other `afterword` commands find them by themselves.
    """
    _let_sigterm_interrupt()
    with Pipeline(LocalStack(), load_settings()) as pipeline:
        _print_addresses(pipeline)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                pipeline.check()
                time.sleep(_LOOK_EVERY_S)
        notice("stopping: the worker writes what it has")


def _print_addresses(pipeline: Pipeline) -> None:
    settings, addresses = pipeline.settings, pipeline.stack.addresses
    kafka = f"{settings.kafka_bootstrap_servers}  topic {settings.kafka_topic}"
    clickhouse = f"{settings.clickhouse_url}  database {settings.clickhouse_database}"
    out(f"Kafka       {kafka}  ({addresses.kafka})")
    out(f"ClickHouse  {clickhouse}  ({addresses.clickhouse})")
    out(f"data        {addresses.data_dir}")
    notice("\nIn another terminal: afterword publish FILE, afterword query PATH. Ctrl-C stops.")


def _let_sigterm_interrupt() -> None:
    """End on SIGTERM as on Ctrl-C: with everything stopped and removed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
