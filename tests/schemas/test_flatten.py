"""Flattening loses nothing, invents nothing, and depends on nothing but the document."""

import copy
import gc
import tracemalloc
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from afterword_schemas import InvalidEventError, Leaves, RejectCode, escape_key, flatten, json_path
from afterword_schemas.flatten import array_paths
from afterword_schemas.testing import HARD_KEYS, documents, keys

Entry = tuple[str, str, Any]

flatten_module: Any = import_module("afterword_schemas.flatten")
"""The module: the package has the function under the same name."""


@given(documents())
def test_nothing_is_lost_or_invented(document: dict[str, Any]) -> None:
    """A row has exactly the leaves of the document: each path, type and value, and no other."""
    assert entries(flatten({"feedback": document})) == sorted(walk(document, "feedback"))


@given(documents())
def test_each_leaf_has_its_own_path(document: dict[str, Any]) -> None:
    """Within a document no two values share a path, not even over types."""
    paths = [path for path, _, _ in walk(document, "feedback")]
    assert len(set(paths)) == len(paths) == len(flatten({"feedback": document}))


@given(documents())
def test_document_can_be_rebuilt(document: dict[str, Any]) -> None:
    """Splitting paths at their dots and unescaping the steps gives every leaf its place back."""
    rebuilt: dict[str, Any] = {}
    for path, _, leaf in entries(flatten({"feedback": document})):
        *above, last = [unescape(step) for step in path.split(".")[1:]]
        node = rebuilt
        for step in above:
            node = node.setdefault(step, {})
        node[last] = leaf
    assert rebuilt == keyed(document)


@given(documents(), documents())
def test_different_documents_flatten_differently(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    """Two documents share a flattening only if they have the same leaves at the same steps."""
    flattened = [entries(flatten({"metrics": document})) for document in (one, other)]
    assert (flattened[0] == flattened[1]) == (keyed(one) == keyed(other))


@given(documents(), st.data())
def test_one_changed_leaf_changes_the_row(document: dict[str, Any], data: st.DataObject) -> None:
    """Of the same containers, no content can be taken for another."""
    before = entries(flatten({"feedback": document}))
    assume(before)
    path, kind, _ = data.draw(st.sampled_from(before))
    put(
        document,
        [unescape(step) for step in path.split(".")[1:]],
        "changed" if kind != "str" else 0,
    )
    assert entries(flatten({"feedback": document})) != before


def test_position_and_key_of_digits_share_a_path_on_purpose() -> None:
    """An array sent as an object keyed by position is the same measure: `feedback.edits.0`."""
    assert flatten({"feedback": {"edits": ["a"]}}).strings == {"feedback.edits.0": "a"}
    assert flatten({"feedback": {"edits": {"0": "a"}}}).strings == {"feedback.edits.0": "a"}


@given(keys(), keys())
@example("a.b", "a%2Eb")
@example(".", "%2E")
@example("%", "%25")
def test_escaping_is_injective(one: str, other: str) -> None:
    """Two keys are one step only if they are one key, and no step holds a dot."""
    assert (escape_key(one) == escape_key(other)) == (one == other)
    assert "." not in escape_key(one)
    assert unescape(escape_key(one)) == one


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a.b", "feedback.a%2Eb"),
        ("50%", "feedback.50%25"),
        ("%2E", "feedback.%252E"),
        ("", "feedback."),
        ("\0", "feedback.\0"),
        ("😀", "feedback.😀"),
        ("a b", "feedback.a b"),
    ],
)
def test_key_becomes_one_step(key: str, path: str) -> None:
    """Only dots and percent signs are written another way."""
    assert flatten({"feedback": {key: "v"}}).strings == {path: "v"}


@pytest.mark.parametrize(
    "text", ["2026-01-31", "4", "true", "null", "NaN", "", "\0", "😀", "x" * 1_000_000]
)
def test_strings_stay_strings(text: str) -> None:
    """Text is never read as anything else, and never cut."""
    leaves = flatten({"feedback": {"a": text}})
    assert leaves == Leaves(strings={"feedback.a": text}, keys=1)


