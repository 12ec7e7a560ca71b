"""From an HTTP request to what the engine must run: ClickHouse's rules for URL and body.

    parse_request("query=SELECT+{n:UInt8}&param_n=7&max_threads=1", b"", read_only=True)

The query is the URL's, then the body's; data to insert follows it and is never copied or decoded here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from afterword_stack.local.clickhouse_error import (
    BAD_ARGUMENTS,
    NOT_IMPLEMENTED,
    SYNTAX_ERROR,
    ClickHouseError,
)
from afterword_stack.local.http_form import form_fields, is_form

# What ClickHouse's HTTP handler keeps for itself; everything else in the URL is a setting.
_RESERVED: Final = frozenset(
    {"query", "database", "default_format", "query_id", "user", "password", "quota_key", "role"}
    | {"session_id", "session_timeout", "session_check", "close_session", "stacktrace"}
    | {"wait_end_of_query", "buffer_size", "compress", "decompress", "client_protocol_version"}
)
_SETTING_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*\Z")
_HEADER_UNSAFE: Final = re.compile(r"[^\x20-\x7e]")
_MAX_HEADER_BYTES: Final = 65_536

# Quoted parts are taken whole, so that a FORMAT inside one is not the clause. No two alternatives
# can match the same text, so that no input makes the search slow.
_QUOTED: Final = rb"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`"""
_COMMENTS: Final = rb"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
_INSERT_HEADER: Final = re.compile(
    rb"(?P<sql>" + _COMMENTS + rb"INSERT\s+INTO\s(?:[^'\"`]|" + _QUOTED + rb")*?)"
    rb"\b(?:FORMAT\s+(?P<format>\w+)[ \t]*;?[ \t]*(?:\r?\n|\Z)|VALUES\s*\Z)",
    re.IGNORECASE | re.DOTALL,
)
_READS_ELSEWHERE: Final = re.compile(rb"\b(?:SELECT|WITH|INFILE|VALUES)\b", re.IGNORECASE)
_SKIPPED: Final = re.compile(_QUOTED + rb"|--[^\n]*|/\*.*?\*/", re.DOTALL)
_SECOND_STATEMENT: Final = re.compile(rb";\s*[^\s;]")
_INSERT: Final = re.compile(_COMMENTS + rb"INSERT\s", re.IGNORECASE | re.DOTALL)
_INPUT: Final = re.compile(rb"\binput\s*\(", re.IGNORECASE)
_FORMAT_AT_END: Final = re.compile(rb"\bFORMAT\s+(\w+)\s*;?\s*\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Insert:
    """Data for an INSERT statement.

    Attributes:
        format: The input format of the data.
        data: The bytes as they came.
    """

    format: str
    data: memoryview


@dataclass(frozen=True, slots=True)
class Request:
    """One statement and all that bears on it.

    Attributes:
        sql: The statement; without its FORMAT clause if there is `insert`.
        insert: The data, if it is an INSERT that brings some.
        output_format: How to write the result, unless the statement says.
        params: Values of `{name:Type}`, in ClickHouse's escaped text form.
        settings: For this statement alone.
        database: The current database; empty for the default one.
        query_id: The client's, printable ASCII; empty if it gave none.
        streamed: Whether the answer is sent as it is made, by `wait_end_of_query=0`.
    """

    sql: bytes
    insert: Insert | None
    output_format: str
    params: Mapping[str, str]
    settings: Mapping[str, str]
    database: str
    query_id: str
    streamed: bool = False


def parse_request(
    url_query: str, body: bytes | bytearray, *, form_type: str = "", read_only: bool = False
) -> Request:
    """Read the URL's query string and the body.

    Args:
        url_query: What follows the `?`.
        body: Uncompressed and complete.
        form_type: The body's content type: a multipart form holds more of the URL's fields.
        read_only: Whether it may only read: a GET.

    Raises:
        ClickHouseError: It asks for what this server does not do.
    """
    fields = dict(parse_qsl(url_query, keep_blank_values=True, errors="surrogateescape"))
    if is_form(form_type):
        fields |= form_fields(form_type, body)
        body = b""
    for name in ("compress", "decompress"):
        if fields.get(name, "0") not in {"", "0"}:
            raise ClickHouseError.of(
                NOT_IMPLEMENTED,
                "NOT_IMPLEMENTED",
                f"{name}=1 is not supported here, use HTTP's own",
            )
    sql, insert = split_insert(fields.get("query", "").encode(errors="surrogateescape"), body)
    _require_one_statement(sql)
    named = _FORMAT_AT_END.search(sql, max(0, len(sql) - 200))
    form = named[1].decode() if named else fields.get("default_format", "TabSeparated")
    return Request(
        sql=sql,
        insert=insert,
        output_format=_HEADER_UNSAFE.sub("", form),
        params={k.removeprefix("param_"): v for k, v in fields.items() if k.startswith("param_")},
        settings=_settings(fields) | ({"readonly": "2"} if read_only else {}),
        database=fields.get("database", ""),
        query_id=_HEADER_UNSAFE.sub("", fields.get("query_id", "")),
        streamed=insert is None and fields.get("wait_end_of_query") == "0",
    )


def split_insert(url_sql: bytes, body: bytes | bytearray) -> tuple[bytes, Insert | None]:
    """Return the statement and the data that it inserts, if the request brings data.

    Whatever is not plainly `INSERT ... FORMAT name` and data is left whole for the engine's parser.

    Raises:
        ClickHouseError: The statement selects from the data, by `input()`.
    """
    head = url_sql or bytes(memoryview(body)[:_MAX_HEADER_BYTES])
    header = _INSERT_HEADER.match(head)
    if header and _brings_data(header, in_url=bool(url_sql)):
        data = memoryview(body)[0 if url_sql else header.end() :]
        return header["sql"], Insert((header["format"] or b"Values").decode(), data)
    return (url_sql + b"\n" + body if url_sql and body else url_sql or bytes(body)), None


def without_format(sql: bytes) -> bytes:
    """Return a statement without the FORMAT clause that it may end with.

    >>> without_format(b"SELECT 1 FORMAT CSV;")
    b'SELECT 1 '
    """
    return _FORMAT_AT_END.sub(b"", sql)


def _brings_data(header: re.Match[bytes], *, in_url: bool) -> bool:
    """Whether exactly the bytes after this header are the data."""
    unquoted = re.sub(_QUOTED, b"''", header["sql"], flags=re.DOTALL)
    if _INPUT.search(unquoted):  # chDB would read no row of it and call that a success
        raise ClickHouseError.of(
            NOT_IMPLEMENTED, "NOT_IMPLEMENTED", "The input table function is not supported here"
        )
    if _READS_ELSEWHERE.search(unquoted):
        return False
    # In a URL nothing may follow the header; VALUES in a body is left to the engine, as it needs
    # no FORMAT and its rows begin on the same line.
    return header.end() == len(header.string) if in_url else header["format"] is not None


def _require_one_statement(sql: bytes) -> None:
    """Refuse several statements, as a server does: chDB would run them all."""
    if _INSERT.match(sql):  # its data may hold anything
        return
    if _SECOND_STATEMENT.search(_SKIPPED.sub(b"''", sql)):
        raise ClickHouseError.of(
            SYNTAX_ERROR, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed)"
        )


def _settings(fields: Mapping[str, str]) -> dict[str, str]:
    settings = {
        name: value
        for name, value in fields.items()
        if name not in _RESERVED and not name.startswith("param_")
    }
    for name in settings:
        if not _SETTING_NAME.match(name):
            raise ClickHouseError.of(
                BAD_ARGUMENTS, "BAD_ARGUMENTS", "A URL parameter is no setting"
            )
    return settings
