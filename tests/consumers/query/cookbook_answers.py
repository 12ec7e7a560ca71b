"""What each recipe about answers, prompts and models must find, in plain Python.

ANSWERS["What do people complain about?"](records)      # [["wrong", 61, 50.0], …]
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import erfc, exp, lgamma, sqrt
from typing import Final

import numpy as np
from tests.consumers.query.cookbook_records import Rows, by, column, leaf, time, vote, voted
from tests.consumers.query.reference_records import Record
from tests.consumers.query.reference_statistics import wilson


def _thumbs_by_version_and_day(records: Sequence[Record]) -> Rows:
    groups = by(
        (each for each in voted(records) if column(each, "prompt")),
        lambda each: (column(each, "prompt"), time(each).date().isoformat()),
    )
    rows = []
    for (prompt, day), mine in sorted(groups.items()):
        ups, n = len([each for each in mine if vote(each)]), len(mine)
        rows.append([prompt, day, n, 100 * ups / n, *wilson(ups, n)])
    return rows


def _percentiles_by_model(records: Sequence[Record]) -> Rows:
    path = "feedback.step1.score"
    scored = [each for each in records if leaf(each, path) is not None]
    groups = by(scored, lambda each: leaf(each, "metadata.model", str))
    return [
        [model, len(mine), list(np.percentile([leaf(each, path) for each in mine], [50, 90, 99]))]
        for model, mine in sorted(groups.items(), key=lambda group: (-len(group[1]), str(group[0])))
    ]


def _worst_prompts(records: Sequence[Record]) -> Rows:
    groups = by(voted(records), lambda each: column(each, "prompt"))
    rows = []
    for prompt, mine in groups.items():
        ups, n = len([each for each in mine if vote(each)]), len(mine)
        if prompt and n >= 20:
            rows.append([prompt, n, 100 * ups / n, wilson(ups, n)[1]])
    return sorted(rows, key=lambda row: (row[3], row[0]))[:5]


def _welch(records: Sequence[Record]) -> Rows:
    first, second = (
        np.array([x for each in records if column(each, "prompt") == prompt
                  and (x := leaf(each, "feedback.score")) is not None])
        for prompt in ("v1", "v2")
    )  # fmt: skip
    errors = [each.var(ddof=1) / len(each) for each in (first, second)]
    error = sqrt(sum(errors))
    freedom = sum(errors) ** 2 / (
        errors[0] ** 2 / (len(first) - 1) + errors[1] ** 2 / (len(second) - 1)
    )
    difference = second.mean() - first.mean()
    half = _quantile(freedom) * error
    p_value = _tail(abs(difference) / error, freedom)
    return [
        [first.mean(), second.mean(), difference, difference - half, difference + half, p_value]
    ]


def _two_rates(records: Sequence[Record]) -> Rows:
    votes = [
        [bool(vote(each)) for each in voted(records) if column(each, "prompt") == prompt]
        for prompt in ("v1", "v2")
    ]
    (n, m), (a, b) = map(len, votes), map(sum, votes)
    pooled = (a + b) / (n + m)
    z = (a / n - b / m) / sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return [[n, m, a, b, 100 * a / n, 100 * b / m, erfc(abs(z) / sqrt(2))]]


def _complaints(records: Sequence[Record]) -> Rows:
    reasons = Counter(leaf(each, "feedback.reason", str) for each in records if vote(each) is False)
    del reasons[None]
    ranked = sorted(reasons.items(), key=lambda each: (-each[1], each[0]))
    return [[reason, n, 100 * n / reasons.total()] for reason, n in ranked]


def _latest_comments(records: Sequence[Record]) -> Rows:
    found = [
        each for each in records if vote(each) is False and leaf(each, "feedback.comment", str)
    ]
    return [
        [
            time(each).isoformat(" ", "milliseconds").removesuffix("+00:00"),
            column(each, "trace_id"),
            column(each, "prompt"),
            each.leaves["feedback.comment"],
        ]
        for each in sorted(found, key=time, reverse=True)[:10]
    ]


def _thumbs_by_latency(records: Sequence[Record]) -> Rows:
    path = "metadata.latency_ms"
    timed = [each for each in voted(records) if leaf(each, path) is not None]
    groups = by(timed, lambda each: min(leaf(each, path) // 1000, 5))
    return [
        [second, len(mine), 100 * np.mean([vote(each) for each in mine])]
        for second, mine in sorted(groups.items())
    ]


def _ground_truths(records: Sequence[Record]) -> Rows:
    rows = []
    for prompt, mine in sorted(by(records, lambda each: column(each, "prompt")).items()):
        known = sum(
            any(path.split(".")[:2] == ["feedback", "ground_truth"] for path in each.leaves)
            for each in mine
        )
        rows.append([prompt, len(mine), 100 * known / len(mine)])
    return rows


def _edits(record: Record) -> list[str]:
    return [
        str(value)
        for path, value in record.leaves.items()
        if (steps := path.split("."))[:2] == ["feedback", "edits"]
        and len(steps) == 4
        and steps[3] == "value"
    ]


def _corrections(records: Sequence[Record]) -> Rows:
    times = Counter(edit for each in records for edit in _edits(each))
    events = Counter(edit for each in records for edit in set(_edits(each)))
    ranked = sorted(times.items(), key=lambda each: (-each[1], each[0]))
    return [[edit, n, events[edit]] for edit, n in ranked]


def _edits_per_answer(records: Sequence[Record]) -> Rows:
    groups = by((each for each in records if _edits(each)), lambda each: len(_edits(each)))
    return [[edits, len(mine)] for edits, mine in sorted(groups.items())]


def _tail(t: float, freedom: float) -> float:
    """Return the probability beyond -t and t, by Simpson's rule over Student's density."""
    scale = exp(lgamma((freedom + 1) / 2) - lgamma(freedom / 2)) / sqrt(freedom * np.pi)
    x = np.linspace(0, t, 20_001)
    density = scale * np.exp(-(freedom + 1) / 2 * np.log1p(x * x / freedom))
    weights = np.where(np.arange(20_001) % 2, 4.0, 2.0)
    weights[[0, -1]] = 1
    return 1 - 2 * float((weights * density).sum()) * t / 60_000


def _quantile(freedom: float) -> float:
    low, high = 0.0, 20.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if _tail(middle, freedom) > 0.05 else (low, middle)
    return low


ANSWERS: Final[Mapping[str, Callable[[Sequence[Record]], Rows]]] = {
    "How does the thumbs-up rate of each prompt version go, day by day?": _thumbs_by_version_and_day,
    "What are the percentiles of a nested number, by model?": _percentiles_by_model,
    "Which prompts are worst, among those with enough votes?": _worst_prompts,
    "Do the scores of two versions differ, or is it chance?": _welch,
    "Do the thumbs-up rates of two versions differ, or is it chance?": _two_rates,
    "What do people complain about?": _complaints,
    "Which negative comments came last?": _latest_comments,
    "Are slow answers liked less?": _thumbs_by_latency,
    "How much of the feedback says what the right answer was?": _ground_truths,
    "Where do people correct, and how often is it the same correction?": _corrections,
    "How many edits does an edited answer take?": _edits_per_answer,
}
"""By the title of the recipe: what it finds in the records of its project."""
