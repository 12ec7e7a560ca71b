"""What each recipe about traces, experts and weights must find, in plain Python."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from tests.consumers.query.cookbook_records import Rows, by, column, leaf, time, vote
from tests.consumers.query.reference_records import Record, to_text
from tests.consumers.query.reference_statistics import measure_numbers


def _weighted_traces(records: Sequence[Record]) -> Rows:
    votes = [
        each
        for each in records
        if column(each, "trace_id") and column(each, "value") is not None and column(each, "weight")
    ]
    rows = []
    for trace, mine in by(votes, lambda each: column(each, "trace_id")).items():
        values, weights = np.array(
            [[column(each, name) for each in mine] for name in ("value", "weight")]
        )
        pairs = Counter(f"{to_text(x)}:{to_text(w)}" for x, w in zip(values, weights, strict=True))
        written = sorted(f"{pair} x {n}" for pair, n in pairs.items())
        rows.append([trace, len(mine), np.average(values, weights=weights), written])
    return sorted(rows, key=lambda row: (-row[1], row[0]))[:10]


def _disagreement(records: Sequence[Record]) -> Rows:
    groups = by(
        (each for each in records if column(each, "trace_id")),
        lambda each: column(each, "trace_id"),
    )
    rows = []
    for trace, mine in groups.items():
        votes = [vote(each) for each in mine]
        ups, downs = votes.count(True), votes.count(False)
        if ups and downs:
            rows.append([trace, ups, downs])
    return sorted(rows, key=lambda row: (-min(row[1:]), -row[1] - row[2], row[0]))[:10]


def _judged_by_both(records: Sequence[Record]) -> Counter[tuple[bool, bool]]:
    """Count the traces by the last verdict of an expert and the last thumb of a user."""
    verdicts: Counter[tuple[bool, bool]] = Counter()
    for trace, mine in by(records, lambda each: column(each, "trace_id")).items():
        mine.sort(key=time)
        experts = [leaf(each, "metrics.correct", bool) for each in mine]
        expert, user = (
            [said for said in found if said is not None][-1:]
            for found in (experts, [vote(each) for each in mine])
        )
        if trace and expert and user:
            verdicts[expert[0], user[0]] += 1
    return verdicts


def _confusion(records: Sequence[Record]) -> Rows:
    return [[*verdict, n] for verdict, n in sorted(_judged_by_both(records).items())]


def _kappa(records: Sequence[Record]) -> Rows:
    verdicts = _judged_by_both(records)
    n = verdicts.total()
    agreement = (verdicts[True, True] + verdicts[False, False]) / n
    expert = (verdicts[True, True] + verdicts[True, False]) / n
    user = (verdicts[True, True] + verdicts[False, True]) / n
    by_chance = expert * user + (1 - expert) * (1 - user)
    return [[n, agreement, by_chance, (agreement - by_chance) / (1 - by_chance)]]


def _accuracy(records: Sequence[Record]) -> Rows:
    path = "metrics.accuracy"
    groups = by(
        (each for each in records if leaf(each, path) is not None),
        lambda each: column(each, "prompt") or None,
    )
    ranked = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0] is None, group[0]))
    rows = []
    for prompt, mine in ranked:
        statistics = measure_numbers([leaf(each, path) for each in mine])
        del statistics["is_small"]
        rows.append([prompt, *statistics.values()])
    return rows


TRACES: Final[Mapping[str, Callable[[Sequence[Record]], Rows]]] = {
    "What is the weighted feedback of each trace?": _weighted_traces,
    "About which traces do people disagree?": _disagreement,
    "Where do users and experts see the same answer differently?": _confusion,
    "How far do users and experts agree beyond chance?": _kappa,
    "How accurate do experts find each prompt?": _accuracy,
}
"""By the title of the recipe: what it finds in the records of its project."""
