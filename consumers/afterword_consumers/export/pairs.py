"""Preference pairs: what people wanted in place of an answer, beside what the model had said.

    counts = PairCounts()
    for piece in export_pairs(selection, PairPaths(), database, counts): ...

A pair needs three texts, and most feedback holds one. What is chosen is an edit or a ground truth of
the feedback selected. What it is chosen over, and the prompt, stand in the same feedback or in another one
of the trace. Where one is missing, or the trace names two, there is no pair: it is counted, never guessed.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

import orjson

from afterword_consumers.export.pair_query import EDIT, PairPaths, pairs_sql
from afterword_consumers.export.pieces import Piece, read_rows
from afterword_consumers.export.selection import SETTINGS, StreamingDatabase
from afterword_consumers.query import Plan
from afterword_consumers.query.compile.parameters import Parameters


class Skipped(StrEnum):
    """Why an edit or a ground truth makes no pair; a clause for a person."""

    NO_PROMPT = "had no prompt"
    NO_REJECTED = "had no rejected text"
    NO_CHOSEN = "had no chosen text"
    AMBIGUOUS_PROMPT = "had several prompts in the trace"
    AMBIGUOUS_REJECTED = "had several answers in the trace"
    SEVERAL_EDITS = "stood among several edits without an original"
    SAME = "chose what was rejected"


@dataclass(slots=True)
class PairCounts:
    """What became of the edits and ground truths that were read, filled as pairs are yielded."""

    pairs: int = 0
    skipped: Counter[Skipped] = field(default_factory=Counter)

    def __str__(self) -> str:
        """Say it in a sentence: `288 pairs of 300 edits and ground truths; 12 had no rejected text`."""
        read = self.pairs + self.skipped.total()
        reasons = [f"{count:,} {reason}" for reason, count in sorted(self.skipped.items())]
        pairs = f"{self.pairs:,} {'pair' if self.pairs == 1 else 'pairs'} of {read:,} "
        pairs += "edit or ground truth" if read == 1 else "edits and ground truths"
        return "; ".join([pairs, *reasons])


def export_pairs(
    selection: Plan,
    paths: PairPaths,
    database: StreamingDatabase,
    counts: PairCounts,
) -> Iterator[Piece]:
    """Yield a line of JSON for each pair: `prompt`, `chosen`, `rejected`, and where they are from.

    In order of project, id of the feedback that chose, ground truth before edits. A piece counts the
    feedback read, with pairs or without.

    Args:
        selection: The feedback that chose; prompts and answers are also looked for outside of it, in
            the same trace of the same project.
        paths: Where prompts and answers stand.
        database: To be read.
        counts: Filled on the way.
    """
    parameters = Parameters()
    sql = pairs_sql(selection, paths, parameters)
    stream = database.stream(sql, parameters.values, SETTINGS, "JSONCompactEachRow")
    return read_rows(stream, lambda row: _lines(_Candidate(*row), counts))


@dataclass(frozen=True, slots=True)
class _Text:
    """A text of a pair, and which feedback it was read in."""

    text: str
    feedback_id: str


@dataclass(frozen=True, slots=True)
class _Choice:
    """Something chosen; `original` is what it replaced, where the feedback itself says so."""

    kind: str
    text: str | None
    original: str | None = None
    among_others: bool = False


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A row of the query: feedback that chose, and what else its trace holds.

    The texts of a trace are how many different ones there are, one of them, and its feedback's id.
    """

    project: str
    feedback_id: str
    trace_id: str
    ground_truth: str | None
    edits: dict[str, str]
    prompt: str | None
    answer: str | None
    trace_prompts: tuple[int, str, str]
    trace_answers: tuple[int, str, str]


def _lines(candidate: _Candidate, counts: PairCounts) -> bytes:
    """Return the pairs of a candidate as lines, and count them and what is skipped."""
    lines = []
    for choice in _choices(candidate):
        pair = _pair(candidate, choice)
        if isinstance(pair, Skipped):
            counts.skipped[pair] += 1
        else:
            counts.pairs += 1
            lines.append(orjson.dumps(pair, option=orjson.OPT_APPEND_NEWLINE))
    return b"".join(lines)


def _choices(candidate: _Candidate) -> list[_Choice]:
    """List what was chosen: the ground truth, then the edits by position."""
    by_position: dict[int, dict[str, str]] = {}
    for path, text in candidate.edits.items():
        if found := EDIT.fullmatch(path):
            by_position.setdefault(int(found[1]), {})[found[2]] = text
    edits = [edit for _, edit in sorted(by_position.items())]
    truth = candidate.ground_truth
    return [
        *([] if truth is None else [_Choice("ground_truth", truth)]),
        *(
            _Choice("edit", edit.get("value"), edit.get("original"), among_others=len(edits) > 1)
            for edit in edits
        ),
    ]


def _pair(candidate: _Candidate, choice: _Choice) -> dict[str, object] | Skipped:
    """Return the line of a pair, or why there is none."""
    if choice.text is None or not choice.text.strip():
        return Skipped.NO_CHOSEN
    rejected = _rejected(candidate, choice)
    if isinstance(rejected, Skipped):
        return rejected
    prompt = _prompt(candidate)
    if isinstance(prompt, Skipped):
        return prompt
    if rejected.text.rstrip() == choice.text.rstrip():
        return Skipped.SAME
    return {
        "prompt": prompt.text,
        "chosen": choice.text,
        "rejected": rejected.text,
        "chosen_from": choice.kind,
        "project": candidate.project,
        "trace_id": candidate.trace_id,
        "feedback_ids": {
            "chosen": candidate.feedback_id,
            "rejected": rejected.feedback_id,
            "prompt": prompt.feedback_id,
        },
    }


def _prompt(candidate: _Candidate) -> _Text | Skipped:
    own, in_trace = candidate.prompt, candidate.trace_prompts
    missing = Skipped.AMBIGUOUS_PROMPT if in_trace[0] > 1 else Skipped.NO_PROMPT
    return _text(candidate, own, in_trace) or missing


def _rejected(candidate: _Candidate, choice: _Choice) -> _Text | Skipped:
    if choice.original is not None and choice.original.strip():
        return _Text(choice.original, candidate.feedback_id)
    if choice.among_others:  # a part of the answer, or a version on the way: nobody says which
        return Skipped.SEVERAL_EDITS
    own, in_trace = candidate.answer, candidate.trace_answers
    missing = Skipped.AMBIGUOUS_REJECTED if in_trace[0] > 1 else Skipped.NO_REJECTED
    return _text(candidate, own, in_trace) or missing


def _text(candidate: _Candidate, own: str | None, in_trace: tuple[int, str, str]) -> _Text | None:
    """Return a text of the feedback itself, else the only one of its trace."""
    if own is not None and own.strip():
        return _Text(own, candidate.feedback_id)
    texts, text, feedback_id = in_trace
    return _Text(text, feedback_id) if texts == 1 else None
