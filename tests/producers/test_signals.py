"""A signal handler may send and flush, whichever line of the SDK it interrupts."""

import subprocess
import sys
from pathlib import Path

import pytest

from afterword import MemoryTransport

PROGRAM = """
import logging, os, sys, time
from afterword import Client
logging.getLogger("afterword").setLevel(logging.CRITICAL)  # a young broker makes it talk
ways = {"url": {"url": sys.argv[1]}, "kafka": {"bootstrap_servers": sys.argv[1]}}
ways["spool"] = {**ways["kafka"], "spool": sys.argv[3]}
client = Client(project="acme", **ways[sys.argv[2]])
client.feedback(trace_id="first", value=1)
assert client.flush(30) == 0

lines, waited = set(), []

def handle(place):
    began = time.monotonic()
    client.feedback(trace_id="handler", value=1)
    left = client.flush(30)
    # One may be left: the event that the interrupted call was about to send.
    if left > 1 or time.monotonic() - began > 20:
        waited.append((place, left))

def trace(frame, event, _):
    name = frame.f_code.co_filename
    if f"{os.sep}afterword{os.sep}_" not in name:
        return None
    place = (os.path.basename(name), frame.f_lineno)
    if event == "line" and place not in lines:
        lines.add(place)
        handle(place)
    return trace

sys.settrace(trace)
client.feedback(trace_id="interrupted", value=1)
client.flush(30)
client.stats
sys.settrace(None)
assert client.flush(30) == 0
assert waited == [], waited
assert client.stats.delivered == len(lines) + 2
print(len(lines))
"""


@pytest.mark.parametrize("way", ["kafka", "url", "spool"])
def test_a_handler_may_send_and_flush_at_every_line(
    request: pytest.FixtureRequest, mock_broker: str, way: str, tmp_path: Path
) -> None:
    """It waits for all but what it interrupts, so no lock or count of ours keeps a delivery back."""
    address = mock_broker
    if way == "url":
        address = request.getfixturevalue("start_gateway")(MemoryTransport()).address
    command = [sys.executable, "-c", PROGRAM, address, way, str(tmp_path / "spool")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert int(ended.stdout) > 50
