"""Open the nested parts of an event into dotted paths, one map a type.

    {"feedback": {"step1": {"retry": false}, "edits": [{"value": "Oslo"}]}}
        becomes
    booleans {"feedback.step1.retry": false}, strings {"feedback.edits.0.value": "Oslo"}

Every boolean, number and string gives exactly one path; `null`, `{}` and `[]` give none. A `.` in
a key becomes `%2E` and a `%` becomes `%25`, so no two values of a document share a path, and two
documents share one only where they have the same keys and positions. The pass is deterministic and
pure, and goes no deeper than the limits, whatever the input.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn
from weakref import ref

from afterword_schemas.errors import InvalidEventError, RejectCode
from afterword_schemas.limits import (
    MAX_ARRAY_LEVELS,
    MAX_INTEGER,
    MAX_LEAVES,
    MAX_OBJECT_LEVELS,
    MAX_PATH_BYTES,
    MIN_INTEGER,
)

_MAX_FLOAT: Final = 1.7976931348623157e308
_MAX_CACHED_BYTES: Final = 32 * 1024 * 1024
_PATH_BYTES: Final = 150
"""Of a cached path, besides its text and its key's."""

_PLACE_BYTES: Final = 600
"""Of a cached container, besides its path."""

_LONG_ARRAY: Final = 100


@dataclass(slots=True)
class Leaves:
    """The values of one event by dotted path and type.

    Attributes:
        numbers: Finite floats and 64-bit integers.
        booleans: True and false.
        strings: Text as it came, also where it looks like a date or a number.
        keys: How many object keys were met, those without a leaf included.
    """

    numbers: dict[str, float] = field(default_factory=dict)
    booleans: dict[str, bool] = field(default_factory=dict)
    strings: dict[str, str] = field(default_factory=dict)
    keys: int = 0

    def __len__(self) -> int:
        return len(self.numbers) + len(self.booleans) + len(self.strings)


def flatten(roots: Mapping[str, object]) -> Leaves:
    """Flatten the roots of an event, such as `feedback` and `metadata`.

    >>> flatten({"metadata": {"model": "m1", "tags": ["a", {"b.c": 1}], "note": None}})
    Leaves(numbers={'metadata.tags.1.b%2Ec': 1}, booleans={}, strings={'metadata.model': 'm1', \
'metadata.tags.0': 'a'}, keys=4)

    Args:
        roots: The root's name to its object; a root that is None is passed over. Not changed.

    Raises:
        InvalidEventError: `TOO_DEEP`, `TOO_MANY_LEAVES`, `PATH_TOO_LONG`, `NOT_FINITE`, `OUT_OF_RANGE`
            for an integer beyond 64 bits, `WRONG_TYPE` for what is not JSON.
    """
    leaves = Leaves()
    for name, root in roots.items():
        if root is not None:
            flatten_root(name, root, leaves)
    return leaves


def flatten_root(name: str, root: object, into: Leaves) -> None:
    """Flatten one root into leaves that others may have begun; errors as for `flatten`."""
    if _names.size > _MAX_CACHED_BYTES:
        _names.forget()
    place = _names.roots[name]
    if not isinstance(root, dict):
        raise InvalidEventError(RejectCode.WRONG_TYPE, place.json_path(), "expected an object")
    _open_object(root, place, MAX_OBJECT_LEVELS, MAX_ARRAY_LEVELS, into)
    if len(into.numbers) + len(into.booleans) + len(into.strings) > MAX_LEAVES:
        _reject_leaf_count()


def escape_key(key: str) -> str:
    """Return a key as one step of a dotted path.

    >>> escape_key("gpt-4.1 (50%)")
    'gpt-4%2E1 (50%25)'
    """
    return key.replace("%", "%25").replace(".", "%2E")


def unescape_key(step: str) -> str:
    """Return the key that `escape_key` made a step of.

    >>> unescape_key("gpt-4%2E1 (50%25)")
    'gpt-4.1 (50%)'
    """
    return step.replace("%2E", ".").replace("%25", "%") if "%" in step else step


