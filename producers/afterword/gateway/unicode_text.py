r"""Text that UTF-8 cannot hold: taken as it comes, and refused only where it is used.

A cut emoji, or a byte of another encoding, in a part that is dropped is nobody's loss.

>>> to_json({"feedback": {"comment": decode_leniently(b"caf\xe9")}})
Traceback (most recent call last):
afterword_schemas.errors.InvalidEventError: the text is not valid UTF-8 [invalid_utf8 at $.feedback.comment]
"""

import json
import re
from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

from afterword_schemas.errors import InvalidEventError, RejectCode
from afterword_schemas.flatten import json_path


class _Place(NamedTuple):
    """Where a value stands; joined to a path only for the one that is refused."""

    parent: "_Place | None"
    step: str | int


_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_BYTE: Final = re.compile("[\udc80-\udcff]")
_BYTE_TWICE: Final = re.compile("([\udc80-\udcff])\\1")


def decode_leniently(raw: bytes) -> str:
    """Return a text in which a byte that is not UTF-8 is half of a surrogate pair, twice.

    Twice tells it from the half that an escape of JSON may stand for.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return _BYTE.sub(r"\g<0>\g<0>", raw.decode(errors="surrogateescape"))


def check_text(text: str, path: str) -> None:
    """Refuse a text that UTF-8 cannot hold.

    Args:
        text: Of `decode_leniently`, or of JSON in it.
        path: Where it stands.

    Raises:
        InvalidEventError: `INVALID_UTF8` or `INVALID_UNICODE`.
    """
    if _BYTE_TWICE.search(text):
        raise InvalidEventError(RejectCode.INVALID_UTF8, path, "the text is not valid UTF-8")
    if _SURROGATE.search(text):
        detail = "the text holds half of a surrogate pair; was an emoji cut in two?"
        raise InvalidEventError(RejectCode.INVALID_UNICODE, path, detail)


def to_json(event: object) -> str:
    """Write an event in UTF-8, not in escapes, because its size in bytes is limited.

    Raises:
        InvalidEventError: UTF-8 cannot hold a text or key in it; with its place.
    """
    text = json.dumps(event, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        for found, place in _texts(event):
            if _SURROGATE.search(found):
                check_text(found, json_path(_steps(place)))
    return text


def _texts(event: object) -> Iterator[tuple[str, _Place | None]]:
    """Yield all texts of an event, the outermost first; a key has the place of its object."""
    waiting: deque[tuple[object, _Place | None]] = deque([(event, None)])
    while waiting:
        node, place = waiting.popleft()
        if isinstance(node, str):
            yield node, place
        elif isinstance(node, dict):
            for key, child in node.items():
                yield key, place
                waiting.append((child, _Place(place, key)))
        elif isinstance(node, list):
            for position, child in enumerate(node):
                waiting.append((child, _Place(place, position)))


def _steps(place: _Place | None) -> list[str | int]:
    steps: list[str | int] = []
    while place is not None:
        steps.insert(0, place.step)
        place = place.parent
    return steps
