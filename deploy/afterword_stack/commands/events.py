"""The commands on files of events: check, publish. A file is JSONL, one event a line."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, Final

import typer

from afterword import Client, DeliveryFailure, QueueFullError
from afterword_consumers.kafka.lag import find_partitions
from afterword_schemas import ConfigurationError, InvalidEventError, read_event
from afterword_schemas.counted import counted
from afterword_schemas.limits import MAX_EVENT_BYTES
from afterword_stack.errors import CommandError
from afterword_stack.settings import load_settings
from afterword_stack.terminal.console import notice, out, printable, progress

_File = Annotated[str, typer.Argument(metavar="FILE", help="JSONL, one event a line; - for stdin.")]

_MAX_LINE_BYTES: Final = MAX_EVENT_BYTES + 1_000
_WHITE: Final = b" \t\r\n"

_SHOWN_REFUSALS: Final = 20
_TAKES_NOTHING_S: Final = 30.0
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def check(file: _File) -> None:
    """Name the lines of a file that would be refused, and why.

    Sends and writes nothing. Exit status 1 if any line would be refused. Example: `afterword check events.jsonl`.
    """
    lines = refused = 0
    with open_events(file) as source:
        for number, line in _lines(source):
            lines += 1
            try:
                read_event(line)
            except InvalidEventError as error:
                refused += 1
                out(_refusal(number, error))
    notice(f"{counted(lines, 'line')}, {refused:,} would be refused")
    if refused:
        raise typer.Exit(1)


def publish(file: _File) -> None:
    """Publish the events of a file to the topic.

    Lines that would be refused are named and left out; exit status 1 then. Publishing a file again
    doubles nothing: the same feedback_id is the same event. A line without updated_at counts as
    said now, and so overrules what was said since.
    Examples: `afterword publish events.jsonl`, `zcat old.jsonl.gz | afterword publish -`.
    """
    with open_events(file) as source:
        settings = load_settings(notice)
        # Whoever mistypes topic or address should learn it now, not when the file is in memory.
        find_partitions(settings.kafka_bootstrap_servers, settings.kafka_topic, settings.kafka)
        failures = list[DeliveryFailure]()
        client = Client(
            settings.kafka_bootstrap_servers,
            project="none",  # whole events name their own
            topic=settings.kafka_topic,
            kafka=settings.kafka,
            close_timeout_s=_TAKES_NOTHING_S,
            on_delivery=lambda end: failures.append(end.error) if end.error else None,
        )
        refused = 0
        try:
            with client:
                refused = _publish_lines(client, source)
        finally:
            notice(
                f"{client.stats.delivered:,} published, {refused:,} refused, "
                f"{len(failures):,} failed"
            )
    if refused > _SHOWN_REFUSALS:
        notice(f"only the first {_SHOWN_REFUSALS} refusals are shown; see `afterword check`")
    if refused:
        raise typer.Exit(1)


def _publish_lines(client: Client, source: BinaryIO) -> int:
    """Publish lines, name those that are refused, and return how many those are."""
    refused = 0
    with progress("publishing", _count_lines(source)) as advance:
        for number, line in _lines(source):
            try:
                _send(client, line)
            except InvalidEventError as error:
                refused += 1
                if refused <= _SHOWN_REFUSALS:
                    notice(_refusal(number, error))
            advance(1)
    return refused


def _send(client: Client, line: bytes) -> None:
    try:
        client.publish(line)
    except QueueFullError:  # a file is faster than Kafka
        waiting = client.stats.waiting
        if client.flush(_TAKES_NOTHING_S) >= waiting:
            raise CommandError(
                f"Kafka took nothing for {_TAKES_NOTHING_S:.0f} s; see `afterword doctor`."
            ) from None
        client.publish(line)


def _refusal(number: int, error: InvalidEventError) -> str:
    return printable(f"line {number}: {error}")


@contextmanager
def open_events(file: str) -> Iterator[BinaryIO]:
    """Give a file to read, or stdin for `-`.

    Raises:
        ConfigurationError: It cannot be read.
    """
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        source = Path(file).open("rb")  # noqa: SIM115  # closed below; only opening is judged here
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}.") from None
    with source:
        yield source


def _count_lines(source: BinaryIO) -> int | None:
    """Count the lines of a file that can be read twice."""
    if not source.seekable():
        return None
    begin = source.tell()
    count = sum(1 for _ in _lines(source))
    source.seek(begin)
    return count


def _lines(source: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that hold something, numbered from 1.

    Of a line that is longer than any event, as a file without newlines has, only so much is read
    at once that it is refused.
    """
    number, begins = 1, True
    while piece := source.readline(_MAX_LINE_BYTES):
        line = piece.removeprefix(_BYTE_ORDER_MARK) if number == 1 else piece
        if begins and (bare := line.strip(_WHITE) if len(line) < _MAX_LINE_BYTES else line):
            yield number, bare
        begins = piece.endswith(b"\n")
        number += begins
