"""export: files for analysts, for publishing again and for training, on the real parts."""

import csv
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet
import pytest

from afterword_consumers.clickhouse.client import ClickHouse

if TYPE_CHECKING:
    from tests.deploy.conftest import Afterword, InProcessPipeline

pytestmark = pytest.mark.services

Store = Callable[..., None]
DOCUMENT = Path(__file__).parents[3] / "consumers" / "docs" / "export.md"


def event(number: int, **fields: Any) -> bytes:
    """Return an event of January 2026 as a message."""
    return json.dumps(
        {
            "feedback_id": f"5f0e2f0a-0000-4000-8000-{number:012}",
            "project": "shop",
            "trace_id": f"t{number}",
            "created_at": f"2026-01-{number:02}T12:00:00Z",
            **fields,
        }
    ).encode()


@pytest.fixture
def export(afterword: "Afterword", store_events: Store) -> "Afterword":
    """Run `afterword export` on three feedbacks of two projects."""
    store_events(
        event(1, feedback={"rating": True, "edits": [{"value": "Oslo", "original": "Bergen"}]}),
        event(2, feedback={"rating": False}, metadata={"input": "Where?"}, trace_id="t1"),
        event(3, feedback={"rating": True}, project="bank"),
    )
    return lambda *arguments: afterword("export", *arguments)


def test_a_spreadsheet_opens_a_csv_safely(
    afterword: "Afterword", store_events: Store, own_folders: Path
) -> None:
    """It reads UTF-8 and runs no formula; numbers stay numbers. Of other formats it is a mistake."""
    store_events(event(1, value=-1, feedback={"comment": "=HYPERLINK(1)", "score": -0.5}))
    assert afterword("export", "safe.csv", "--spreadsheet").status == 0
    written = (own_folders / "safe.csv").read_bytes()
    assert written.startswith(b'\xef\xbb\xbf"feedback_id",')
    (row,) = csv.DictReader(io.StringIO(written.decode("utf-8-sig"), newline=""))
    assert row["feedback.comment"] == "'=HYPERLINK(1)"
    assert b",-0.5" in written
    assert (row["value"], row["feedback.score"]) == ("-1", "-0.5")
    ran = afterword("export", "safe.jsonl", "--spreadsheet")
    assert ran.status == 2
    assert "--spreadsheet is for CSV. Let FILE end in .csv, or say --format csv." in ran.err
    ran = afterword("query", "feedback.comment", "--spreadsheet")
    assert ran.out.startswith("\ufeff")
    assert '"\'=HYPERLINK(1)"' in ran.out
    listed = afterword("paths", "feedback.c", "--spreadsheet").out
    assert listed.startswith("\ufeff")
    assert '"\'=HYPERLINK(1)"' in listed
    for command in ("query", "paths"):
        ran = afterword(command, "feedback.comment", "--spreadsheet", "--format", "json")
        assert (ran.status, ran.out) == (2, "")


def test_the_format_is_that_of_the_name(export: "Afterword", own_folders: Path) -> None:
    """Or of --format; JSONL where it has no ending; all the same feedback, and nothing on stdout."""
    for name in ("all.jsonl", "all.csv", "all.parquet", "all", "all.NDJSON"):
        ran = export(name)
        assert (ran.status, ran.out) == (0, "")
    lines = (own_folders / "all.jsonl").read_bytes()
    assert [json.loads(line)["feedback"]["rating"] for line in lines.splitlines()] == [
        True,
        True,
        False,
    ]
    for name in ("all", "all.NDJSON"):
        assert (own_folders / name).read_bytes() == lines
    rows = list(csv.DictReader(io.StringIO((own_folders / "all.csv").read_text(), newline="")))
    assert [row["feedback.rating"] for row in rows] == ["true", "true", "false"]
    assert pyarrow.parquet.read_table(own_folders / "all.parquet").num_rows == 3
    export("other.txt", "--format", "csv")
    assert (own_folders / "other.txt").read_bytes() == (own_folders / "all.csv").read_bytes()


def test_a_dash_is_stdout_and_progress_is_not_on_it(export: "Afterword") -> None:
    """So that a pipe gets the rows only."""
    ran = export("-", "--format", "csv", "--project", "bank")
    (row,) = csv.DictReader(io.StringIO(ran.out))
    assert row["project"] == "bank"
    assert ran.err.startswith("exported: 1 done\ncomplete until 20")


def test_filters_and_period_are_those_of_a_query(export: "Afterword") -> None:
    """Each narrows what is written."""
    ran = export(
        "-", "-w", "feedback.rating = true", "--since", "2026-01-02", "--until", "2027-01-01"
    )
    assert [json.loads(line)["project"] for line in ran.out.splitlines()] == ["bank"]


