"""A JSON text is taken apart into values that each have their own text, however it is written."""

import json
from json import JSONDecodeError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterword.gateway.json_values import bulk, elements, members, read_value
from afterword_schemas.errors import InvalidEventError, RejectCode

anything = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
indents = st.sampled_from([None, 0, 2])


@given(array=st.lists(anything), indent=indents, ascii_only=st.booleans())
def test_the_elements_of_an_array_are_what_json_reads(
    array: list[Any], indent: int | None, *, ascii_only: bool
) -> None:
    """Each one's text stands for it."""
    text = f" {json.dumps(array, indent=indent, ensure_ascii=ascii_only)}\n"
    values = list(elements(text))
    assert [value.given for value in values] == array
    assert [json.loads(value.text) for value in values] == array
    assert [value.text.strip() for value in values] == [value.text for value in values]


@given(st.dictionaries(st.text(max_size=3), anything), indents)
def test_the_members_of_an_object_are_what_json_reads(
    document: dict[str, Any], indent: int | None
) -> None:
    """Keys and values come in the order of the text."""
    found = list(members(json.dumps(document, indent=indent)))
    assert [(key, json.loads(value.text)) for key, value in found] == list(document.items())


def test_a_key_that_stands_twice_comes_twice() -> None:
    """Whoever reads an object decides what that means."""
    found = [(key, value.text) for key, value in members('{"a": 1, "a": [2]}')]
    assert found == [("a", "1"), ("a", "[2]")]


@given(st.text('[]{}:,"0a \\', max_size=12))
def test_any_text_is_taken_apart_or_is_not_json(text: str) -> None:
    """There is no third end, and what is taken apart is JSON."""
    for take_apart in (elements, members):
        try:
            list(take_apart(text))
        except JSONDecodeError:
            continue
        assert isinstance(json.loads(text), list | dict)


@pytest.mark.parametrize("opening", ["[", '{"a": [', '["}", '])
def test_a_value_that_is_too_deep_has_its_text_all_the_same(opening: str) -> None:
    """What stands behind it is read."""
    closing = {"[": "]", '{"a": [': "]}", '["}", ': "]"}[opening]
    deep = opening * 10_000 + "1" + closing * 10_000
    first, second = elements(f"[{deep}, 2]")
    assert isinstance(first.given, InvalidEventError)
    assert (first.text, second.text) == (deep, "2")
    assert read_value(f" {deep} ").text == deep


def test_what_is_too_deep_is_not_looked_through_for_ever() -> None:
    """To find its end takes as long as there is structure in it: hostile texts are refused as a whole."""
    deep = "[" * 160_000 + "]" * 160_000
    for take_apart in (read_value, elements, members):
        text = f'{{"a": {deep}}}' if take_apart is members else f"[{deep}]"
        with pytest.raises(InvalidEventError) as refused:
            list(take_apart(text))
        assert refused.value.code is RejectCode.TOO_DEEP
    shallow = "[" + "[]," * 200_000 + "[]]"
    assert len(list(elements(shallow))) == 200_001


def test_an_object_of_positions_is_taken_apart_to_its_limit() -> None:
    """One more than that tells the caller enough."""
    text = json.dumps({str(position): position for position in range(1_000)})
    values = bulk(text, 12)
    assert values is not None
    assert [value.given for value in values] == list(range(13))


@given(st.permutations(range(12)))
def test_an_object_of_positions_is_an_array(positions: list[int]) -> None:
    """In the order of its keys, where 0 comes first as it does in every language that sorts them."""
    positions.remove(0)
    text = json.dumps({str(position): position for position in [0, *positions]})
    values = bulk(text, 12)
    assert values is not None
    assert [value.given for value in values] == list(range(12))


@pytest.mark.parametrize(
    "text",
    [
        *("{}", "3", '"0"', '{"a": 0}', '{"0": 0, "2": 0}', '{"0": 0, "01": 1}', '{"1": 0}'),
        *('{"0": 0, "0": 1}', '{"0": 0, "1": 1, "1": 2}'),
    ],
)
def test_an_object_without_consecutive_keys_is_no_array(text: str) -> None:
    """A key of another form, a gap, or a key that stands twice makes an object."""
    assert bulk(text, 12) is None
