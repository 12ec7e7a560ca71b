"""Put nested documents together again from the paths that they were flattened into.

>>> restore({"feedback.edits.0.value": "Oslo", "metadata.tags.b%2Ec": 1})
{'feedback': {'edits': [{'value': 'Oslo'}]}, 'metadata': {'tags': {'b.c': 1}}}

`restore` takes what `flatten` made, and what it gives flattens to the same paths. `unflatten` takes
attributes that others flattened, who escape nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from afterword_schemas.errors import InvalidEventError, RejectCode
from afterword_schemas.flatten import json_path, unescape_key
from afterword_schemas.limits import MAX_ARRAY_LEVELS, MAX_EVENT_BYTES, MAX_OBJECT_LEVELS

_MAX_STEPS: Final = 1 + MAX_OBJECT_LEVELS + MAX_ARRAY_LEVELS
"""Keys and positions on the way to the deepest leaf that an event may hold."""

_MAX_POSITIONS: Final = MAX_EVENT_BYTES // len("null,")
"""Of an array that fits into an event."""

_Tree = dict[str, Any]
"""A document whose keys are escaped, and whose arrays are objects with positions for keys."""


def restore(leaves: Mapping[str, object]) -> dict[str, dict[str, Any]]:
    """Return the documents that leaves were flattened from, by the names of their roots.

    What leaves no path is not there again: nulls, empty containers. So a list of which only the
    second element has a leaf becomes an object with the key "1". It becomes a list, with null for the
    first, where an object would be nested too deep to be accepted again.

    Args:
        leaves: A leaf for each path; no path may go through another, as `a` and `a.b` would.
    """
    tree: _Tree = {}
    too_deep: set[str] = set()
    for path, leaf in leaves.items():
        root, *above, last = path.split(".")
        if len(above) > MAX_OBJECT_LEVELS:  # and is so only if none of them is a list
            too_deep.add(root)
        place = tree.setdefault(root, {})
        for step in above:
            place = place.setdefault(step, {})
        place[last] = leaf
    return {
        root: {
            unescape_key(key): _with_arrays(
                child, MAX_ARRAY_LEVELS, gaps=root in too_deep, name=unescape_key
            )
            for key, child in node.items()
        }
        for root, node in tree.items()
    }


def unflatten(root: str, entries: Iterable[tuple[str | None, object]]) -> dict[str, Any]:
    """Return the document that attributes were made of, in the order in which they were set.

    Where two cannot both stand, as `step1` beside `step1.retry`, the later replaces the earlier: so
    would a later patch. A key with a dot in it cannot be told from two keys. An object whose keys are the positions 0 to
    n-1 becomes an array, as deep as arrays may be nested; where a position is missing it stays an
    object. Its paths are the same.

    Args:
        root: What the document is called, for errors.
        entries: A path with dots, or None for the document itself, and what stands there.

    Raises:
        InvalidEventError: `TOO_DEEP` for a path of more steps than any event may have, `WRONG_TYPE` for a
            document that is no object.
    """
    document: dict[str, Any] = {}
    for path, node in entries:
        if path is not None:
            *above, last = _split(root, path)
            place = document
            for step in above:
                if not isinstance(place.get(step), dict):
                    place[step] = {}
                place = place[step]
            _put(place, last, node)
        elif isinstance(node, dict):
            for key, child in node.items():
                _put(document, key, child)
        else:
            raise InvalidEventError(RejectCode.WRONG_TYPE, json_path([root]), "expected an object")
    return {key: _with_arrays(child, MAX_ARRAY_LEVELS) for key, child in document.items()}


def _split(root: str, path: str) -> list[str]:
    if path.count(".") < _MAX_STEPS:
        return path.split(".")
    steps = path.split(".", _MAX_STEPS)[:_MAX_STEPS]
    detail = f"a path of more than {_MAX_STEPS} steps, which is nested too deep"
    raise InvalidEventError(RejectCode.TOO_DEEP, json_path([root, *steps]), detail)


def _put(place: dict[str, Any], key: str, node: object) -> None:
    if isinstance(node, dict) and isinstance(place.get(key), dict):
        for inner, child in node.items():
            _put(place[key], inner, child)
    else:
        place[key] = node


def _with_arrays(
    node: object, left: int, *, gaps: bool = False, name: Callable[[str], str] = str
) -> object:
    """Return a node with arrays in place of what looks like them, at most so many levels of them.

    Args:
        node: A leaf, or an object of such.
        left: How many arrays may be nested in one another.
        gaps: Whether an array may lack positions, which are null then.
        name: Makes a key of a step.
    """
    if not isinstance(node, dict):
        return node
    length = _array_length(node, gaps=gaps) if left else 0
    if not length:
        return {
            name(key): _with_arrays(child, left, gaps=gaps, name=name)
            for key, child in node.items()
        }
    array: list[object] = [None] * length
    for position, child in node.items():
        array[int(position)] = _with_arrays(child, left - 1, gaps=gaps, name=name)
    return array


def _array_length(node: _Tree, *, gaps: bool) -> int:
    """Return how long the array is that a node looks like; 0 for none."""
    if not node or not (gaps or "0" in node):
        return 0
    if not all(map(_is_position, node)):
        return 0
    length = max(map(int, node)) + 1
    return length if length == len(node) or (gaps and length <= _MAX_POSITIONS) else 0


def _is_position(key: str) -> bool:
    return (
        len(key) <= len(str(_MAX_POSITIONS))
        and key.isascii()
        and key.isdigit()
        and (key == "0" or key[0] != "0")
    )
