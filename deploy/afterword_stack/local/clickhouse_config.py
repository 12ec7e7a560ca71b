"""The configuration of the local ClickHouse: one XML file, for a server and for chDB alike.

    write_config(data_dir / "config.xml", data=data_dir / "chdb", http_port=8123, native_port=9000)

It listens on the loopback only. User `default` has no password and every right: chDB starts as that user. Whoever
may log in reads files as the user who started it, so do not run it on a machine with other users.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from afterword_stack.local.ports import LOOPBACK

Value = str | int | float | Mapping[str, "Value"] | Sequence["Value"]
"""Of an element: text, elements inside, or the values of several elements of one name."""

_PROFILE: Final[Mapping[str, Value]] = {
    # chDB's defaults are those of clickhouse-local; these three are a server's.
    "implicit_select": 0,
    "allow_introspection_functions": 0,
    "default_format": "TabSeparated",
    # The default, ZSTD, is more than some native clients can read.
    "network_compression_method": "LZ4",
    # The default, 1, compresses once more what `compress=1` has compressed; JDBC drivers up to 0.7 cannot read that.
    "enable_http_compression": 0,
    # Release builds have no symbols, so a stack trace is 25 lines of question marks in the log.
    "calculate_text_stack_trace": 0,
}

# A web page must not reach the database through its visitor's browser, which tells its origin.
_REFUSE_WEB_PAGES: Final[Mapping[str, Value]] = {
    "headers": {"Origin": "regex:.+"},
    "handler": {"type": "static", "status": 403, "response_content": "Not for web pages.\n"},
}

_POOLS: Final = ("BgSchPool", "BgBufSchPool", "BgDistSchPool", "BgMBSchPool", "BgStrmSchPool")

_LOGGER: Final[Mapping[str, Value]] = {
    "level": "warning",
    "console": 1,
    # Without this, `levels` sets the console to the lowest level there is.
    "console_log_level": "warning",
    "levels": {
        "logger": [
            # They warn at each start and end of what they do then.
            *({"name": f"BackgroundSchedulePool/{pool}", "level": "error"} for pool in _POOLS),
            # It repeats what `executeQuery` has logged, with a stack trace.
            {"name": "DynamicQueryHandler", "level": "none"},
        ]
    },
}


def write_config(
    path: Path,
    *,
    data: Path,
    http_port: int,
    native_port: int,
    users: Mapping[str, Mapping[str, Value]] | None = None,
) -> None:
    """Write the configuration.

    Args:
        path: The file, whose folder exists; it names itself as the list of users.
        data: The folder of the tables.
        http_port: Of the HTTP interface.
        native_port: Of the native protocol.
        users: More users by name, with what ClickHouse's `users` section says of each, as
            `{"password": "…", "grants": {"query": ["GRANT SELECT ON *.*"]}}`.
    """
    root = ET.Element("clickhouse")
    root.extend(_elements(_values(path, data, http_port, native_port)))
    root.extend(_elements({"users": _users({"default": {"password": ""}} | dict(users or {}))}))
    ET.indent(root)
    path.write_bytes(ET.tostring(root) + b"\n")


def _values(path: Path, data: Path, http_port: int, native_port: int) -> Mapping[str, Value]:
    return {
        "logger": _LOGGER,
        "listen_host": LOOPBACK,
        "http_port": http_port,
        "tcp_port": native_port,
        "path": f"{data}/",
        "tmp_path": f"{data / 'tmp'}/",
        "user_files_path": f"{data / 'user_files'}/",
        "format_schema_path": f"{data / 'format_schemas'}/",
        "user_directories": {"users_xml": {"path": str(path)}},
        "profiles": {"default": _PROFILE},
        "quotas": {"default": {}},
        # The machine's memory is Kafka's, the workers' and its user's, too.
        "max_server_memory_usage_to_ram_ratio": 0.5,
        "query_log": {
            "database": "system",
            "table": "query_log",
            "ttl": "event_date + INTERVAL 3 DAY DELETE",
        },
        "http_handlers": {"rule": _REFUSE_WEB_PAGES, "defaults": {}},
    }


def _users(users: Mapping[str, Mapping[str, Value]]) -> Mapping[str, Value]:
    from_here: Mapping[str, Value] = {"networks": {"ip": [LOOPBACK, "::1"]}}
    same: Mapping[str, Value] = {"profile": "default", "quota": "default"}
    return {name: {**from_here, **same, **user} for name, user in users.items()}


def _elements(values: Mapping[str, Value]) -> Iterator[ET.Element]:
    for name, value in values.items():
        several = value if isinstance(value, list | tuple) else [value]
        for one in several:
            element = ET.Element(name)
            if isinstance(one, Mapping):
                element.extend(_elements(one))
            else:
                element.text = str(one)
            yield element
