"""Text that UTF-8 cannot hold is refused where it is used, with code and path."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterword.gateway.unicode_text import check_text, decode_leniently, to_json
from afterword_schemas.errors import InvalidEventError, RejectCode


@given(st.text())
def test_good_text_is_what_it_is(text: str) -> None:
    """Nothing of it is changed, and it is written without escapes."""
    assert decode_leniently(text.encode()) == text
    check_text(text, "$")
    assert json.loads(to_json({"a": text})) == {"a": text}


@given(st.text(), st.integers(0x80, 0xFF), st.text())
def test_a_byte_of_another_encoding_is_invalid_utf8(before: str, byte: int, after: str) -> None:
    """Wherever it stands; ASCII behind it keeps it from being the start of a character."""
    text = decode_leniently(before.encode() + bytes([byte]) + b"." + after.encode())
    with pytest.raises(InvalidEventError) as refused:
        check_text(text, "$")
    assert refused.value.code is RejectCode.INVALID_UTF8


@given(st.text(), st.integers(0xD800, 0xDFFF), st.text())
def test_half_of_a_surrogate_pair_is_told_from_it(before: str, half: int, after: str) -> None:
    """Also the halves that Python makes of bytes."""
    with pytest.raises(InvalidEventError) as refused:
        check_text(f"{before}{chr(half)}{after}", "$")
    assert refused.value.code is RejectCode.INVALID_UNICODE


@pytest.mark.parametrize(
    ("event", "path"),
    [
        ({"a": "\ud83d"}, "$.a"),
        ({"a": [1, {"b.c": "\ud83d"}]}, '$.a[1]["b.c"]'),
        ({"a": {"\ud83d": 1}}, "$.a"),
        ({"\ud83d": 1}, "$"),
    ],
)
def test_the_place_is_told(event: object, path: str) -> None:
    """A key has the place of its object."""
    with pytest.raises(InvalidEventError) as refused:
        to_json(event)
    assert (refused.value.code, refused.value.path) == (RejectCode.INVALID_UNICODE, path)
