"""The parameters of a URL: each one known, none lost, none twice where it takes one value.

    arguments = Arguments(request.scope["query_string"], one=["limit", "sql"], many=["where"])
    arguments.count("limit", usual=50, most=200), arguments.texts("where")

A name that is misspelt would otherwise be a filter that is not applied.
"""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from urllib.parse import parse_qsl

from afterword_consumers.api.errors import ApiError, ErrorCode

_FLAGS = {"true": True, "false": False}


class Arguments:
    """The parameters of one request.

    Args:
        query_string: As it came.
        one: Names that take one value.
        many: Names that may be repeated.

    Raises:
        ApiError: 400 for a name that is in neither, a value too many, or what is not valid UTF-8.
    """

    def __init__(
        self, query_string: bytes, *, one: Sequence[str], many: Sequence[str] = ()
    ) -> None:
        self._found: dict[str, list[str]] = {}
        for name, value in _pairs(query_string):
            if name not in {*one, *many}:
                raise _unknown(name, [*one, *many])
            self._found.setdefault(name, []).append(value)
        for name in one:
            if len(self._found.get(name, ())) > 1:
                raise ApiError(
                    400,
                    ErrorCode.REPEATED_PARAMETER,
                    f"{name} takes one value.",
                    "Leave the others out.",
                )

    def __contains__(self, name: str) -> bool:
        return name in self._found

    def items(self) -> list[tuple[str, list[str]]]:
        """Return all that was given."""
        return [(name, list(values)) for name, values in self._found.items()]

    def text(self, name: str) -> str | None:
        """Return a value, None where it was not given."""
        return self._found.get(name, [None])[0]

    def texts(self, name: str) -> tuple[str, ...]:
        """Return all values of a name, in their order."""
        return tuple(self._found.get(name, ()))

    def flag(self, name: str) -> bool:
        """Return whether a name was given as `true`; `ApiError` 400 for neither true nor false."""
        given = self.text(name)
        if given is None:
            return False
        if given not in _FLAGS:
            raise _invalid(name, f"Write {name}=true, or leave it out.")
        return _FLAGS[given]

    def count(self, name: str, *, usual: int, most: int) -> int:
        """Return a whole number from 1 to `most`; `ApiError` 400 for anything else."""
        given = self.text(name)
        if given is None:
            return usual
        if not re.fullmatch(r"[0-9]{1,9}", given, re.ASCII) or not 1 <= int(given) <= most:
            raise _invalid(name, f"Write a number from 1 to {most}.")
        return int(given)


def _pairs(query_string: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query_string.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise ApiError(
            400,
            ErrorCode.INVALID_UTF8,
            "The URL is not valid UTF-8.",
            "Write %C3%BC for ü, for example.",
        ) from None


def _unknown(name: str, known: list[str]) -> ApiError:
    near = get_close_matches(name[:64].casefold(), known, n=1, cutoff=0.5)
    taken = f"It takes {', '.join(known)}."
    hint = f"Did you mean {near[0]}? {taken}" if near else taken
    return ApiError(400, ErrorCode.UNKNOWN_PARAMETER, f"There is no parameter {name!r} here.", hint)


def _invalid(name: str, hint: str) -> ApiError:
    return ApiError(400, ErrorCode.INVALID_PARAMETER, f"{name} is not of its form.", hint)