def test_types_go_into_their_maps() -> None:
    """True is no 1, and 1 is no text."""
    leaves = flatten({"feedback": {"a": [True, 1, 1.0, "1", None, {}, []]}})
    assert entries(leaves) == [
        ("feedback.a.0", "bool", True),
        ("feedback.a.1", "int", 1),
        ("feedback.a.2", "float", 1.0),
        ("feedback.a.3", "str", "1"),
    ]


def test_roots_do_not_mix() -> None:
    """The same key under two roots makes two paths; a root that is None makes none."""
    leaves = flatten({"feedback": {"a": 1}, "metadata": {"a": 2}, "metrics": None})
    assert leaves.numbers == {"feedback.a": 1, "metadata.a": 2}


@given(documents())
def test_flattening_is_pure(document: dict[str, Any]) -> None:
    """The input is unchanged and a second call gives the same, in the same order."""
    before = copy.deepcopy(document)
    first = flatten({"feedback": document})
    assert document == before
    assert repr(flatten({"feedback": document})) == repr(first)


@given(documents(), st.lists(documents(), max_size=3))
def test_history_does_not_matter(document: dict[str, Any], earlier: list[dict[str, Any]]) -> None:
    """What was flattened before, or forgotten, changes nothing."""
    for other in earlier:
        flatten({"feedback": other})
    with_history = flatten({"feedback": document})
    flatten_module._names.forget()
    assert repr(flatten({"feedback": document})) == repr(with_history)


def test_forgetting_amid_a_document_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The paths are the same when the cache overflows, and the cache stays small."""
    monkeypatch.setattr(flatten_module, "_MAX_CACHED_BYTES", 2_000)
    for round_ in range(100):
        document = {f"k{round_}": {"a": [1, True]}, "b": "x"}
        assert entries(flatten({"feedback": document})) == sorted(walk(document, "feedback"))
        assert flatten_module._names.size <= 2_000 + 3_000


@pytest.mark.parametrize("letters", [1, 480])
def test_cache_stays_small_under_ever_new_keys(
    letters: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long keys take more and are fewer. What is forgotten is freed with the garbage collector off, too."""
    monkeypatch.setattr(flatten_module, "_MAX_CACHED_BYTES", 1_000_000)
    flatten_module._names.forget()
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for start in range(0, 10_000, 100):
            keys = (f"{number:0{letters}}" for number in range(start, start + 100))
            flatten({"feedback": {key: {"a": 1} for key in keys}})
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert held_bytes < 1_500_000


