"""One worker as a process: what it waits for before it joins the group, its signals and its reports.

run_worker(load_settings())      # until SIGTERM or Ctrl-C

It waits for what comes by itself or by another command: Kafka, ClickHouse, tables. What a person must
change ends it at once: a topic that does not exist, a setting or a password that is refused.
"""

import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from types import FrameType
from typing import Final, TypeVar

from afterword_consumers.clickhouse.client import ClickHouse, ClickHouseAddress
from afterword_consumers.clickhouse.sink import ClickHouseSink
from afterword_consumers.ingest.reminder import Reminder
from afterword_consumers.ingest.worker import Worker
from afterword_consumers.kafka.consumer import KafkaSource
from afterword_schemas import AccessError, AfterwordError, RetryableError
from afterword_schemas.migrate import Migration
from afterword_stack.run.database import missing_migrations, prepare_database
from afterword_stack.run.topic_warnings import warning_of_topic
from afterword_stack.settings import Settings
from afterword_stack.terminal.console import notice, once

_REPORT_EVERY_S: Final = 10.0
_TRY_EVERY_S: Final = 1.0

_LOOK_S: Final = 1.0
"""How long a look at the tables may take before the worker joins the group without its answer."""

_OLD_TABLES: Final = "The tables are missing or old: run `afterword migrate`."

_T = TypeVar("_T")


def run_worker(settings: Settings, *, migrate_first: bool = False) -> None:
    """Run one worker in this thread; it takes SIGTERM and SIGINT over.

    Args:
        settings: Of the worker, and of what it reads and writes.
        migrate_first: Whether to create or upgrade the tables, in place of waiting for them.

    Raises:
        ConfigurationError: A person must change something.
        AccessError: Likewise; ClickHouse or Kafka does not let the worker in.
    """
    stop = _Stop()
    if migrate_first:
        tell = once()
        stop.wait_for(lambda: prepare_database(settings.clickhouse, tell=tell))
    else:
        _wait_for_tables(settings.clickhouse, stop)
    source = stop.wait_for(lambda: _open_source(settings))
    if source is None:
        notice("stopped before anything was read")
        return
    clickhouse = ClickHouse(settings.clickhouse)
    one = Worker(source, ClickHouseSink(clickhouse), settings.worker)
    stop.end(one)
    ended = threading.Event()
    reporter = threading.Thread(target=_report, args=(one, ended), daemon=True)
    notice(f"reading {settings.kafka_topic} into {settings.clickhouse}; Ctrl-C stops")
    reporter.start()
    try:
        with warning_of_topic(settings):
            one.run()
    finally:
        ended.set()
        reporter.join()
        clickhouse.close()
    notice(f"stopped: {one.stats.stored:,} stored, {one.stats.rejected:,} rejected")


class _Stop:
    """SIGTERM and SIGINT: the first one ends the worker when it has written, a second one at once."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self._worker: Worker | None = None
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def end(self, worker: Worker) -> None:
        """End this worker from now on."""
        self._worker = worker
        if self.asked.is_set():  # a signal came just before
            worker.stop()

    def wait_for(self, action: Callable[[], _T]) -> _T | None:
        """Do something until it succeeds; None if a signal comes first."""
        reminder, began_s = Reminder(first_s=0.0), time.monotonic()
        while not self.asked.is_set():
            try:
                return action()
            except AccessError:
                raise
            except RetryableError as error:
                if reminder.is_due(time.monotonic() - began_s):
                    notice(f"{str(error).removesuffix('.')}. The worker waits.")
                self.asked.wait(_TRY_EVERY_S)
        return None

    def _on_signal(self, _: int, __: FrameType | None) -> None:
        if self._worker is not None:
            if self.asked.is_set():
                self._worker.abort()
            self._worker.stop()
        self.asked.set()


def _open_source(settings: Settings) -> KafkaSource:
    return KafkaSource(
        settings.kafka_bootstrap_servers,
        topic=settings.kafka_topic,
        group=settings.kafka_group,
        group_protocol=settings.kafka_group_protocol,
        settings=settings.kafka,
    )


def _wait_for_tables(address: ClickHouseAddress, stop: _Stop) -> None:
    """Return once the tables are there, or ClickHouse does not say: the worker waits for it later.

    Before it joins the group, as partitions of a worker that cannot write are read by nobody.
    """
    reminder, began_s, tell = Reminder(first_s=0.0), time.monotonic(), once()
    while not stop.asked.is_set():
        looking = _look_for_tables(address, tell)
        try:
            missing = looking.result(_LOOK_S)
        except TimeoutError:
            looking.add_done_callback(_tell_late)
            return
        except AccessError:
            raise
        except RetryableError as error:
            notice(f"{str(error).removesuffix('.')}. The worker keeps trying.")
            return
        if not missing:
            return
        if reminder.is_due(time.monotonic() - began_s):
            notice(f"{_OLD_TABLES} The worker waits.")
        stop.asked.wait(_TRY_EVERY_S)


def _look_for_tables(
    address: ClickHouseAddress, tell: Callable[[str], None]
) -> Future[list[Migration]]:
    """Look for the migrations that the database lacks, beside all else: ClickHouse may hang."""
    answer: Future[list[Migration]] = Future()

    def look() -> None:
        try:
            answer.set_result(missing_migrations(address, tell=tell))
        except Exception as error:  # noqa: BLE001  # raised again where the answer is awaited
            answer.set_exception(error)

    threading.Thread(target=look, name="afterword-tables", daemon=True).start()
    return answer


def _tell_late(looked: Future[list[Migration]]) -> None:
    error = looked.exception()
    if isinstance(error, AfterwordError):
        notice(f"{str(error).removesuffix('.')}. The worker keeps trying.")
    elif error is None and looked.result():
        notice(f"{_OLD_TABLES} The worker keeps trying.")


def _report(one: Worker, ended: threading.Event) -> None:
    said = (0, 0)
    while not ended.wait(_REPORT_EVERY_S):
        if (now := (one.stats.stored, one.stats.rejected)) != said:
            said = now
            notice(f"{now[0]:,} stored, {now[1]:,} rejected")
