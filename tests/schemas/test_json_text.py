"""Bytes that should be JSON: how deep they are, and what is wrong with them."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from afterword_schemas.json_text import is_text_too_deep, is_too_deep, text_error
from afterword_schemas.limits import MAX_JSON_LEVELS

LIMIT = MAX_JSON_LEVELS


def depth(raw: bytes) -> int:
    """Return how many brackets are open at most, byte by byte."""
    deepest = opened = 0
    in_string = escaped = False
    for byte in raw.decode("latin-1"):
        if escaped:
            escaped = False
        elif byte == "\\":
            escaped = True
        elif byte == '"':
            in_string = not in_string
        elif not in_string:
            opened += (byte in "[{") - (byte in "]}")
            deepest = max(deepest, opened)
    return deepest


PIECES = [
    b"[",
    b"{",
    b"]",
    b"}",
    b'"',
    b"\\",
    b'{"a":',
    b"[" * 40,
    b"]" * 40,
    b'"["',
    b"\xff",
    b"x",
]


@given(st.lists(st.sampled_from(PIECES), max_size=60), st.integers(0, 3))
@example([b'"', b"\\", b"\\", b'"', b"[" * 40, b"[" * 40, b"[" * 40], 0)
@example([b'"', b"\\", b'"', b"[" * 40, b"[" * 40, b"[" * 40], 0)
def test_the_depth_is_that_of_brackets_outside_of_strings(pieces: list[bytes], filled: int) -> None:
    """Of any bytes, cut off or malformed, also where they are longer than what is looked at at once."""
    raw = b'["x"],' * (20_000 * filled) + b"".join(pieces)
    assert is_too_deep(raw) == (depth(raw) > LIMIT)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_the_limit_is_exact(opening: str) -> None:
    """As many levels as the limit are read, one more is refused, whatever Python would do."""
    closing = {"[": "]", '{"a":': "}"}[opening]
    for levels, too_deep in ((LIMIT, False), (LIMIT + 1, True), (100_000, True)):
        text = opening * levels + "1" + closing * levels
        assert is_text_too_deep(text) == is_too_deep(text.encode()) == too_deep
        error = text_error(text.encode())
        assert (error.code.value if error else None) == ("too_deep" if too_deep else None)


@pytest.mark.parametrize("pair", ["[]", '"[{"', r'"\"[",[]', '"{"[]'])
def test_brackets_without_depth_are_not_deep(pair: str) -> None:
    """A long list is not a deep one, and brackets in strings are text."""
    assert not is_too_deep(f"[{','.join([pair] * 5_000)}]".encode())


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "empty_message"),
        (b"\xff" + b"[" * 1_000, "invalid_utf8"),
        (b"[" * 1_000, "too_deep"),
        (b'["\\ud83d"]', "invalid_unicode"),
        (b'["\\ud83', "invalid_json"),
        (b"\xef\xbb\xbf{}", "invalid_json"),
        (b"[" + b"9" * 5_000 + b"]", "out_of_range"),
        (b"[NaN]", None),
        (b"[1, 2]", None),
    ],
)
def test_each_fault_of_a_text_has_its_code(raw: bytes, code: str | None) -> None:
    """The first of them that applies; NaN is left to the field that it stands in."""
    error = text_error(raw)
    assert (error.code.value if error else None) == code


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_what_is_json_has_no_error(value: object) -> None:
    """Of any value that JSON can hold."""
    assert text_error(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")) is None
