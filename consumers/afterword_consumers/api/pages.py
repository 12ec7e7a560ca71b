"""Pages of a long list: each names where the next one begins.

    after = read_cursor(arguments.text("cursor"), str, int)     # a tuple, or None for the first page
    page = Page.of(found, limit)                                # each of them knows its place

A cursor is a place in the order, not a number of rows: what comes in meanwhile moves nothing but itself.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, Self, TypeVar
from uuid import UUID

from afterword_consumers.api.errors import ApiError, ErrorCode
from afterword_schemas.json_text import is_too_deep

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_MAX_INT64: Final = 2**63 - 1


class Placed(Protocol):
    """Stands in an order."""

    @property
    def place(self) -> "DataclassInstance":
        """Where: a dataclass of text and whole numbers."""


_Item = TypeVar("_Item", bound=Placed)


@dataclass(frozen=True, slots=True)
class Page(Generic[_Item]):
    """A page.

    Attributes:
        items: What is on it.
        next: The cursor of the next one; None on the last.
    """

    items: Sequence[_Item]
    next: str | None

    @classmethod
    def of(cls, found: Sequence[_Item], limit: int) -> Self:
        """Make a page of what was found with one more than `limit`, which shows that there is more."""
        if len(found) <= limit:
            return cls(found, None)
        items = found[:limit]
        raw = json.dumps(astuple(items[-1].place)).encode()
        return cls(items, urlsafe_b64encode(raw).decode().rstrip("="))


def read_cursor(cursor: str | None, *types: type[str | int | UUID]) -> tuple[Any, ...] | None:
    """Return the place that a cursor names, a value of each of the types; a UUID as text.

    Raises:
        ApiError: 400 where no page has given that cursor.
    """
    if cursor is None:
        return None
    place = _decode(cursor)
    if len(place) != len(types) or not all(map(_fits, place, types)):
        raise ApiError(
            400,
            ErrorCode.INVALID_CURSOR,
            "No page of this list has given this cursor.",
            "Take next of the page before, or leave cursor out for the first page.",
        )
    return tuple(place)


def _decode(cursor: str) -> list[Any]:
    """Return what is in a cursor; nothing where it is none."""
    try:
        raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        place = None if is_too_deep(raw) else json.loads(raw)
    except ValueError:
        return []
    return place if isinstance(place, list) else []


def _fits(each: object, kind: type[str | int | UUID]) -> bool:
    if kind is int:
        return type(each) is int and 0 <= each <= _MAX_INT64
    if not isinstance(each, str):
        return False
    try:
        each.encode()
        # Python reads more forms of a UUID than ClickHouse does; pages give only this one.
        return kind is str or str(UUID(each)) == each
    except ValueError:  # no UUID, or half of a surrogate pair
        return False
