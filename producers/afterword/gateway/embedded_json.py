"""JSON within a JSON string, as some vendors send objects.

>>> read_object('{"_user": "u-19"}', "metadata")
{'_user': 'u-19'}
"""

import json
from typing import Any, NoReturn

from afterword_schemas.duplicates import find_duplicate_key
from afterword_schemas.errors import EventError, RejectCode
from afterword_schemas.flatten import json_path


def read_object(text: str, name: str) -> dict[str, Any]:
    """Return the object that a text holds.

    Args:
        text: Its JSON.
        name: The field it stands in, for the errors.

    Raises:
        EventError: The text is no JSON, or no object, or one that cannot be read whole.
    """
    place = json_path([name])
    try:
        found = json.loads(text, parse_constant=_refuse_constant)
        find_duplicate_key(text.encode())
    except json.JSONDecodeError:
        detail = f"{name} is text that is no JSON; send an object"
        raise EventError(RejectCode.INVALID_JSON, place, detail) from None
    except UnicodeEncodeError:
        detail = "half of a surrogate pair"
        raise EventError(RejectCode.INVALID_UNICODE, place, detail) from None
    except ValueError:  # an integer of more digits than Python reads
        detail = "an integer beyond 64 bits; send it as a string to keep it exact"
        raise EventError(RejectCode.OUT_OF_RANGE, place, detail) from None
    except RecursionError:
        raise EventError(RejectCode.TOO_DEEP, place, "nested far too deep") from None
    except EventError as error:
        raise EventError(error.code, place + error.path[1:], error.detail) from None
    if not isinstance(found, dict):
        detail = f"{name} takes an object, or the JSON text of one"
        raise EventError(RejectCode.NOT_AN_OBJECT, place, detail)
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise json.JSONDecodeError("no JSON", name, 0)