def array_paths(name: str, root: object) -> list[str]:
    """List the dotted paths at which a root that was flattened without error holds arrays.

    >>> array_paths("feedback", {"edits": [{"tags": []}], "liked": True})
    ['feedback.edits', 'feedback.edits.0.tags']
    """
    found: list[str] = []
    _collect_arrays(root, name, found)
    return found


class _Place(dict[str | int, str]):
    """An object of some event shape; maps each key met there to its dotted path.

    Events of a service share few shapes, so joining, escaping and measuring a path is done once
    and then is one dictionary look-up. `objects` and `arrays` lead to the places of nested containers.

    Only weak references lead back, so that forgotten places are freed at once: the worker runs without
    the garbage collector. A place is used only while those around it are on the stack.
    """

    __slots__ = ("__weakref__", "arrays", "key", "objects", "parent", "path")

    def __init__(self, parent: "ref[_Place] | None", key: str | int, path: str) -> None:
        super().__init__()
        self.parent, self.key, self.path = parent, key, path
        self.objects = _Places(ref(self), _Place)
        self.arrays = _Places(ref(self), _Array)

    def __missing__(self, key: str | int) -> str:
        path = f"{self.path}.{self.step(key)}"
        try:
            size = len(path.encode())
        except UnicodeEncodeError:
            detail = "a key holds half of a surrogate pair"
            raise InvalidEventError(RejectCode.INVALID_UNICODE, self.json_path(), detail) from None
        if size > MAX_PATH_BYTES:
            detail = f"a key here makes a path of {size} bytes, more than {MAX_PATH_BYTES}"
            raise InvalidEventError(RejectCode.PATH_TOO_LONG, self.json_path(), detail)
        self[key] = path
        _names.size += _PATH_BYTES + 2 * size
        return path

    def step(self, key: str | int) -> str:
        """Write a key as one step of a path."""
        if not isinstance(key, str):
            detail = "a key that is not text; JSON objects have text keys only"
            raise InvalidEventError(RejectCode.WRONG_TYPE, self.json_path(), detail)
        return escape_key(key)

    def json_path(self, *keys: str | int) -> str:
        """Say where this place, or a key in it, is, as `$.feedback.tags[3]`."""
        steps = [*keys]
        place: _Place | None = self
        while place is not None:
            steps.insert(0, place.key)
            place = place.parent() if place.parent else None
        return json_path(steps)


class _Array(_Place):
    """An array of some event shape; maps each position to its dotted path."""

    __slots__ = ()

    def step(self, key: str | int) -> str:
        return str(key)


class _Places(dict[str | int, _Place]):
    """The places of the containers of one kind nested in one place, made when first met."""

    __slots__ = ("kind", "parent")

    def __init__(self, parent: ref[_Place], kind: type[_Place]) -> None:
        super().__init__()
        self.parent, self.kind = parent, kind

    def __missing__(self, key: str | int) -> _Place:
        parent = self.parent()
        assert parent is not None  # noqa: S101  # it is on the stack
        place = self[key] = self.kind(self.parent, key, parent[key])
        _names.size += _PLACE_BYTES
        return place


class _Roots(dict[str, _Place]):
    def __missing__(self, name: str) -> _Place:
        place = self[name] = _Place(None, name, name)
        return place


class _Names:
    """All places met, forgotten together when they take too much memory: `size` is about how many bytes."""

    __slots__ = ("roots", "size")

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.roots = _Roots()
        self.size = 0


_names = _Names()


def json_path(steps: list[str | int]) -> str:
    """Write keys and positions as a JSONPath.

    >>> json_path(["feedback", "tags", 3, "a.b"])
    '$.feedback.tags[3]["a.b"]'
    """
    return "$" + "".join(_step(step) for step in steps)


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    if len(step) > MAX_PATH_BYTES:  # no event with this key is accepted
        step, cut = step[:MAX_PATH_BYTES], "…"
    else:
        cut = ""
    if step.isidentifier():
        return f".{step}{cut}"
    return f'[{_quote(step)[:-1]}{cut}"]'


