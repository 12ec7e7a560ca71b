"""What was flattened, by others into attributes or by us into paths, is put together again."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterword_schemas.errors import InvalidEventError, RejectCode
from afterword_schemas.flatten import Leaves, flatten
from afterword_schemas.testing import documents
from afterword_schemas.unflatten import restore, unflatten


def as_the_sdk_does(path: str, node: object) -> Iterator[tuple[str, object]]:
    """Flatten a document as HoneyHive's SDK does: dots are not escaped, None is left out."""
    match node:
        case None:
            pass
        case dict():
            for key, child in node.items():
                yield from as_the_sdk_does(f"{path}.{key}", child)
        case list():
            for position, child in enumerate(node):
                yield from as_the_sdk_does(f"{path}.{position}", child)
        case _:
            yield path.removeprefix("root."), node


def plain(node: Any) -> Any:
    """Leave out what the SDK loses: dots in keys, and elements of arrays that hold no leaf."""
    match node:
        case dict():
            return {key.replace(".", ""): plain(child) for key, child in node.items()}
        case list():
            return [plain(child) for child in node if any(as_the_sdk_does("", child))]
        case _:
            return node


@given(documents().map(plain))
def test_a_document_keeps_its_paths(document: dict[str, Any]) -> None:
    """Flattened by the vendor's SDK and put together again, a document has the paths it had."""
    again = unflatten("feedback", as_the_sdk_does("root", document))
    before, after = flatten({"feedback": document}), flatten({"feedback": again})
    assert (after.numbers, after.booleans, after.strings) == (
        before.numbers,
        before.booleans,
        before.strings,
    )


def test_an_array_within_limits_stays_one() -> None:
    """Positions from 0 make an array, so five objects and two arrays may still be nested."""
    entries: list[tuple[str | None, object]] = [
        ("edits.0.value", "Oslo"),
        ("edits.1.value", "Rome"),
        ("a.0.b.c.0.d.e.f", 1),
    ]
    document = unflatten("feedback", entries)
    assert document == {
        "edits": [{"value": "Oslo"}, {"value": "Rome"}],
        "a": [{"b": {"c": [{"d": {"e": {"f": 1}}}]}}],
    }
    assert flatten({"feedback": document}).numbers == {"feedback.a.0.b.c.0.d.e.f": 1}


def test_objects_with_keys_like_positions_break_no_limit() -> None:
    """What fits as five objects and two arrays fits again, whichever of them looks like which."""
    document: dict[str, Any] = {"a": {"0": {"0": {"0": {"0": [[{"0": 1}]]}}}}}
    again = unflatten("feedback", as_the_sdk_does("root", document))
    assert again == {"a": [[{"0": {"0": {"0": {"0": {"0": 1}}}}}]]}
    assert flatten({"feedback": again}).numbers == {"feedback.a.0.0.0.0.0.0.0": 1}


@pytest.mark.parametrize("step", ["1", "00", "01", "-1", "٠", "99999999999999999999", ""])
def test_what_is_no_first_position_stays_a_key(step: str) -> None:
    """A missing position, however large the next, costs no memory; odd keys stay keys."""
    assert unflatten("feedback", [(f"a.{step}", True)]) == {"a": {step: True}}


@pytest.mark.parametrize(
    ("entries", "document"),
    [
        ([("a", 1), ("a.b", 2)], {"a": {"b": 2}}),
        ([("a.b", 2), ("a", 1)], {"a": 1}),
        ([("a", 1), ("a", 2)], {"a": 2}),
        ([("a", [1, 2]), ("a.0", 3)], {"a": [3]}),
        ([("a.b", 1), ("a", {"c": 2})], {"a": {"b": 1, "c": 2}}),
        ([(None, {"a.b": 1}), ("a", 2)], {"a.b": 1, "a": 2}),
    ],
)
def test_the_later_of_two_attributes_wins(
    entries: list[tuple[str | None, object]], document: dict[str, Any]
) -> None:
    """What cannot both stand is what was set last; what can is merged."""
    assert unflatten("feedback", entries) == document


def test_a_path_of_too_many_steps_is_refused() -> None:
    """Ten thousand steps are refused by their number, before they are taken."""
    with pytest.raises(InvalidEventError) as refused:
        unflatten("feedback", [("a." * 10_000 + "b", 1)])
    assert refused.value.code is RejectCode.TOO_DEEP
    assert refused.value.path == "$.feedback.a.a.a.a.a.a.a.a"


def test_a_document_that_is_a_leaf_is_refused() -> None:
    """Feedback that is no object is refused, not dropped."""
    with pytest.raises(InvalidEventError) as refused:
        unflatten("feedback", [(None, "good")])
    assert (refused.value.code, refused.value.path) == (RejectCode.WRONG_TYPE, "$.feedback")


@given(st.lists(st.tuples(st.text(".01a", max_size=12), st.booleans()), max_size=20))
def test_any_paths_make_a_document(entries: list[tuple[str | None, object]]) -> None:
    """Whatever the paths, there is a document or a refusal, never a crash."""
    with contextlib.suppress(InvalidEventError):
        assert len(unflatten("feedback", entries)) <= len(entries)


def paths_of(leaves: Leaves) -> dict[str, object]:
    """Return all leaves by path, whatever their type."""
    return {**leaves.numbers, **leaves.booleans, **leaves.strings}


@given(st.fixed_dictionaries({}, optional={"feedback": documents(), "metadata": documents()}))
def test_what_is_restored_flattens_to_the_same_leaves(roots: dict[str, Any]) -> None:
    """Escapes, digits, gaps and depth: no document that was accepted is refused when restored."""
    leaves = flatten(roots)
    again = flatten(restore(paths_of(leaves)))
    assert (again.numbers, again.booleans, again.strings) == (
        leaves.numbers,
        leaves.booleans,
        leaves.strings,
    )


def test_a_document_is_restored_as_it_was() -> None:
    """Objects, arrays in arrays, and keys with dots and percent signs."""
    roots = {
        "feedback": {"edits": [{"value": "Oslo"}, {"tags": ["a", "b"]}], "50%": {"gpt-4.1": True}},
        "metrics": {"": 1},
    }
    assert restore(paths_of(flatten(roots))) == roots
    assert restore({}) == {}


def test_an_array_with_gaps_is_one_only_where_it_must_be() -> None:
    """Years stay keys; an array that kept an event within its depth is one again."""
    assert restore({"feedback.by_year.2025": 1}) == {"feedback": {"by_year": {"2025": 1}}}
    deep: dict[str, Any] = {"a": {"b": {"c": {"d": {"e": [None, [None, None, 1]]}}}}}
    assert restore(paths_of(flatten({"feedback": deep}))) == {"feedback": deep}


def test_a_huge_position_costs_no_memory() -> None:
    """A key of digits beyond what an event has room for stays a key, in whatever depth."""
    for key in ("900000", "99999999"):
        deep = {"a": {key: {"c": {"d": {"e": [None, [None, 1]]}}}}}
        assert restore(paths_of(flatten({"feedback": deep}))) == {"feedback": deep}
