"""The index of paths: what can be asked about, kept up by the worker as events pass.

    for path_seen in index.observe("acme", leaves, now_ms): ...

A path is written when it is first seen, before the row that has it, and again every `REFRESH_MS` while
it is in use, which moves `last_seen` on. Nothing ever scans the events for it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from afterword_schemas import Leaves

REFRESH_MS: Final = 600_000
"""How stale `last_seen` may be."""

_MAX_REMEMBERED_BYTES: Final = 64 * 1024 * 1024
_OBJECT_BYTES: Final = 250
"""Of what is seen of a path, besides its texts, and more than that of a path or a project that is remembered."""

_MAX_EXAMPLE_LETTERS: Final = 80


@dataclass(frozen=True, slots=True)
class PathSeen:
    """One row of `feedback_paths`.

    Attributes:
        type: `boolean`, `number` or `string`.
        seen_ms: Milliseconds since 1970.
        example: A value as text; long ones are cut.
    """

    project: str
    path: str
    type: str
    seen_ms: int
    example: str

    @property
    def size(self) -> int:
        """About how many bytes it takes in memory."""
        return _OBJECT_BYTES + len(self.path) + len(self.example)


class PathIndex:
    """Remembers which paths were written lately; bounded, and only ever a reason to write again."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], set[str]] = {}
        self._remembered_bytes = 0
        self._since_ms = 0

    def observe(
        self, project: str, leaves: Leaves, now_ms: int, value: float | None = None
    ) -> list[PathSeen]:
        """Return what the leaves of an event, and its `value`, show that was not written lately."""
        if now_ms - self._since_ms > REFRESH_MS or self._remembered_bytes > _MAX_REMEMBERED_BYTES:
            self.forget(now_ms)
        fresh: list[PathSeen] = []
        for kind, found in (
            ("boolean", leaves.booleans),
            ("number", leaves.numbers),
            ("string", leaves.strings),
        ):
            seen = self._seen.get((project, kind))
            if seen is None:
                seen = self._seen[project, kind] = set()
                self._remembered_bytes += _OBJECT_BYTES
            # In C for the whole map: nearly always, nothing is new.
            if not found.keys() <= seen:
                new = found.keys() - seen
                fresh += _paths_seen(project, kind, found, new, now_ms)
                self._remembered_bytes += sum(map(len, new)) + _OBJECT_BYTES * len(new)
                seen.update(new)
        if value is not None and "value" not in (numbers := self._seen[project, "number"]):
            numbers.add("value")
            fresh.append(PathSeen(project, "value", "number", now_ms, str(int(value))))
        return fresh

    def forget(self, now_ms: int) -> None:
        """Forget all, so that every path in use is written again."""
        self._seen.clear()
        self._remembered_bytes = 0
        self._since_ms = now_ms


def _paths_seen(
    project: str, kind: str, found: Mapping[str, object], new: Iterable[str], now_ms: int
) -> list[PathSeen]:
    return [PathSeen(project, path, kind, now_ms, _example(found[path])) for path in sorted(new)]


def _example(leaf: object) -> str:
    if isinstance(leaf, bool):
        return "true" if leaf else "false"
    text = str(leaf)
    return text if len(text) <= _MAX_EXAMPLE_LETTERS else text[: _MAX_EXAMPLE_LETTERS - 1] + "…"
