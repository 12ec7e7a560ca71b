"""In which form a client wants its answer: the `Accept` header, read as RFC 9110 says.

choose("text/csv, application/json;q=0.5", ["application/json", "text/csv"])    # "text/csv"
"""

import re
from collections.abc import Sequence
from typing import Final

_QUALITY: Final = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


def choose(accept: str, offered: Sequence[str]) -> str | None:
    """Return the form that a client likes best, the first one offered where it likes several alike.

    Args:
        accept: The header; empty for a client that says nothing.
        offered: Media types in lower case, the usual one first.

    Returns:
        One of `offered`, or None if the client takes none of them.
    """
    ranges = [_range(part) for part in accept.lower().split(",") if part.strip()]
    if not ranges:
        return offered[0]
    liked = {kind: _quality(kind, ranges) for kind in offered}
    best = max(offered, key=liked.__getitem__)
    return best if liked[best] > 0 else None


def _range(part: str) -> tuple[str, float]:
    kind, *parameters = (piece.strip() for piece in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            good = _QUALITY.fullmatch(value.strip())
            return kind, float(value) if good else 0.0
    return kind, 1.0


def _quality(kind: str, ranges: Sequence[tuple[str, float]]) -> float:
    """Return the quality that the most specific range gives a type."""
    main = kind.partition("/")[0]
    for pattern in (kind, f"{main}/*", "*/*"):
        found = [quality for each, quality in ranges if each == pattern]
        if found:
            return max(found)
    return 0.0
