"""A signal handler may send and flush, whichever line of the SDK it interrupts."""

import subprocess
import sys
from pathlib import Path

import pytest

from afterword import MemoryTransport

pytestmark = pytest.mark.slow

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


SAME_KEY = """
import os, sys
from afterword import KafkaTransport
transport = KafkaTransport(sys.argv[1], topic="feedback.events")
sent, places, reports = 0, set(), []

def send():
    global sent
    sent += 1
    transport.send(b"k", b"v", (), reports.append)

def trace(frame, event, _):
    if not frame.f_code.co_filename.endswith(os.path.join("_kafka", "send_queue.py")):
        return None
    frame.f_trace_opcodes = True
    place = (frame.f_code.co_name, frame.f_lasti)
    if event == "opcode" and place not in places:
        places.add(place)
        send()
        transport.flush(0.2)  # not for long: its message may wait for the interrupted one
    return trace

sys.settrace(trace)
for _ in range(3):  # the second and third wait for the one before
    send()
transport.flush(30)
sys.settrace(None)
transport.close(30)
assert reports == [None] * sent, (len(reports), sent)
"""


def test_a_handler_may_send_under_the_key_that_it_interrupts(mock_broker: str) -> None:
    """At whichever instruction it comes, its message and those of the interrupted call all arrive, once."""
    run = subprocess.run(
        [sys.executable, "-c", SAME_KEY, mock_broker],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