def _quote(key: str) -> str:
    """Write a key as JSON does; half of a surrogate pair, which UTF-8 cannot hold, escaped."""
    return json.dumps(key, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()


def _open_object(
    node: dict[str, object], place: _Place, objects: int, arrays: int, into: Leaves
) -> None:
    """Flatten an object; `objects` and `arrays` are the levels that may still follow."""
    into.keys += len(node)
    # The three types of nearly all leaves come first and in line: this loop is the worker's
    # hottest, and a call a leaf costs as much as the look-up.
    for key, leaf in node.items():
        kind = type(leaf)
        if kind is str:
            into.strings[place[key]] = leaf  # type: ignore[assignment]  # `kind` says so
        elif kind is bool:
            into.booleans[place[key]] = leaf  # type: ignore[assignment]  # `kind` says so
        elif kind is float and -_MAX_FLOAT <= leaf <= _MAX_FLOAT:  # type: ignore[operator]  # `kind` says so
            # Plus nothing makes 0 of -0: they are one number, but JSON and text tell them apart.
            into.numbers[place[key]] = leaf + 0.0  # type: ignore[operator]  # `kind` says so
        elif leaf is not None:
            _open_other(leaf, place, key, objects, arrays, into)


def _open_other(  # noqa: PLR0912, PLR0917  # a branch a type; positional: called so often
    leaf: object, place: _Place, key: str | int, objects: int, arrays: int, into: Leaves
) -> None:
    """Flatten one value of any type found under a key or position of a place."""
    match leaf:
        case None:
            pass
        case str():
            into.strings[place[key]] = leaf
        case bool():
            into.booleans[place[key]] = leaf
        case int():
            if not MIN_INTEGER <= leaf <= MAX_INTEGER:
                detail = "an integer beyond 64 bits; send it as a string to keep it exact"
                raise InvalidEventError(RejectCode.OUT_OF_RANGE, place.json_path(key), detail)
            into.numbers[place[key]] = leaf
        case float():
            if not -_MAX_FLOAT <= leaf <= _MAX_FLOAT:
                detail = "NaN and infinities are not stored; leave the value out"
                raise InvalidEventError(RejectCode.NOT_FINITE, place.json_path(key), detail)
            into.numbers[place[key]] = leaf + 0.0
        case dict():
            if not objects:
                detail = f"objects nested more than {MAX_OBJECT_LEVELS} levels deep"
                raise InvalidEventError(RejectCode.TOO_DEEP, place.json_path(key), detail)
            if leaf:
                if into.keys > MAX_LEAVES and len(into) > MAX_LEAVES:
                    _reject_leaf_count()
                _open_object(leaf, place.objects[key], objects - 1, arrays, into)
        case list():
            if not arrays:
                detail = f"arrays nested more than {MAX_ARRAY_LEVELS} levels deep"
                raise InvalidEventError(RejectCode.TOO_DEEP, place.json_path(key), detail)
            if len(leaf) > _LONG_ARRAY:
                _open_long_array(leaf, place.arrays[key], objects, arrays - 1, into)
            elif leaf:
                inner = place.arrays[key]
                for position, item in enumerate(leaf):
                    _open_other(item, inner, position, objects, arrays - 1, into)
        case _:
            detail = f"{type(leaf).__name__} is not a JSON type; send text, a number or a boolean"
            raise InvalidEventError(RejectCode.WRONG_TYPE, place.json_path(key), detail)


def _open_long_array(
    node: list[object], place: _Place, objects: int, arrays: int, into: Leaves
) -> None:
    """Flatten an array, and stop before half a million paths are made for nothing."""
    for position, item in enumerate(node):
        _open_other(item, place, position, objects, arrays, into)
        if position % _LONG_ARRAY == 0 and len(into) > MAX_LEAVES:
            _reject_leaf_count()


def _reject_leaf_count() -> NoReturn:
    detail = f"more than {MAX_LEAVES} values in one event"
    raise InvalidEventError(RejectCode.TOO_MANY_LEAVES, "$", detail)


def _collect_arrays(node: object, path: str, found: list[str]) -> None:
    if isinstance(node, dict):
        for key, child in node.items():
            _collect_arrays(child, f"{path}.{escape_key(key)}", found)
    elif isinstance(node, list):
        found.append(path)
        for position, child in enumerate(node):
            _collect_arrays(child, f"{path}.{position}", found)
