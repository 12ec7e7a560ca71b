"""What `afterword doctor` looks at: this machine, Kafka, ClickHouse, the tables."""

import platform
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version

from afterword_schemas import AccessError, AfterwordError, ConfigurationError, UnreachableError
from afterword_schemas.counted import counted
from afterword_stack.local.jars import KAFKA_VERSION
from afterword_stack.local.java import find_java
from afterword_stack.local.stack import running_stack
from afterword_stack.run.database import missing_migrations, open_database
from afterword_stack.run.freshness import read_lags
from afterword_stack.run.topic_warnings import read_concerns
from afterword_stack.settings import Settings, explain_unreachable, unknown_variables
from afterword_stack.terminal.console import once


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the diagnosis.

    Attributes:
        what: What was found, good or bad.
        next_step: What to do; empty where nothing is to be done.
        must_change: Whether the pipeline cannot work as it is.
    """

    what: str
    next_step: str = ""
    must_change: bool = False

    @property
    def mark(self) -> str:
        """✓ good, ! worth knowing, ✗ must change."""
        if self.must_change:
            return "✗"
        return "!" if self.next_step else "✓"


def diagnose(settings: Settings) -> Iterator[Finding]:
    """Look at everything; what is wrong in one place does not hide the next."""
    yield Finding(f"Python {platform.python_version()}, afterword {version('afterword')}")
    for name, meant in unknown_variables().items():
        step = f"is it {meant}?" if meant else "unset it; see deploy/docs/settings.md"
        yield Finding(f"{name} is not a setting", step)
    yield _local_parts()
    stack = running_stack()
    if stack is not None:
        native = f"native {stack.clickhouse_native}"
        yield Finding(f"a local stack is up: Kafka {stack.kafka}, {stack.clickhouse}, {native}")
    yield from _kafka(settings)
    yield from _clickhouse(settings)


def _local_parts() -> Finding:
    try:
        engine = f"chDB {version('chdb-core')}"
    except PackageNotFoundError:
        return Finding(
            "no local ClickHouse engine, so no `afterword demo` and `afterword up`",
            "pip install '.[local]' in a clone, unless you use your own servers",
        )
    java = find_java()
    if java is None:
        return Finding(
            f"{engine}, no Java for Kafka {KAFKA_VERSION}, so no `afterword demo` and `afterword up`",
            "pip install '.[local]' in a clone, or install Java 17 or later; or use your own servers",
        )
    return Finding(f"local parts: {engine}, Kafka {KAFKA_VERSION} on Java {java.major}")


def _kafka(settings: Settings) -> Iterator[Finding]:
    where = f"Kafka {settings.kafka_bootstrap_servers}, topic {settings.kafka_topic}"
    try:
        lags = read_lags(settings)
    except AfterwordError as error:
        yield _fault(where, error, "AFTERWORD_KAFKA_BOOTSTRAP_SERVERS")
        return
    waiting = sum(at.lag for at in lags)
    waits = counted(waiting, "message waits", "messages wait")
    yield Finding(f"{where}: {counted(len(lags), 'partition')}, {waits} for a worker")
    try:
        concerns = read_concerns(settings)
    except AfterwordError:
        step = "grant this user DESCRIBE_CONFIGS on it to have its limits looked at"
        yield Finding(f"Kafka does not tell how topic {settings.kafka_topic} is set", step)
    else:
        yield from (Finding(one.what, one.next_step, one.must_change) for one in concerns)


def _fault(where: str, error: AfterwordError, variable: str) -> Finding:
    names_server = isinstance(error, UnreachableError | AccessError)
    begin = "" if names_server else f"{where}: "
    told = explain_unreachable(error) if isinstance(error, UnreachableError) else error
    if isinstance(told, ConfigurationError | AccessError):
        return Finding(f"{begin}{told.detail}", told.next_step, must_change=True)
    return Finding(f"{begin}{error}", _next_step(error, variable), must_change=True)


def _next_step(error: AfterwordError, variable: str) -> str:
    if isinstance(error, UnreachableError) and error.timed_out:
        return f"something listens there: look whether it hangs or is busy, and at {variable}"
    if running_stack() is not None:
        return f"look at {variable}, or unset it to use the local stack"
    return f"start one with `afterword up`, or set {variable}"


def _clickhouse(settings: Settings) -> Iterator[Finding]:
    where, address = f"ClickHouse {settings.clickhouse}", settings.clickhouse_look
    tell = once()
    try:
        with open_database(replace(address, database="default"), tell) as clickhouse:
            version_there = clickhouse.query("SELECT version()").rows[0][0]
        yield Finding(f"{where}: version {version_there}")
        missing = missing_migrations(address, tell=tell)
    except AfterwordError as error:
        yield _fault(where, error, "AFTERWORD_CLICKHOUSE_URL")
        return
    if missing:
        names = ", ".join(migration.name for migration in missing)
        yield Finding(f"tables: {names} not applied", "run `afterword migrate`", must_change=True)
    else:
        yield Finding("tables: up to date")
