"""Parameters of a URL: known, not repeated, of their form."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterword_consumers.api import ApiError
from afterword_consumers.api.arguments import Arguments

ONE, MANY = ["limit", "sql", "since"], ["where", "group_by"]


def read(query_string: bytes) -> Arguments:
    """Read the parameters of a made-up route."""
    return Arguments(query_string, one=ONE, many=MANY)


def refusal(query_string: bytes) -> ApiError:
    """Return why they are refused."""
    with pytest.raises(ApiError) as caught:
        read(query_string)
    assert caught.value.status == 400
    return caught.value


def test_values_are_read_as_a_browser_writes_them() -> None:
    """Percent-encoded UTF-8, a plus for a space, in the order of the URL."""
    found = read(b"where=a+%3D+%C3%BC&where=b%2B&since=7d")
    assert found.texts("where") == ("a = ü", "b+")
    assert (found.text("since"), found.text("limit")) == ("7d", None)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("group-by", "Did you mean group_by? It takes limit, sql, since, where, group_by."),
        ("Limit", "Did you mean limit? It takes limit, sql, since, where, group_by."),
        ("filter", "It takes limit, sql, since, where, group_by."),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name: str, hint: str) -> None:
    """A filter that is misspelt would otherwise not filter."""
    error = refusal(f"{name}=1".encode())
    assert (error.code, error.detail) == (
        "unknown_parameter",
        f"There is no parameter {name!r} here.",
    )
    assert error.hint == hint


def test_one_value_cannot_be_given_twice() -> None:
    """Not even the same one."""
    error = refusal(b"limit=1&limit=1")
    assert (error.code, error.detail) == ("repeated_parameter", "limit takes one value.")


@pytest.mark.parametrize("query_string", [b"since=%FF", b"since=\xff", b"%FF=1"])
def test_a_query_string_that_is_not_utf8_is_refused(query_string: bytes) -> None:
    """Instead of being looked for with other letters."""
    assert refusal(query_string).code == "invalid_utf8"


@pytest.mark.parametrize("text", ["0", "11", "-1", "1.0", "", "x", "9" * 5000, "١", " 1"])
def test_a_count_has_its_range(text: str) -> None:
    """From 1 to the most there may be, in plain digits."""
    found = Arguments(f"limit={text}".encode(), one=ONE)
    with pytest.raises(ApiError, match="Write a number from 1 to 10"):
        found.count("limit", usual=5, most=10)


def test_a_count_that_is_not_given_is_the_usual_one() -> None:
    """And one that is given is itself."""
    assert read(b"").count("limit", usual=5, most=10) == 5
    assert read(b"limit=010").count("limit", usual=5, most=10) == 10


def test_a_flag_is_true_or_false() -> None:
    """Nothing else switches it on or off."""
    assert [read(text).flag("sql") for text in (b"", b"sql=true", b"sql=false")] == [
        False,
        True,
        False,
    ]
    for text in (b"sql=", b"sql=1", b"sql=True", b"sql"):
        with pytest.raises(ApiError, match="Write sql=true"):
            read(text).flag("sql")


@given(st.binary(max_size=200))
def test_no_text_is_more_than_refused(query_string: bytes) -> None:
    """Whatever a client sends, it is read or refused, and nothing else happens."""
    with suppress(ApiError):
        read(query_string)
