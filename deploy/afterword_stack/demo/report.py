"""What the demo asks at the end, and how it prints the answers."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from afterword_consumers.clickhouse.client import ClickHouse
from afterword_consumers.query import Question, answer_question
from afterword_consumers.rejected.replay import counts
from afterword_stack.demo.traffic import DRIFTING_MODEL, PROJECT
from afterword_stack.terminal.console import out, print_table
from afterword_stack.terminal.tables import rows_of


@dataclass(frozen=True, slots=True)
class Shown:
    """A question with a title, and which columns of its answer are shown.

    Attributes:
        names: What to call them, by their labels.
    """

    title: str
    question: Question
    names: dict[str, str]


def print_report(clickhouse: ClickHouse, now: datetime) -> None:
    """Ask the demo's questions and print the answers."""
    for shown in _questions():
        found = answer_question(shown.question, clickhouse, now)
        out(f"\n{shown.title}")
        rows = [
            {name: row[label] for label, name in shown.names.items()}
            for row in rows_of(found.series[0])
        ]
        print_table(rows, indent="  ")
    out("\nTop reasons for rejection")
    reasons = [{"reason": code, "messages": n} for code, n, _ in counts(clickhouse)]
    print_table(reasons[:8], indent="  ")


def _questions() -> Iterator[Shown]:
    rate = {"n": "n", "up %": "thumbs up", "95 %": "95 % interval"}
    yield Shown(
        "Thumbs up by model",
        Question("thumbs", project=PROJECT, group_by=("metadata.model",)),
        {"metadata.model": "model"} | rate,
    )
    yield Shown(
        f"Thumbs up of {DRIFTING_MODEL} by week: did it get worse?",
        Question(
            "thumbs",
            project=PROJECT,
            where=(f"metadata.model = {DRIFTING_MODEL}",),
            bucket="week",
        ),
        {"week": "week of"} | rate,
    )
    yield Shown(
        "Latency of step 1 in ms by prompt",
        Question("feedback.step1.latency_ms", project=PROJECT, group_by=("metadata._prompt",)),
        {"metadata._prompt": "prompt"}
        | {name: name for name in ("n", "median", "p95", "p98", "p99")},
    )
    old, new = "summarise-v1", "summarise-v2"
    yield Shown(
        f"Is {new} faster than {old}, or is that chance?",
        Question(
            "feedback.step1.latency_ms", project=PROJECT, compare=f"metadata._prompt = {old}, {new}"
        ),
        {name: name for name in (f"avg {old}", f"avg {new}", "difference")}
        | {"95 %": "95 % interval", "p": "p"},
    )
    yield Shown(
        "Weighted feedback by environment",
        Question("weighted", project=PROJECT, group_by=("metadata._environment",)),
        {
            "metadata._environment": "environment",
            "n": "n",
            "weighted avg": "weighted average",
            "95 %": "95 % interval",
        },
    )
