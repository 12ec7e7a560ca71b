"""The commands on files of events: check, publish. A file is JSONL, one event a line."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import typer

from afterword import Client, QueueFullError
from afterword_schemas import EventError, SetupError, StoreError, read_event
from afterword_stack.console import notice, out, progress
from afterword_stack.settings import load_settings

_File = Annotated[str, typer.Argument(metavar="FILE", help="JSONL, one event a line; - for stdin.")]

_SHOWN_REFUSALS: Final = 20
_FULL_WAIT_S: Final = 0.1
_FLUSH_S: Final = 60.0


def check(file: _File) -> None:
    """Say which lines the worker would refuse, and why; sends and writes nothing.

    Exit status 1 if any line would be refused.
    """
    lines = refused = 0
    with _open(file) as source:
        for number, line in _lines(source):
            lines += 1
            try:
                read_event(line)
            except EventError as error:
                refused += 1
                out(f"line {number}: {error}")
    notice(f"{lines:,} lines, {refused:,} would be refused")
    if refused:
        raise typer.Exit(1)


def publish(file: _File) -> None:
    """Publish the events of a file to the topic.

    Lines that would be refused are named and left out. Publishing a file again changes nothing:
    the same feedback_id is the same event. Exit status 1 if any line was left out.
    """
    settings = load_settings()
    client = Client(
        settings.kafka_bootstrap_servers,
        project="none",  # whole events name their own
        topic=settings.kafka_topic,
        kafka=settings.kafka,
        close_timeout_s=_FLUSH_S,
    )
    refused = 0
    try:
        with client, _open(file) as source, progress("publishing") as advance:
            for number, line in _lines(source):
                try:
                    _send(client, line)
                except EventError as error:
                    refused += 1
                    if refused <= _SHOWN_REFUSALS:
                        notice(f"line {number}: {error}")
                advance(1)
    finally:
        stats = client.stats
        notice(f"{stats.delivered:,} published, {refused:,} refused, {stats.failed:,} failed")
    if refused > _SHOWN_REFUSALS:
        notice(f"only the first {_SHOWN_REFUSALS} refusals are shown; see `afterword check`")
    if refused:
        raise typer.Exit(1)


def _send(client: Client, line: bytes) -> None:
    while True:
        try:
            client.publish(line)
        except QueueFullError:  # a file is faster than Kafka: wait until there is room
            if client.flush(_FULL_WAIT_S) and client.stats.failed:
                raise StoreError(
                    "Kafka takes nothing any more; is it up? See `afterword doctor`."
                ) from None
        else:
            return


@contextmanager
def _open(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        source = Path(file).open("rb")  # noqa: SIM115  # closed below; only opening is judged here
    except OSError as error:
        raise SetupError(f"{file} cannot be read: {error.strerror}.") from None
    with source:
        yield source


def _lines(source: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that hold something, numbered from 1."""
    for number, line in enumerate(source, start=1):
        if bare := line.strip():
            yield number, bare
