"""Two texts word by word: what was taken out, what was put in.

diff_words("feedback.edits.0.value", "due on receipt", "due within 14 days").parts
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

_MAX_WORDS: Final = 600
"""Of each text: beyond, the time to compare them grows past what a page may take."""

_WORD: Final = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Diff:
    """A correction.

    Attributes:
        path: Of the corrected text.
        parts: `same`, `del` or `ins`, and the words.
        removed: How many words.
        added: How many.
        kept: How many.
    """

    path: str
    parts: Sequence[tuple[str, str]]
    removed: int
    added: int
    kept: int


def diff_words(path: str, before: str, after: str) -> Diff:
    """Return what became of a text; of very long ones the beginning.

    >>> diff_words("p", "due on receipt", "due in May").parts
    [('same', 'due'), ('del', 'on receipt'), ('ins', 'in May')]
    """
    old, new = (_WORD.findall(text)[:_MAX_WORDS] for text in (before, after))
    parts: list[tuple[str, str]] = []
    counts = {"same": 0, "del": 0, "ins": 0}
    for _, first, last, start, end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        sides = (
            [("same", old[first:last])]
            if old[first:last] == new[start:end]
            else [("del", old[first:last]), ("ins", new[start:end])]
        )
        for kind, words in sides:
            if words:
                parts.append((kind, " ".join(words)))
                counts[kind] += len(words)
    return Diff(path, parts, counts["del"], counts["ins"], counts["same"])
