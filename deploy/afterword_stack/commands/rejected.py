"""The commands on refused messages: rejected list, show, replay."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Final

import typer

from afterword import KafkaTransport, QueueFullError, Transport
from afterword_consumers.lag import find_partitions
from afterword_consumers.rejected import RefusedMessage, Selection, counts, find, replay
from afterword_schemas import RejectCode, SetupError, StoreError
from afterword_stack.commands.lazy import PLAIN
from afterword_stack.commands.options import Timeout
from afterword_stack.console import notice, out, print_table, printable, progress
from afterword_stack.database import open_database
from afterword_stack.settings import load_settings

rejected = typer.Typer(
    **PLAIN,
    no_args_is_help=True,
    help="Look at messages that were refused, and publish them again.",
)

_FLUSH_S: Final = 60.0

_Code = Annotated[
    str | None, typer.Option("--code", help="Only this reason, such as unknown_field.")
]
_Place = Annotated[
    str | None, typer.Option("--at", metavar="PARTITION:OFFSET", help="Only the message there.")
]


@rejected.command("list")
def list_(
    code: _Code = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show at most this many.")] = 20,
    waiting: Annotated[
        bool, typer.Option("--waiting", help="Only those that were not replayed.")
    ] = False,
    timeout: Timeout = None,
) -> None:
    """List refused messages, the newest first, and count them by reason."""
    selection = _selection(code, None, waiting=waiting)
    with open_database(load_settings(notice).within(timeout).clickhouse_look) as clickhouse:
        totals = counts(clickhouse)
        found = find(clickhouse, selection, limit, with_content=False)
    if not totals:
        notice("no message on the topic was refused")
        return
    print_table([{"code": name, "messages": n, "not replayed": left} for name, n, left in totals])
    out()
    print_table([_summary(message) for message in found])
    notice(
        "`afterword rejected show PARTITION:OFFSET` prints one whole"
        if found
        else "none of them fits"
    )


@rejected.command()
def show(
    place: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="As `list` names it.")],
    raw: Annotated[bool, typer.Option("--raw", help="Only the payload, byte for byte.")] = False,
    timeout: Timeout = None,
) -> None:
    """Print one refused message: why, its headers, and its bytes."""
    with open_database(load_settings(notice).within(timeout).clickhouse_look) as clickhouse:
        found = find(clickhouse, _selection(None, place), 10)
    if not found:
        raise _nothing_at(place)
    for message in found:
        if raw:
            typer.echo(message.payload, nl=False)
        else:
            _print(message)


@rejected.command("replay")
def replay_(
    code: _Code = None,
    place: _Place = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also replays that were refused once more.")
    ] = False,
) -> None:
    """Publish refused messages again, each once; they are judged anew.

    Without options, all that were not replayed yet. Replaying twice moves nothing the second time,
    also of what is refused again.
    """
    selection = replace(_selection(code, place), again=again)
    settings = load_settings(notice)
    find_partitions(settings.kafka_bootstrap_servers, settings.kafka_topic, settings.kafka)
    transport = KafkaTransport(
        settings.kafka_bootstrap_servers, topic=settings.kafka_topic, kafka=settings.kafka
    )
    moved = 0
    try:
        with (
            open_database(settings.clickhouse) as clickhouse,
            progress("publishing again") as advance,
        ):
            for count in replay(clickhouse, partial(_publish, transport), selection):
                moved += count
                advance(count)
            if place and not moved and not find(clickhouse, selection, 1):
                raise _nothing_at(place)
    finally:
        transport.close(0)  # what was sent has been waited for
    out(f"{moved:,} messages published again")
    if moved:
        notice("what is refused once more is in `afterword rejected list`, soon")


def _publish(transport: Transport, messages: Sequence[RefusedMessage]) -> None:
    """Publish messages and wait until the broker has them all."""
    reports = list[StoreError | None]()
    for message in messages:
        send = partial(
            transport.send,
            message.key,
            message.payload,
            message.replay_headers,
            reports.append,
            timestamp_ms=message.refusal.published_ms,
        )
        try:
            send()
        except QueueFullError:  # a page of large messages is more than the queue holds
            transport.flush(_FLUSH_S)
            send()
    transport.flush(_FLUSH_S)
    failures = [error for error in reports if error is not None]
    if failures or len(reports) < len(messages):
        reason = failures[0] if failures else f"no answer within {_FLUSH_S:.0f} s"
        raise StoreError(f"Kafka did not take all of them, replay again later: {reason}")


def _nothing_at(place: str) -> SetupError:
    return SetupError(f"No refused message is at {place}.", "See `afterword rejected list`.")


def _selection(code: str | None, place: str | None, *, waiting: bool = False) -> Selection:
    if code is not None and code not in set(RejectCode):
        raise SetupError(f"There is no code {code}.", f"Codes: {', '.join(RejectCode)}.")
    if place is not None and not re.fullmatch(r"[0-9]+:[0-9]+", place):
        raise SetupError(f"{place} is no place.", "Write PARTITION:OFFSET, such as 3:1042.")
    return Selection(code=code, place=place, waiting=waiting)


def _summary(message: RefusedMessage) -> dict[str, object]:
    refusal = message.refusal
    return {
        "at": str(refusal.place),
        "rejected": _time(refusal.place.rejected_ms),
        "replayed": "no" if refusal.replayed_ms is None else "yes",
        "code": refusal.code,
        "path": refusal.path,
        "why": refusal.detail,
    }


def _print(message: RefusedMessage) -> None:
    refusal = message.refusal
    out(f"topic     {refusal.topic} ({refusal.place.topic_id})")
    out(f"at        {refusal.place}")
    out(f"rejected  {_time(refusal.place.rejected_ms)} UTC")
    replayed = "no" if refusal.replayed_ms is None else f"{_time(refusal.replayed_ms)} UTC"
    out(f"replayed  {replayed}")
    out(f"why       {printable(refusal.detail)} [{refusal.code} at {printable(refusal.path)}]")
    out(f"key       {_text(message.key)}")
    for name, value in message.headers:
        out(f"header    {printable(name)}: {_text(value)}")
    out(f"payload   {len(message.payload):,} bytes")
    out(_text(message.payload, keep="\n\t"))


def _time(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _text(raw: bytes, *, keep: str = "") -> str:
    """Return bytes as they came, as text that a terminal survives.

    JSON is not laid out anew: parsing would hide a key that is there twice.
    """
    return printable(raw.decode("utf-8", "backslashreplace"), keep=keep)
