"""`afterword tail` shows what is stored while it runs, a line each, until Ctrl-C."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from afterword_consumers.explore.live import NewFeedback
from afterword_stack.commands.tail import line_of

if TYPE_CHECKING:
    from tests.deploy.conftest import InProcessPipeline

EVENT = '{"feedback_id": "5f0e2f0a-0000-4000-8000-00000000000%d", "project": "acme", "trace_id": "tr-%d", "value": %d}'


class TailProcess:
    """One `afterword tail`, whose lines a test can wait for."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "afterword_stack", "tail", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(os.environ),
        )
        self._lines: queue.Queue[str] = queue.Queue()
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        assert self._process.stderr.readline() == "waiting for feedback; Ctrl-C stops\n"
        self._reader = threading.Thread(
            target=lambda: [*map(self._lines.put, self._process.stdout or ())]
        )
        self._reader.start()

    def line(self) -> str:
        """Return the next line."""
        return self._lines.get(timeout=60).rstrip("\n")

    def interrupt(self) -> int:
        """Press Ctrl-C, and return the exit status."""
        self._process.send_signal(signal.SIGINT)
        status = self._process.wait(30)
        self._reader.join()
        self._process.communicate()
        return status


@pytest.mark.services
def test_what_is_stored_is_shown(pipeline: "InProcessPipeline") -> None:
    """Not what was there before, and with a filter only what passes it."""
    pipeline.publish((EVENT % (1, 1, 1)).encode())
    pipeline.ingest(1)
    everything, down = TailProcess(), TailProcess("--json", "--where", "thumbs = down")
    try:
        pipeline.publish((EVENT % (2, 2, 1)).encode(), (EVENT % (3, 3, -1)).encode())
        pipeline.ingest(2)
        shown = [everything.line(), everything.line()]
        assert [
            line.split("  ")[1:] for line in sorted(shown, key=lambda line: line.split("  ")[2])
        ] == [
            ["acme", "tr-2", "-", "thumbs up 1:1"],
            ["acme", "tr-3", "-", "thumbs down -1:1"],
        ]
        found = json.loads(down.line())
        assert (found["trace_id"], found["value"], found["thumbs_up"]) == ("tr-3", -1, False)
    finally:
        assert [everything.interrupt(), down.interrupt()] == [130, 130]


def test_a_filter_that_is_none_is_told_at_once(afterword: Any) -> None:
    """Before anything is asked."""
    ran = afterword("tail", "--where", "nonsense")
    assert ran.status == 2
    assert "is neither a path nor a column" in ran.err


def test_a_comment_can_neither_end_its_line_nor_command_the_terminal() -> None:
    """Whoever wrote it."""
    hostile = NewFeedback(
        "p", "id", 0, "t\n", "explicit", "\x1b[2J", "", None, 1.0, None, "a\nb\x1b]0;x\x07", ()
    )
    line = line_of(hostile)
    assert line.isprintable()
    assert line == '1970-01-01T00:00:00.000Z  p  t    [2J  "a b ]0;x "'
