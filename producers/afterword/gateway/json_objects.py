"""Read one JSON object whole: a body of a vendor's SDK, or what it wrote into a string.

>>> read_object('{"_user": "u-19"}', "$.metadata")
{'_user': 'u-19'}
"""

import json
from typing import Any

from afterword_schemas.duplicates import find_duplicate_key
from afterword_schemas.errors import InvalidEventError, RejectCode
from afterword_schemas.json_text import is_text_too_deep, too_deep


def read_object(text: str, path: str) -> dict[str, Any]:
    """Return the object that a text holds; NaN in it is left to `read_event`, which refuses it.

    Args:
        text: Its JSON.
        path: Where the text stands, for the errors.

    Raises:
        InvalidEventError: The text is not valid JSON, or no object, or one that cannot be read whole.
    """
    if is_text_too_deep(text):
        raise too_deep(path)
    try:
        found = json.loads(text, object_pairs_hook=_build)
    except json.JSONDecodeError:
        raise InvalidEventError(
            RejectCode.INVALID_JSON, path, "the text is not valid JSON"
        ) from None
    except _DuplicateKeyError:
        raise _locate(text, path) from None
    except ValueError:  # an integer of more digits than Python reads
        detail = "an integer beyond 64 bits; send it as a string to keep it exact"
        raise InvalidEventError(RejectCode.OUT_OF_RANGE, path, detail) from None
    if not isinstance(found, dict):
        raise InvalidEventError(RejectCode.NOT_AN_OBJECT, path, "expected an object")
    return found


class _DuplicateKeyError(Exception):
    """An object names a key twice."""


def _build(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _DuplicateKeyError
    return found


def _locate(text: str, path: str) -> InvalidEventError:
    """Return the error for a key that stands twice, with its place."""
    try:
        find_duplicate_key(text.encode(errors="surrogatepass"))
    except InvalidEventError as error:
        return InvalidEventError(error.code, path + error.path[1:], error.detail)
    return InvalidEventError(RejectCode.DUPLICATE_KEY, path, "an object in it names a key twice")
