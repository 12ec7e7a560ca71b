"""Put a nested document together again from the attributes that it was flattened into.

>>> unflatten("feedback", [("edits.0.value", "Oslo"), ("step1.retry", False)])
{'edits': [{'value': 'Oslo'}], 'step1': {'retry': False}}

The attributes come in the order in which they were set. Where two of them cannot both stand, as
`step1` beside `step1.retry`, the later replaces the earlier: so would a later patch.
"""

from collections.abc import Iterable
from typing import Any, Final

from afterword_schemas.errors import EventError, RejectCode
from afterword_schemas.flatten import json_path
from afterword_schemas.limits import MAX_ARRAY_LEVELS, MAX_OBJECT_LEVELS

_MAX_STEPS: Final = 1 + MAX_OBJECT_LEVELS + MAX_ARRAY_LEVELS
"""Keys and positions on the way to the deepest leaf that an event may hold."""


def unflatten(root: str, entries: Iterable[tuple[str | None, object]]) -> dict[str, Any]:
    """Return the document that the entries were made of.

    A key with a dot in it cannot be told from two keys. An object whose keys are the positions 0 to
    n-1 becomes an array, as deep as arrays may be nested; where a position is missing it stays an
    object. Its paths are the same.

    Args:
        root: What the document is called, for errors.
        entries: A path with dots, or None for the document itself, and what stands there.

    Raises:
        EventError: `TOO_DEEP` for a path of more steps than any event may have, `WRONG_TYPE` for a
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
            raise EventError(RejectCode.WRONG_TYPE, json_path([root]), "expected an object")
    return {key: _with_arrays(child, MAX_ARRAY_LEVELS) for key, child in document.items()}


def _split(root: str, path: str) -> list[str]:
    if path.count(".") < _MAX_STEPS:
        return path.split(".")
    steps = path.split(".", _MAX_STEPS)[:_MAX_STEPS]
    detail = f"a path of more than {_MAX_STEPS} steps, which is nested too deep"
    raise EventError(RejectCode.TOO_DEEP, json_path([root, *steps]), detail)


def _put(place: dict[str, Any], key: str, node: object) -> None:
    if isinstance(node, dict) and isinstance(place.get(key), dict):
        for inner, child in node.items():
            _put(place[key], inner, child)
    else:
        place[key] = node


def _with_arrays(node: object, left: int) -> object:
    """Return a node with arrays in place of what looks like them, at most so many levels of them."""
    if not isinstance(node, dict):
        return node
    positions = [str(position) for position in range(len(node))]
    if left and node and node.keys() == set(positions):
        return [_with_arrays(node[position], left - 1) for position in positions]
    return {key: _with_arrays(child, left) for key, child in node.items()}