@pytest.mark.parametrize("file", ["none.jsonl", "none.csv", "none.parquet", "-"])
def test_an_export_of_nothing_writes_nothing_and_says_why(
    export: "Afterword", own_folders: Path, file: str
) -> None:
    """With the path that was meant; status 1, and what was there before stays."""
    (own_folders / file).write_text("old")
    ran = export(file, "-w", "feedback.ratign = true")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err == (
        "afterword: nothing was written. No feedback has the path feedback.ratign. "
        "Did you mean feedback.rating?\n"
    )
    assert [path.read_text() for path in own_folders.iterdir()] == ["old"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["out.csv", "-w", "rating"], "is neither a path nor a column"),
        (["out.csv", "--since", "soon"], "'soon' is not a moment in time."),
        (["out.csv", "--pairs"], "Pairs are JSONL."),
        (["missing/out.csv"], "missing/out.csv cannot be written"),
        (["out.xlsx"], "out.xlsx does not end in a format. Say --format jsonl, csv, parquet."),
        (["out.csv", "--pairs", "-f", "jsonl", "--prompt-path", "input"], "Write feedback.input"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused(
    export: "Afterword", own_folders: Path, arguments: list[str], said: str
) -> None:
    """With status 2 and what to do; no file is left."""
    ran = export(*arguments)
    assert (ran.status, ran.out) == (2, "")
    assert said in ran.err
    assert list(own_folders.iterdir()) == []


def test_a_store_that_is_gone_leaves_the_old_file(
    export: "Afterword", own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With status 1."""
    (own_folders / "all.csv").write_text("old")
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_URL", "http://127.0.0.1:9")
    ran = export("all.csv")
    assert ran.status == 1
    assert "does not answer" in ran.err
    assert [path.read_text() for path in own_folders.iterdir()] == ["old"]


def test_an_export_published_elsewhere_makes_the_same_feedback(
    export: "Afterword",
    afterword: "Afterword",
    pipeline: "InProcessPipeline",
    database_of: ClickHouse,
) -> None:
    """Through Kafka and the worker into an empty database; exported there it is the same file."""
    assert export("first.jsonl").status == 0
    database_of.command("TRUNCATE TABLE feedback")
    ran = afterword("publish", "first.jsonl")
    assert (ran.status, ran.err.splitlines()[-1]) == (0, "3 published, 0 refused, 0 failed")
    assert pipeline.ingest(3) == (3, 0)
    assert export("second.jsonl").status == 0
    assert Path("second.jsonl").read_bytes() == Path("first.jsonl").read_bytes()


def test_pairs_are_counted_and_skipped_with_reasons(
    export: "Afterword", store_events: Store
) -> None:
    """One edit has its prompt in another feedback of the trace, one ground truth has no answer."""
    store_events(event(4, feedback={"ground_truth": "42"}, metadata={"input": "How many?"}))
    ran = export("-", "--pairs")
    (pair,) = map(json.loads, ran.out.splitlines())
    assert (pair["prompt"], pair["chosen"], pair["rejected"]) == ("Where?", "Oslo", "Bergen")
    assert ran.err.splitlines()[-1] == (
        "1 pair of 2 edits and ground truths; 1 had no rejected text. "
        "No feedback has the path metadata.output. Did you mean metadata.input?"
    )
    ran = export("-", "--pairs", "--project", "bank")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err == (
        "afterword: nothing was written. No feedback here holds an edit or a ground truth.\n"
    )


def test_without_a_pair_the_old_file_stays(export: "Afterword", own_folders: Path) -> None:
    """With why there is none, the path that was meant, and status 1."""
    (own_folders / "train.jsonl").write_text("old")
    ran = export("train.jsonl", "--pairs", "--prompt-path", "metadata.inptu")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.splitlines()[-1] == (
        "afterword: nothing was written. 0 pairs of 1 edit or ground truth; 1 had no prompt. "
        "No feedback has the path metadata.inptu. Did you mean metadata.input?"
    )
    assert [path.read_text() for path in own_folders.iterdir()] == ["old"]


def test_the_reader_of_a_pipe_may_leave(
    export: "Afterword", database_of: ClickHouse, own_folders: Path
) -> None:
    """`afterword export - | head -1` ends without a traceback, however much there is."""
    database_of.command(
        "INSERT INTO feedback (project, feedback_id, trace_id, value, weight, created_at, updated_at, "
        "kafka_offset) SELECT 'big', generateUUIDv7(number), 't', 1, 1, now64(), now64(), number "
        "FROM numbers(50000)"
    )
    reader = subprocess.Popen(["head", "-c", "1"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert reader.stdin is not None
    done = subprocess.run(
        [sys.executable, "-m", "afterword_stack", "export", "-"],
        stdout=reader.stdin,
        stderr=subprocess.PIPE,
        cwd=own_folders,
        env=os.environ,
        check=False,
    )
    reader.stdin.close()
    reader.wait()
    assert b"Traceback" not in done.stderr


def test_the_documents_example_is_what_happens(afterword: "Afterword", store_events: Store) -> None:
    """export.md's events in, its lines out, and its counts on stderr."""
    text = DOCUMENT.read_text(encoding="utf-8")
    (events,) = re.findall(r"```jsonl\n(.*?)```", text, re.DOTALL)
    (session,) = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    command, *shown = session.splitlines()
    store_events(*events.encode().splitlines())
    ran = afterword(*shlex.split(command.removeprefix("$ afterword ")))
    assert ran.status == 0
    said = [line for line in ran.err.splitlines() if not line.startswith("complete until")]
    assert [*ran.out.splitlines(), *said] == shown
