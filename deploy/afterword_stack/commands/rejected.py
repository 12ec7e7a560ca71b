"""The commands on refused messages: rejected list, show, replay, edit."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Final

import typer

from afterword import DeliveryFailure, KafkaTransport, QueueFullError, RefusedError, Transport
from afterword_consumers.clickhouse.client import ClickHouse
from afterword_consumers.kafka.lag import find_partitions
from afterword_consumers.rejected.replay import (
    RejectedMessage,
    Selection,
    count_replayable,
    counts,
    find,
    mend,
    replay,
)
from afterword_schemas import (
    AfterwordError,
    ConfigurationError,
    InvalidEventError,
    RejectCode,
    read_event,
)
from afterword_schemas.counted import counted
from afterword_stack.commands.events import open_events
from afterword_stack.commands.lazy import PLAIN
from afterword_stack.commands.options import Timeout
from afterword_stack.errors import CommandError
from afterword_stack.run.database import open_database
from afterword_stack.settings import Settings, load_settings
from afterword_stack.terminal import editor
from afterword_stack.terminal.console import (
    notice,
    out,
    print_table,
    printable,
    progress,
    table_lines,
)

rejected = typer.Typer(
    **PLAIN,
    no_args_is_help=True,
    help="Look at messages that were refused, and publish them again.",
)

_FLUSH_S: Final = 60.0

_PLACE: Final = re.compile(r"(?P<place>[0-9]+:[0-9]+)(?:@(?P<topic_id>[A-Za-z0-9._+/-]+))?")
_TOLD: Final = 10
"""So many messages of one place are shown: topics that had the name one after another."""

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
        else f"no refused message {_asked(selection)}"
    )


@rejected.command()
def show(
    place: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="As `list` names it.")],
    raw: Annotated[bool, typer.Option("--raw", help="Only the payload, byte for byte.")] = False,
    timeout: Timeout = None,
) -> None:
    """Print one refused message: why, its headers, and its bytes."""
    with open_database(load_settings(notice).within(timeout).clickhouse_look) as clickhouse:
        found = find(clickhouse, _selection(None, place), _TOLD)
    if not found:
        raise _nothing_at(place)
    for message in found:
        if raw:
            typer.echo(message.payload, nl=False)
        else:
            _print(message)


@rejected.command("replay")
def replay_(  # noqa: PLR0917  # one for each option
    code: _Code = None,
    place: _Place = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also replays that were refused once more.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count them, publish none.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask no question.")] = False,
    timeout: Timeout = None,
) -> None:
    """Publish refused messages again, each once; they are judged anew.

    On a terminal it counts them and asks first; elsewhere it wants --yes to publish all there are.
    Replaying twice moves nothing the second time, also of what is refused again.
    Examples: `afterword rejected replay --code unknown_field --dry-run`, `afterword rejected replay --at 3:1042`.
    """
    selection = replace(_selection(code, place), again=again)
    settings = load_settings(notice).within(timeout)
    with open_database(settings.clickhouse) as clickhouse:
        found = count_replayable(clickhouse, selection)
        total = sum(count for _, count in found)
        if place:
            _check_one(find(clickhouse, selection, _TOLD, with_content=False), place)
        if dry_run:
            print_table(_counted(found))
            out(f"{counted(total, 'message')} would be published again")
        if not total:
            _tell_of_once_more(clickhouse, selection)
        if dry_run:
            return
        if total and not yes and not place:
            _ask(found, total, chosen=code is not None)
        moved = _replay(settings, clickhouse, selection) if total else 0
    out(f"{counted(moved, 'message')} published again")
    if moved:
        notice("what is refused once more is in `afterword rejected list`, soon")


@rejected.command()
def edit(
    place: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="As `list` names it.")],
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="FILE", help="Take the payload from here; - for stdin."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also if it was published again before.")
    ] = False,
    timeout: Timeout = None,
) -> None:
    """Mend one refused message and publish it in its place.

    Opens the payload in your editor (EDITOR). It is judged before it is published, and goes with the
    time of the first one, or a later one that you write; that one then counts as replayed.
    Examples: `afterword rejected edit 3:1042`, `afterword rejected edit 3:1042 --from mended.json`.
    """
    settings = load_settings(notice).within(timeout)
    with open_database(settings.clickhouse) as clickhouse:
        message = _check_one(find(clickhouse, _selection(None, place), _TOLD), place)
        if message.row.replayed_ms is not None and not again:
            raise ConfigurationError(
                f"The message at {place} was published again before.", "Add --again."
            )
        notice(_why(message))
        with _open_transport(settings) as transport:  # first: without Kafka nobody need edit
            payload = _mended(message, source)
            if payload == message.payload.strip():
                raise CommandError("Nothing was changed, so nothing was published.")
            with _keeping(payload, place) if source in {None, "-"} else _naming(source):
                feedback_id = mend(clickhouse, partial(_publish, transport), message, payload)
    out(f"{feedback_id} published in place of {place}")


def _asked(selection: Selection) -> str:
    """Return the end of the sentence that no message is so."""
    waits = "waits for a replay"
    if selection.code is None:
        return waits
    return (
        f"with the code {selection.code} {waits}"
        if selection.waiting
        else f"has the code {selection.code}"
    )


def _counted(found: Sequence[tuple[str, int]]) -> list[dict[str, object]]:
    return [{"code": code, "messages": count} for code, count in found]


def _tell_of_once_more(clickhouse: ClickHouse, selection: Selection) -> None:
    """Name --again where it would find what a replay without it leaves out."""
    left = sum(count for _, count in count_replayable(clickhouse, replace(selection, again=True)))
    if left:
        notice(
            f"{counted(left, 'message was', 'messages were')} refused once more after a replay; --again "
            "includes such messages"
        )


def _ask(found: Sequence[tuple[str, int]], total: int, *, chosen: bool) -> None:
    """Go on if a person says so, or where nobody can be asked if messages were chosen."""
    if sys.stdin.isatty():
        for line in table_lines(_counted(found)):
            notice(line)
        if not typer.confirm(f"Publish {counted(total, 'message')} again?", err=True):
            notice("nothing was published")
            raise typer.Exit(1)
    elif not chosen:
        raise ConfigurationError(
            f"This would publish all refused messages again, {total:,} of them.",
            "Add --yes, or choose with --code or --at; --dry-run counts them.",
        )


def _replay(settings: Settings, clickhouse: ClickHouse, selection: Selection) -> int:
    moved = 0
    with _open_transport(settings) as transport, progress("publishing again") as advance:
        for count in replay(clickhouse, partial(_publish, transport), selection):
            moved += count
            advance(count)
    return moved


@contextmanager
def _open_transport(settings: Settings) -> Iterator[Transport]:
    """Give a transport to the topic, which exists."""
    find_partitions(settings.kafka_bootstrap_servers, settings.kafka_topic, settings.kafka)
    transport = KafkaTransport(
        settings.kafka_bootstrap_servers, topic=settings.kafka_topic, kafka=settings.kafka
    )
    try:
        yield transport
    finally:
        transport.close(0)  # what was sent has been waited for


def _mended(message: RejectedMessage, source: str | None) -> bytes:
    """Return the payload to publish in place of a message, without the newline that editors add."""
    if source is not None:
        with open_events(source) as file:
            return file.read().strip()
    name = f"{str(message.row.place).replace(':', '-')}.json"
    text = message.payload
    while True:
        text = editor.edit(text, name=name)
        try:
            read_event(text.strip())
        except InvalidEventError as error:
            # Only at a terminal is somebody there to go on with what they have written.
            if not sys.stdin.isatty() or not typer.confirm(
                f"{printable(str(error))}\nEdit it again?", default=True, err=True
            ):
                with _keeping(text, str(message.row.place)):
                    raise
        else:
            return text.strip()


@contextmanager
def _keeping(text: bytes, place: str) -> Iterator[None]:
    """Keep what a person wrote in a file when the block fails, and say where."""
    try:
        yield
    except AfterwordError:
        file, name = tempfile.mkstemp(prefix="afterword-", suffix=".json")
        with os.fdopen(file, "wb") as kept:
            kept.write(text)
        notice(f"your text is in {name}; `afterword rejected edit {place} --from {name}` takes it")
        raise


@contextmanager
def _naming(file: str | None) -> Iterator[None]:
    """Say when the block fails that the file of a person is the place to correct."""
    try:
        yield
    except InvalidEventError:
        notice(f"{file} would be refused again, so nothing was published; correct it there")
        raise


def _publish(transport: Transport, messages: Sequence[RejectedMessage]) -> None:
    """Publish messages and wait until the broker has them all."""
    reports = list[DeliveryFailure | None]()
    for message in messages:
        send = partial(
            transport.send,
            message.key,
            message.payload,
            message.replay_headers,
            reports.append,
            timestamp_ms=message.row.published_ms,
        )
        try:
            send()
        except QueueFullError:  # a page of large messages is more than the queue holds
            transport.flush(_FLUSH_S)
            send()
    transport.flush(_FLUSH_S)
    failures = [error for error in reports if error is not None]
    if refused := next((error for error in failures if isinstance(error, RefusedError)), None):
        detail = "Kafka refuses one of these messages for good; replay the others by --at"
        raise CommandError(f"{detail}: {refused}")
    if failures or len(reports) < len(messages):
        reason = failures[0] if failures else f"no answer within {_FLUSH_S:.0f} s"
        raise CommandError(f"Kafka did not take all of them, replay again later: {reason}")


def _check_one(found: Sequence[RejectedMessage], place: str) -> RejectedMessage:
    """Return the one message at a place; an offset comes again where a topic is created again."""
    if not found:
        raise _nothing_at(place)
    if len(found) > 1:
        choices = " or ".join(
            f"{message.row.place}@{message.row.place.topic_id}" for message in found
        )
        raise ConfigurationError(
            f"{len(found)} refused messages stand at {place}, each of another topic of this name.",
            f"Name one, the newest first: {choices}.",
        )
    return found[0]


def _nothing_at(place: str) -> ConfigurationError:
    return ConfigurationError(
        f"No refused message is at {place}.", "See `afterword rejected list`."
    )


def _selection(code: str | None, place: str | None, *, waiting: bool = False) -> Selection:
    if code is not None and code not in set(RejectCode):
        raise ConfigurationError(f"There is no code {code}.", f"Codes: {', '.join(RejectCode)}.")
    if place is None:
        return Selection(code=code, waiting=waiting)
    parts = _PLACE.fullmatch(place)
    if parts is None:
        raise ConfigurationError(
            f"{place} is not a place.", "Write PARTITION:OFFSET, such as 3:1042."
        )
    return Selection(code, parts["place"], parts["topic_id"], waiting=waiting)


def _summary(message: RejectedMessage) -> dict[str, object]:
    row = message.row
    return {
        "at": str(row.place),
        "rejected": _time(row.place.rejected_ms),
        "replayed": _replayed(message),
        "code": row.code,
        "path": row.path,
        "why": row.detail,
    }


def _replayed(message: RejectedMessage) -> str:
    """Return whether it was published again, as `counts` has it: what came of a replay does not wait."""
    if message.row.replayed_ms is not None:
        return "yes"
    return "refused again" if message.is_replay else "no"


def _print(message: RejectedMessage) -> None:
    row = message.row
    out(f"topic     {row.topic} ({row.place.topic_id})")
    out(f"at        {row.place}")
    out(f"rejected  {_time(row.place.rejected_ms)} UTC")
    at = "" if row.replayed_ms is None else f", {_time(row.replayed_ms)} UTC"
    out(f"replayed  {_replayed(message)}{at}")
    out(f"why       {_why(message)}")
    out(f"key       {_text(message.key)}")
    for name, value in message.headers:
        out(f"header    {printable(name)}: {_text(value)}")
    out(f"payload   {len(message.payload):,} bytes")
    out(_text(message.payload, keep="\n\t"))


def _why(message: RejectedMessage) -> str:
    row = message.row
    return f"{printable(row.detail)} [{row.code} at {printable(row.path)}]"


def _time(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _text(raw: bytes, *, keep: str = "") -> str:
    """Return bytes as they came, as text that a terminal survives.

    JSON is not laid out anew: parsing would hide a key that is there twice.
    """
    return printable(raw.decode("utf-8", "backslashreplace"), keep=keep)