def test_threads_do_not_disturb_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight threads flatten alike, though the cache is forgotten all the while."""
    monkeypatch.setattr(flatten_module, "_MAX_CACHED_BYTES", 4_000)
    documents_ = [{f"k{n % 7}": {"a": [n, {f"b{n}": "x"}]}, ".": n % 2 == 0} for n in range(400)]
    expected = [sorted(walk(document, "feedback")) for document in documents_]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            rows = pool.map(lambda document: entries(flatten({"feedback": document})), documents_)
            assert list(rows) == expected


def test_subclasses_are_what_they_extend() -> None:
    """A root may be any dictionary, as any part may."""
    ordered = OrderedDict(a=OrderedDict(b=1))
    assert flatten({"feedback": ordered}).numbers == {"feedback.a.b": 1}


@pytest.mark.parametrize("key", [1, True, 1.0, None, b"a"])
def test_key_that_is_no_text_is_refused(key: Any) -> None:
    """A position met before at the same place does not let a number pass for a key."""
    flatten({"feedback": {"q": ["first", "second"]}})
    with pytest.raises(InvalidEventError) as refusal:
        flatten({"feedback": {"q": {key: "a"}}})
    assert (refusal.value.code, refusal.value.path) == (RejectCode.WRONG_TYPE, "$.feedback.q")


@pytest.mark.parametrize("leaf", [b"a", (1,), {1}, object(), 1j])
def test_a_value_without_a_json_form_is_refused(leaf: object) -> None:
    """Python values without a JSON form are named by their type."""
    with pytest.raises(InvalidEventError, match="is not a JSON type") as refusal:
        flatten({"feedback": {"a": [leaf]}})
    assert (refusal.value.code, refusal.value.path) == (RejectCode.WRONG_TYPE, "$.feedback.a[0]")


@pytest.mark.parametrize(
    ("steps", "path"),
    [
        ([], "$"),
        (["feedback", "tags", 3], "$.feedback.tags[3]"),
        (["a.b"], '$["a.b"]'),
        ([""], '$[""]'),
        (['say "hi"\\'], '$["say \\"hi\\"\\\\"]'),
        (["two\nlines\0"], '$["two\\nlines\\u0000"]'),
        (["\ud800"], '$["\\ud800"]'),
        (["😀"], '$["😀"]'),
        (["k" * 1_000_000], f"$.{'k' * 512}…"),
        (["-" * 1_000_000], f'$["{"-" * 512}…"]'),
    ],
)
def test_json_path_is_one_short_readable_line(steps: list[str | int], path: str) -> None:
    """Keys are quoted as in JSON, and one too long for any event is cut."""
    assert json_path(steps) == path


@given(documents())
def test_array_paths_are_the_arrays(document: dict[str, Any]) -> None:
    """Every array has its path, in the order of the document."""
    assert array_paths("feedback", document) == list(walk_arrays(document, "feedback"))


def walk(node: Any, path: str) -> list[Entry]:
    """Flatten as the definition says, without regard to speed."""
    if isinstance(node, dict):
        steps = [(escape_key(key), child) for key, child in node.items()]
    elif isinstance(node, list):
        steps = [(str(position), child) for position, child in enumerate(node)]
    else:
        return [] if node is None else [(path, type(node).__name__, node)]
    return [entry for step, child in steps for entry in walk(child, f"{path}.{step}")]


def walk_arrays(node: Any, path: str) -> list[str]:
    """List the paths of arrays, as the definition says."""
    if isinstance(node, dict):
        steps = [(escape_key(key), child) for key, child in node.items()]
    elif isinstance(node, list):
        steps = [(str(position), child) for position, child in enumerate(node)]
    else:
        return []
    below = [found for step, child in steps for found in walk_arrays(child, f"{path}.{step}")]
    return [path, *below] if isinstance(node, list) else below


def entries(leaves: Leaves) -> list[Entry]:
    """List what a row holds as path, type and value, by path."""
    maps = (leaves.numbers, leaves.booleans, leaves.strings)
    return sorted(
        (path, type(leaf).__name__, leaf) for by_type in maps for path, leaf in by_type.items()
    )


def keyed(node: Any) -> Any:
    """Key arrays by their positions, and drop what gives no path."""
    if isinstance(node, list):
        node = {str(position): child for position, child in enumerate(node)}
    if not isinstance(node, dict):
        return node
    kept = {key: keyed(child) for key, child in node.items()}
    return {key: child for key, child in kept.items() if child not in (None, {})}


def put(node: Any, steps: list[str], leaf: Any) -> None:
    """Replace one leaf of a document."""
    for step in steps[:-1]:
        node = node[int(step)] if isinstance(node, list) else node[step]
    last = int(steps[-1]) if isinstance(node, list) else steps[-1]
    node[last] = leaf


def unescape(step: str) -> str:
    """Undo `escape_key`."""
    return step.replace("%2E", ".").replace("%25", "%")


def test_hard_keys_are_told_apart() -> None:
    """The keys that others have confused make as many paths."""
    assert len(flatten({"feedback": dict.fromkeys(HARD_KEYS, 1)})) == len(HARD_KEYS)


def test_zero_has_no_sign() -> None:
    """-0.0 is stored as 0.0: two groups of one number, or a changed export, help nobody."""
    assert str(flatten({"feedback": {"x": -0.0}}).numbers["feedback.x"]) == "0.0"
