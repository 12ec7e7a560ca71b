"""The forms that several ways in share."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterword_schemas.patterns import (
    PROJECT,
    TRACEPARENT,
    UUID,
    Traceparent,
    is_project,
    is_uuid,
    read_traceparent,
    whole,
)

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CONTEXT = f"00-{TRACE}-{PARENT}-01"


@pytest.mark.parametrize(
    ("text", "header"),
    [
        (CONTEXT, CONTEXT),
        (f"00-{TRACE}-{PARENT}-ff", f"00-{TRACE}-{PARENT}-ff"),
        (f"01-{TRACE}-{PARENT}-01", CONTEXT),
        (f"fe-{TRACE}-{PARENT}-01-what the future brings", CONTEXT),
        (f"cc-{TRACE}-{PARENT}-01-", CONTEXT),
    ],
)
def test_a_valid_trace_context_is_read(text: str, header: str) -> None:
    """A later version is handed on in the form that this one knows."""
    assert read_traceparent(text) == Traceparent(TRACE, header)


@pytest.mark.parametrize(
    "text",
    [
        "",
        CONTEXT.upper(),
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"{CONTEXT}-00",
        f"{CONTEXT}-",
        f"{CONTEXT}\n",
        f"cc-{TRACE}-{PARENT}-01.what",
        f"cc-{TRACE}-{PARENT}-01-\n",
        f"cc-{TRACE}-{PARENT}-01-é",
        f"0-{TRACE}-{PARENT}-01",
        f"00-{TRACE[1:]}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}0-01",
        f"00-{TRACE}-{PARENT}-1",
        f"{CONTEXT},{CONTEXT}",
    ],
)
def test_an_invalid_trace_context_counts_as_absent(text: str) -> None:
    """What W3C Trace Context says to ignore is ignored."""
    assert read_traceparent(text) is None


@pytest.mark.parametrize("text", ["", "a" * 65, "a b", "ä", "a\n", "a/b"])
def test_a_text_that_is_not_safe_names_no_project(text: str) -> None:
    """A project is short and safe in a path, a header and a statement."""
    assert not is_project(text)


@pytest.mark.parametrize(
    "text",
    [
        "019c12e98b3d70008000000000000000",
        "{019c12e9-8b3d-7000-8000-000000000000}",
        "019c12e9-8b3d-7000-8000-000000000000\n",
        "019c12e9-8b3d-7000-8000-00000000000g",
        "019c12e9-8b3d-7000-8000-0000000000٠٠",
    ],
)
def test_a_text_of_another_form_is_no_uuid(text: str) -> None:
    """Python's `uuid` reads some of these; ClickHouse and other languages do not."""
    assert not is_uuid(text)


@given(st.from_regex(whole(PROJECT).replace("$", r"\Z")))
def test_a_project_matches_its_pattern(text: str) -> None:
    """The published pattern and the function agree."""
    assert is_project(text)


@given(st.uuids().map(str), st.booleans())
def test_every_uuid_is_one(text: str, upper: bool) -> None:  # noqa: FBT001  # Hypothesis passes it by position
    """Of any version, in either case."""
    assert is_uuid(text.upper() if upper else text)
    assert re.search(whole(UUID), text)


def test_the_published_pattern_is_the_one_that_judges() -> None:
    """JSON Schema has no function, only the pattern."""
    assert re.search(whole(TRACEPARENT), CONTEXT)
    assert not re.search(whole(TRACEPARENT), CONTEXT.replace("00-", "ff-"))
