"""Find an object that names a key twice: parsers keep one of the values and drop the other."""

import json
from typing import NoReturn

from afterword_schemas.errors import InvalidEventError, RejectCode
from afterword_schemas.flatten import json_path


def find_duplicate_key(raw: bytes) -> None:
    """Read an event that was judged valid once more, key by key.

    Raises:
        InvalidEventError: `DUPLICATE_KEY` at the first key that stands twice in its object.
    """
    _walk(json.loads(raw, object_pairs_hook=_Pairs), [])


class _Pairs(list[tuple[str, object]]):
    """An object as it stands in the text, every key kept."""


def _walk(node: object, steps: list[str | int]) -> None:
    if isinstance(node, _Pairs):
        seen: set[str] = set()
        for key, child in node:
            if key in seen:
                _reject([*steps, key])
            seen.add(key)
            _walk(child, [*steps, key])
    elif isinstance(node, list):
        for position, child in enumerate(node):
            _walk(child, [*steps, position])


def _reject(steps: list[str | int]) -> NoReturn:
    detail = "the object names this key twice, and only one of the values could be kept"
    raise InvalidEventError(RejectCode.DUPLICATE_KEY, json_path(steps), detail)
