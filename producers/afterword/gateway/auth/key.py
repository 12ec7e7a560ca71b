"""What is known of a key, its secret aside, and the rules that every key keeps.

    key = new_key("support-bot", [Scope.PUBLISH], origins=["https://app.example.com"])

The rules hold for keys that a person wrote into the file, too: it is read through the same types.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    PlainSerializer,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from afterword._encode import encode
from afterword._identity import new_id, now
from afterword.gateway.auth.origins import read_origin
from afterword_schemas.errors import ConfigurationError, InvalidEventError

EVENTS_PER_MINUTE: Final = 600
"""Limit of a publish key that names none: an office behind one address, not one person."""

_ID_LETTERS: Final = "abcdefghijkmnpqrstuvwxyz23456789"  # none that looks like another
_ID_LENGTH: Final = 10


class Scope(StrEnum):
    """What a key may do."""

    PUBLISH = "publish"
    """Send events from a web page, where everybody can read the key."""

    WRITE = "write"
    """Send events from a service."""

    READ = "read"
    """Ask what became of events."""


def _check_project(given: str) -> str:
    try:
        encode({"feedback_id": new_id(), "project": given, "op": "clear"})
    except InvalidEventError as error:
        raise ValueError(error.detail) from None
    return given


@dataclass(frozen=True, slots=True)
class Key:
    """A key, without its secret.

    Attributes:
        key_id: The part of the secret that names it.
        project: The one whose events it may send and read.
        scopes: `PUBLISH` alone, or any others.
        origins: Of the web pages that a publish key is for, as in the `Origin` header; `*` is all.
        events_per_minute: That each client address may send with a publish key; 0 for other keys,
            which are not limited.
        note: The operator's.
        created_at: RFC 3339.
        revoked_at: Likewise; None while it is live.
    """

    key_id: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,64}$")]
    project: Annotated[str, AfterValidator(_check_project)]
    scopes: Annotated[frozenset[Scope], PlainSerializer(sorted)]
    origins: tuple[Annotated[str, AfterValidator(read_origin)], ...]
    events_per_minute: int
    note: Annotated[str, StringConstraints(max_length=1_000)]
    created_at: str
    revoked_at: str | None


def _check_key(key: Key) -> Key:
    if not key.scopes:
        raise ValueError("a key takes at least one scope")
    if Scope.PUBLISH not in key.scopes:
        if key.origins or key.events_per_minute:
            raise ValueError("only a publish key takes origins and a limit of events")
        return key
    if len(key.scopes) > 1:
        raise ValueError("a publish key takes no other scope: whoever sees the page can read it")
    if not key.origins:
        raise ValueError("a publish key takes at least one origin, such as https://app.example.com")
    if key.events_per_minute < 1:
        raise ValueError("a publish key takes at least 1 event a minute")
    return key


CheckedKey = Annotated[Key, AfterValidator(_check_key)]
"""A `Key` that keeps the rules, for pydantic."""

_KEY: Final = TypeAdapter[Key](CheckedKey)


def new_key(
    project: str,
    scopes: Iterable[Scope],
    *,
    origins: Iterable[str] = (),
    events_per_minute: int | None = None,
    note: str = "",
) -> Key:
    """Return a live key with an id of its own; a publish key gets a limit in any case.

    Raises:
        ConfigurationError: Project, scopes, origins and limit do not fit.
    """
    granted = frozenset(scopes)
    usual = EVENTS_PER_MINUTE if Scope.PUBLISH in granted else 0
    fields = {
        "key_id": "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH)),
        "project": project,
        "scopes": granted,
        "origins": tuple(origins),
        "events_per_minute": usual if events_per_minute is None else events_per_minute,
        "note": note,
        "created_at": now(),
        "revoked_at": None,
    }
    try:
        return _KEY.validate_python(fields)
    except ValidationError as error:
        sentence = first_fault(error)
        raise ConfigurationError(f"{sentence[0].upper()}{sentence[1:]}.") from None


def first_fault(error: ValidationError) -> str:
    """Return what is wrong in the words of the rule that was broken first."""
    fault = error.errors(include_url=False, include_input=False)[0]
    return fault["msg"].removeprefix("Value error, ")
