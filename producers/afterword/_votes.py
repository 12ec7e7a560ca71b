"""Votes: one for each person and subject, which that person's next one replaces.

>>> vote_id("support-bot", "trace", "tr-7f3", "u-19")
'f340cbe0-32d5-5944-a404-1d9aaebf341c'

The id is derived, so every process, in every language, finds the vote that was given before.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal
from uuid import UUID, uuid5

from afterword._identity import require_name
from afterword._signals import without_none
from afterword_schemas.errors import InvalidEventError, RejectCode

VOTE_NAMESPACE: Final = UUID("005a415a-33b6-4bf5-9323-99c2599d1368")
"""Namespace of the UUIDv5 that stands for what is voted on."""

Kind = Literal["trace", "session", "span"]

_KINDS: Final[tuple[Kind, ...]] = ("span", "trace", "session")
"""Where several are named, a vote is about the first of these."""


def vote_id(project: str, kind: Kind, target: str, user: str | int | UUID | None = None) -> str:
    """Return the id of a person's one vote on a trace, session or span; `Client.rate` uses it.

    The subject is the UUIDv5 of `project/kind/target` in `VOTE_NAMESPACE`, which is also the id of a
    vote without a user. A person's id is the UUIDv5 of the user with the subject as namespace.

    Args:
        project: The tenant.
        kind: What is voted on.
        target: Its id, as it stands in the event.
        user: As in `metadata._user`; an integer is the same user as its digits.
    """
    subject = uuid5(VOTE_NAMESPACE, f"{project}/{kind}/{target}")
    person = "" if user is None else str(user)
    return str(uuid5(subject, person) if person else subject)


def find_vote(project: str, fields: Mapping[str, Any]) -> str:
    """Return the id of the vote that an event is, by its target and its user.

    Raises:
        InvalidEventError: It names nothing to vote on, or a name can be no part of an id.
    """
    for kind in _KINDS:
        if (target := fields.get(f"{kind}_id")) is not None:
            return vote_id(project, kind, require_name(f"{kind}_id", target), _user(fields))
    detail = "name what the vote is about: trace_id, session_id or span_id"
    raise InvalidEventError(RejectCode.NO_TARGET, "$", detail)


def _user(fields: Mapping[str, Any]) -> str | None:
    metadata = fields.get("metadata")
    user = metadata.get("_user") if isinstance(metadata, dict) else None
    return None if user is None or user == "" else require_name("metadata._user", user)


def build_vote(
    fields: Mapping[str, Any], *, up: bool | None, user: object, comment: str | None
) -> dict[str, Any]:
    """Return the fields of a vote as those of an event.

    Raises:
        InvalidEventError: It is not said which way the vote goes, or it is said twice.
    """
    built = dict(fields)
    built["value"] = _value(up, fields.get("value"))
    if user is not None:
        metadata = built.get("metadata")
        if metadata is None or isinstance(metadata, dict):
            user = str(user) if isinstance(user, UUID) else user
            built["metadata"] = {**(metadata or {}), "_user": user}
    if comment is not None:
        said = built.get("feedback")
        if said is None or isinstance(said, dict):
            built["feedback"] = {**(said or {}), "comment": comment}
    return without_none(**built)  # what is no dict is left for the event's own check to refuse


def _value(up: object, value: object) -> object:
    if up is None and value is None:
        detail = "a vote needs up or value; unrate() takes a vote back"
        raise InvalidEventError(RejectCode.MISSING_FIELD, "$.value", detail)
    if up is None:
        return value
    if value is not None:
        detail = "up and value both say which way the vote goes; pass one"
        raise InvalidEventError(RejectCode.DUPLICATE_KEY, "$.value", detail)
    if type(up) is not bool:
        raise InvalidEventError(RejectCode.WRONG_TYPE, "$.up", "up takes True or False")
    return 1 if up else -1
