"""What a person may have meant by a path that no feedback has."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Final

from afterword_consumers.query.compile.parameters import Parameters, of_project
from afterword_consumers.query.database import Database
from afterword_schemas.limits import MAX_PATH_BYTES

_MAX: Final = 5
_CUTOFF: Final = 0.7
_LOOKED_AT: Final = 100
"""Paths that are compared letter by letter, which takes too long for a whole catalogue."""

_NAMEABLE: Final = "NOT hasAny(splitByChar('.', path), ['', '*'])"
"""An empty key is no name, and `*` in a question stands for every position of an array."""


def find_near_paths(
    path: str, database: Database, project: str | None, settings: Mapping[str, int | float]
) -> list[str]:
    """Return up to five known paths that look like a path and can be asked, the likeliest first."""
    path = path[:MAX_PATH_BYTES]  # none is longer, and ngramDistance refuses what is much longer
    parameters = Parameters()
    of = of_project(project, parameters)
    asked = parameters.text(path.lower())
    last = parameters.text(path.lower().rpartition(".")[2])
    known = f"SELECT DISTINCT path FROM feedback_paths WHERE {of} AND {_NAMEABLE}"
    alike = f"ORDER BY ngramDistance(lower(path), {asked}), path LIMIT {_LOOKED_AT}"
    sql = (
        f"SELECT path FROM ({known} {alike})\nUNION DISTINCT\n"
        f"SELECT path FROM ({known} AND lower(splitByChar('.', path)[-1]) = {last} {alike})"
    )
    table = database.query(sql, parameters.values, settings)
    return suggest(path, [str(found) for (found,) in table.rows])


def did_you_mean(near: Sequence[str]) -> str:
    """Return a question that offers what may have been meant; empty where nothing is near.

    >>> did_you_mean(["feedback.score", "metrics.score"])
    'Did you mean feedback.score, metrics.score?'
    """
    return f"Did you mean {', '.join(near)}?" if near else ""


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
