"""What a request to the chDB server asks for, told from its URL and body."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterword_stack.local.clickhouse_error import ClickHouseError
from afterword_stack.local.clickhouse_request import parse_request, split_insert


@pytest.mark.parametrize(
    ("url_sql", "body", "sql", "format_", "data"),
    [
        (b"", b"INSERT INTO t FORMAT CSV\n1\n", b"INSERT INTO t ", "CSV", b"1\n"),
        (
            b"",
            b"-- x\n/* FORMAT y */ insert into t format CSV\r\n1\n",
            b"-- x\n/* FORMAT y */ insert into t ",
            "CSV",
            b"1\n",
        ),
        (b"INSERT INTO t VALUES", b"(1)", b"INSERT INTO t ", "Values", b"(1)"),
        (
            b"INSERT INTO t SETTINGS a='FORMAT x' FORMAT CSV;",
            b"1",
            b"INSERT INTO t SETTINGS a='FORMAT x' ",
            "CSV",
            b"1",
        ),
    ],
)
def test_the_data_begins_behind_the_format(
    url_sql: bytes, body: bytes, sql: bytes, format_: str, data: bytes
) -> None:
    """Statement, format and data are told apart, also with quotes and comments."""
    statement, insert = split_insert(url_sql, body)
    assert insert is not None
    assert (statement, insert.format, bytes(insert.data)) == (sql, format_, data)


@pytest.mark.parametrize(
    ("url_sql", "body", "whole"),
    [
        (b"SELECT 1", b"", b"SELECT 1"),
        (b"", b"SELECT 1 FORMAT CSV", b"SELECT 1 FORMAT CSV"),
        (
            b"",
            b"INSERT INTO t VALUES ('a FORMAT CSV\n')",
            b"INSERT INTO t VALUES ('a FORMAT CSV\n')",
        ),
        (b"INSERT INTO t SELECT 1 FORMAT CSV", b"1", b"INSERT INTO t SELECT 1 FORMAT CSV\n1"),
        (b"INSERT INTO t FORMAT CSV 1", b"2", b"INSERT INTO t FORMAT CSV 1\n2"),
    ],
)
def test_other_statements_stay_whole(url_sql: bytes, body: bytes, whole: bytes) -> None:
    """What is not plainly a statement and its data is left to the engine."""
    assert split_insert(url_sql, body) == (whole, None)


@given(st.binary(), st.binary())
def test_splitting_never_fails(url_sql: bytes, body: bytes) -> None:
    """Any bytes are a statement to pass on; the engine judges them."""
    split_insert(b"INSERT INTO " + url_sql, body)


def test_a_form_that_is_cut_short_is_refused() -> None:
    """A form without its end may lack a parameter, so it is no form."""
    body = b'--b\r\nContent-Disposition: form-data; name="query"\r\n\r\nSELECT 1'
    with pytest.raises(ClickHouseError, match="not complete"):
        parse_request("", body, form_type="multipart/form-data; boundary=b")
    with pytest.raises(ClickHouseError, match="External tables"):
        parse_request(
            "",
            body.replace(b'"query"', b'"x"; filename="x"') + b"\r\n--b--\r\n",
            form_type="multipart/form-data; boundary=b",
        )


@pytest.mark.parametrize(
    "sql",
    [
        b"SELECT 1;",
        b"SELECT 1 ; ;",
        b"SELECT '; x' -- ; y",
        b"/* ; x */ SELECT 1",
        b"INSERT INTO t VALUES ('a');b",
    ],
)
def test_a_semicolon_is_not_yet_a_second_statement(sql: bytes) -> None:
    """Trailing, quoted and commented semicolons are fine."""
    assert parse_request("", sql).sql == sql


@pytest.mark.parametrize("sql", [b"SELECT 1; SELECT 2", b"SELECT ';' ; /* x */ DROP TABLE t"])
def test_a_second_statement_is_refused(sql: bytes) -> None:
    """What a server would refuse must not pass here, or it fails on the day there is a server."""
    with pytest.raises(ClickHouseError, match="Multi-statements"):
        parse_request("", sql)


@given(st.text(), st.binary())
def test_any_request_is_parsed_or_refused(url_query: str, body: bytes) -> None:
    """No URL and no body ends in another error than ClickHouse's."""
    with contextlib.suppress(ClickHouseError):
        parse_request(url_query, body)
