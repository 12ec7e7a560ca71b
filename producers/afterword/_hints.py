"""Hints in the log, each once a process, at events that are stored and do not say what they seem to.

hint(event)     # "feedback.rating is text …" for {"feedback": {"rating": "up"}}
"""

import logging
from typing import Final

from afterword_schemas.event import Event

_log = logging.getLogger("afterword")
_given: set[str] = set()

_RATING: Final = (
    "feedback.rating is text. It is stored, but it is not a vote: `afterword query thumbs` counts a value"
    " other than 0, or a rating of true or false. Call client.rate(up=True) or client.rate(up=False)."
    " This is said once."
)


def hint(event: Event) -> None:
    """Say what an event most likely means to say otherwise."""
    rating = None if event.feedback is None else event.feedback.get("rating")
    if type(rating) is str and event.value is None and event.source == "explicit":
        _say_once(_RATING)


def _say_once(text: str) -> None:
    if text not in _given:
        _given.add(text)
        _log.warning(text)
