"""What was meant by a field that no event has: a word of other systems, or a typo.

>>> explain_unknown("score", ("source", "value"))
'no such field; score belongs under feedback: {"feedback": {"score": …}}'
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final


def explain_unknown(field: str, fields: Sequence[str]) -> str:
    """Return the sentence on an unknown field.

    Args:
        field: As it was written.
        fields: Those that there are.
    """
    word = field[:_MAX_TYPO].lower()
    meant = _WORDS.get(word.replace("_", "").replace("-", ""))
    if meant is None:
        close = get_close_matches(word, fields, n=1, cutoff=_CUTOFF)
        meant = _did_you_mean(close[0]) if close else _FREE_FORM
    return f"no such field; {meant}"


_MAX_TYPO: Final = 64
_CUTOFF: Final = 0.75
"""How alike a typo is, by difflib's ratio: `valeu` and `value` are, `score` and `source` are not."""

_FREE_FORM: Final = "free-form data goes into feedback or metadata"


def _did_you_mean(field: str) -> str:
    return f"did you mean {field}?"


def _under(root: str, key: str, word: str = "") -> str:
    named = f"{word} belongs under {root} as {key}" if word else f"{key} belongs under {root}"
    return f'{named}: {{"{root}": {{"{key}": …}}}}'


_SAID: Final = (
    *("score", "scores", "rating", "ratings", "stars", "liked", "comment", "comments", "reason"),
    *("label", "labels", "tags", "category", "correction", "edits", "ground_truth"),
)
_CONTEXT: Final = ("model", "version", "channel", "latency_ms", "tokens", "cost")
_RESERVED: Final = {
    "_user": ("user", "user_id", "username"),
    "_organisation": ("organisation", "organization", "org"),
    "_prompt": ("prompt", "prompt_id", "prompt_version"),
    "_environment": ("environment", "env"),
}
_OTHER_NAMES: Final = {
    "feedback_id": ("id", "event_id"),
    "trace_id": ("trace", "request_id"),
    "session_id": ("session", "conversation", "conversation_id", "thread_id", "chat_id"),
    "span_id": ("span", "observation_id"),
    "created_at": ("timestamp", "time", "ts", "date"),
}
_VOTES: Final = ("up", "down", "thumb", "thumbs", "vote", "upvote", "downvote")

_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        word.replace("_", ""): meant
        for word, meant in [
            *((word, _under("feedback", word)) for word in _SAID),
            *((word, _under("metadata", word)) for word in _CONTEXT),
            *(
                (word, _under("metadata", key, word))
                for key, words in _RESERVED.items()
                for word in words
            ),
            *(
                (word, _did_you_mean(name))
                for name, words in _OTHER_NAMES.items()
                for word in words
            ),
            *((word, 'a vote is "value": 1 or "value": -1') for word in _VOTES),
        ]
    }
)
"""By what people write, without `_` and in lower case, what to write instead."""
