"""What a person may have meant by a path that no feedback has."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

_MAX: Final = 5
_CUTOFF: Final = 0.7


def suggest(path: str, known_paths: Iterable[str]) -> list[str]:
    """Return up to five known paths that look like a path, the likeliest first.

    A path of the same last step under another root or parent counts as alike.

    >>> suggest("feedback.scor", ["feedback.score", "metrics.scor", "metadata.model"])
    ['metrics.scor', 'feedback.score']
    """
    known = sorted(set(known_paths) - {path})
    by_folded: dict[str, list[str]] = {}
    for each in known:
        by_folded.setdefault(each.casefold(), []).append(each)
    last = path.casefold().rpartition(".")[2]
    same_case = by_folded.get(path.casefold(), [])
    same_step = [each for each in known if each.casefold().rpartition(".")[2] == last]
    close = get_close_matches(path.casefold(), by_folded, n=_MAX, cutoff=_CUTOFF)
    alike = [each for folded in close for each in by_folded[folded]]
    return list(dict.fromkeys([*same_case, *same_step, *alike]))[:_MAX]
