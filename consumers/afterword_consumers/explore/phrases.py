"""Which words and phrases people wrote more often than before.

    for phrase in find_grown_phrases(database, plan, middle=since, limit=8):
        print(phrase.text, phrase.now.part, phrase.before.part)

A phrase is one to four words that stand together in a comment, whatever their case. It is told where more of the comments
have it than before, beyond what chance makes of so many phrases. Of phrases that say the same the longest is told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from afterword_consumers.explore.comments import COMMENT
from afterword_consumers.query import Budget, Database, Plan
from afterword_consumers.query.compile.conditions import conditions
from afterword_consumers.query.compile.parameters import Parameters
from afterword_consumers.query.compile.source import Source
from afterword_consumers.query.database import whole
from afterword_consumers.query.statistics.comparisons import Contrast, compare_shares
from afterword_consumers.query.statistics.intervals import Share

MAX_COMMENTS: Final = 20_000
"""Read of each period, the newest ones."""

LEVEL: Final = 0.05
"""How often chance alone may make one of all the phrases grow."""

MIN_NOW: Final = 5
"""Comments that have a phrase; of fewer there is no telling."""

_MAX_CHARS: Final = 1000
_MAX_PHRASES: Final = 3000
"""Compared, the most frequent ones."""

_SAME: Final = 0.8
"""A phrase within a longer one is left out where so many of its comments have the longer one, too."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase that grew.

    Attributes:
        text: In lower case, its words separated by spaces.
        before: In how many of the comments of the period before.
        now: In how many of this period's.
        contrast: How far the two are apart, in percentage points; its p-value allows for the number of phrases.
    """

    text: str
    before: Share
    now: Share
    contrast: Contrast


def find_grown_phrases(
    database: Database,
    plan: Plan,
    middle: datetime,
    *,
    limit: int,
    budget: Budget | None = None,
) -> list[Phrase]:
    """Return phrases that grew, the one that grew most first.

    Args:
        database: Where to look.
        plan: Its project, filters and period choose the feedback.
        middle: Where the period before ends and this one begins.
        limit: How many at most.
        budget: What the statement may cost.
    """
    parameters = Parameters()
    path = f"strings[{parameters.text(COMMENT)}]"
    where = " AND ".join([f"{path} IS NOT NULL", *conditions(plan, Source(parameters))])
    sql = f"""\
WITH comments AS (
    SELECT
        created_at >= {parameters.moment(middle)} AS is_now,
        extractAll(lowerUTF8(substringUTF8({path}, 1, {_MAX_CHARS})), {parameters.text(_WORD)}) AS words
    FROM feedback_current
    WHERE {where}
    ORDER BY created_at DESC
    LIMIT {MAX_COMMENTS} BY is_now
)
SELECT phrase, countIf(is_now) AS now, countIf(NOT is_now) AS before,
    (SELECT countIf(is_now) FROM comments), (SELECT countIf(NOT is_now) FROM comments)
FROM (SELECT is_now, arrayJoin(arrayDistinct(arrayConcat({_PHRASES}))) AS phrase FROM comments)
GROUP BY phrase
HAVING now >= {MIN_NOW}
ORDER BY now DESC, phrase
LIMIT {_MAX_PHRASES}"""
    rows = database.query(sql, parameters.values, (budget or Budget()).settings()).rows
    looks = len(rows)
    grown = [
        phrase
        for text, now, before, all_now, all_before in rows
        if (
            phrase := _phrase(
                str(text),
                Share(whole(before), whole(all_before)),
                Share(whole(now), whole(all_now)),
                looks,
            )
        )
    ]
    grown.sort(key=lambda phrase: (-(phrase.contrast.difference or 0), -len(phrase.text)))
    return _longest(grown)[:limit]


_WORD: Final = r"[\p{L}\p{N}][\p{L}\p{N}'’-]*"


def _together(size: int) -> str:
    """Return the expression for each run of so many words."""
    starts = f"range(1, toUInt32(greatest(1, toInt64(length(words)) - {size - 2})))"
    return f"arrayMap(at -> arrayStringConcat(arraySlice(words, at, {size}), ' '), {starts})"


_PHRASES: Final = ", ".join(["words", *map(_together, (2, 3, 4))])


def _phrase(text: str, before: Share, now: Share, looks: int) -> Phrase | None:
    contrast = compare_shares(before, now)
    if contrast.p_value is None or (contrast.difference or 0) <= 0:
        return None
    p_value = min(1.0, contrast.p_value * looks)
    if p_value > LEVEL:
        return None
    return Phrase(text, before, now, Contrast(contrast.difference, contrast.interval, p_value))


def _longest(grown: Sequence[Phrase]) -> list[Phrase]:
    """Leave out what a longer phrase says, too."""
    return [
        phrase
        for phrase in grown
        if not any(
            f" {phrase.text} " in f" {other.text} "
            and other.text != phrase.text
            and other.now.part >= _SAME * phrase.now.part
            for other in grown
        )
    ]
