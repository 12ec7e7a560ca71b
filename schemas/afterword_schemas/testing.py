"""Hypothesis strategies for whoever makes or reads events; `hypothesis` must be installed.

    @given(events())
    def test_everything_I_send_is_accepted(event: dict[str, Any]) -> None: ...

`documents` makes what may stand in feedback, metadata and metrics; `events` makes whole events that
`read_event` accepts. Both seek out what is hard: keys with dots, escapes, NULs, emoji and digits.
"""

from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

from hypothesis import strategies as st

from afterword_schemas.limits import (
    MAX_ARRAY_LEVELS,
    MAX_INTEGER,
    MAX_OBJECT_LEVELS,
    MAX_TIME_MS,
    MIN_INTEGER,
    MIN_TIME_MS,
)

Json = dict[str, Any]

HARD_KEYS: Final = ("", ".", "%", "%2E", "%252E", "a.b", "a", "b", "0", "1", '"', "\\", "\0", "😀")
"""Keys that an escaping, a parser or a store has got wrong before."""


def keys() -> st.SearchStrategy[str]:
    """Make keys of objects, short enough for any path of them."""
    return st.sampled_from(HARD_KEYS) | st.text(max_size=6)


def leaves() -> st.SearchStrategy[bool | int | float | str]:
    """Make values that are stored under a path."""
    return (
        st.booleans()
        | st.integers(MIN_INTEGER, MAX_INTEGER)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text()
    )


def documents() -> st.SearchStrategy[Json]:
    """Make feedback, metadata or metrics within the limits of nesting, empty containers too."""
    return st.dictionaries(keys(), _values(MAX_OBJECT_LEVELS, MAX_ARRAY_LEVELS), max_size=4)


@st.composite
def events(draw: st.DrawFn) -> Json:
    """Make events of every `op` that `read_event` accepts, as `json.loads` would give them."""
    event: Json = {
        "feedback_id": str(draw(st.uuids())),
        "project": draw(st.text("ABCxyz019._-", min_size=1, max_size=64)),
    }
    op = draw(st.sampled_from(("set", "patch", "clear", None)))
    event |= {"op": op} if op else {}
    event |= draw(_optional(**_TARGETS, **_CONTEXT))
    if op == "clear":
        return event
    event |= draw(_optional(**_SAID, weight=_WEIGHTS, metadata=documents()))
    if not any(event.get(name) for name in _TARGETS):
        event[draw(st.sampled_from(sorted(_TARGETS)))] = draw(_NAMES)
    if event.get("value") is None:
        event["feedback"] = (event.get("feedback") or {}) | {"said": draw(leaves())}
    return event


def _optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries({}, optional=fields)


@cache
def _values(objects: int, arrays: int) -> st.SearchStrategy[Any]:
    found: st.SearchStrategy[Any] = st.none() | leaves()
    if objects:
        found |= st.dictionaries(keys(), _values(objects - 1, arrays), max_size=3)
    if arrays:
        found |= st.lists(_values(objects, arrays - 1), max_size=3)
    return found


_NAMES: Final = st.text(min_size=1, max_size=256)
_WEIGHTS: Final = st.none() | st.floats(0, 1) | st.sampled_from((0, 1))
_TIMES: Final = st.none() | st.integers(MIN_TIME_MS, MAX_TIME_MS - 1).map(
    lambda ms: datetime.fromtimestamp(ms / 1000, UTC).isoformat()
)
_TARGETS: Final = dict.fromkeys(("trace_id", "session_id", "span_id"), st.none() | _NAMES)
_CONTEXT: Final[dict[str, st.SearchStrategy[Any]]] = {
    "source": st.sampled_from(("explicit", "implicit")),
    "created_at": _TIMES,
    "updated_at": _TIMES,
}
_SAID: Final[dict[str, st.SearchStrategy[Any]]] = {
    "value": st.none() | st.integers(-10, 10) | st.integers(-10, 10).map(float),
    "feedback": st.none() | documents(),
    "metrics": st.none() | documents(),
}
