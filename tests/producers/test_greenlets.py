"""gevent and eventlet: what waits in a client lets all other greenlets of its thread go on."""

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from afterword import MemoryTransport

pytestmark = pytest.mark.slow

NOBODY = "127.0.0.1:1"

PREAMBLES = {
    "gevent": "from gevent import monkey, spawn, wait; monkey.patch_all()",
    "eventlet": """
        import eventlet
        eventlet.monkey_patch()
        from eventlet import spawn
        def wait(greenlets):
            for each in greenlets:
                each.wait()
    """,
}

CLIENT = """
import logging, sys, time
from afterword import Client, DeliveryError
logging.getLogger("afterword").setLevel(logging.CRITICAL)  # a young broker makes it talk
ways = {"url": {"url": sys.argv[1]}, "kafka": {"bootstrap_servers": sys.argv[1]}}
ways["spool"] = {**ways["kafka"], "spool": sys.argv[3]}
client = Client(project="acme", close_timeout_s=0.1, **ways[sys.argv[2]])

def emit():
    for _ in range(10):
        client.feedback(trace_id="t", value=1)

wait([spawn(emit) for _ in range(10)])
"""

Run = Callable[[str, str, str, str], subprocess.CompletedProcess[str]]

libraries = pytest.mark.parametrize("library", ["gevent", "eventlet"])
ways = pytest.mark.parametrize("way", ["kafka", "url", "spool"])


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A function that runs a program on a patched interpreter; one that hangs fails the test."""

    def run(script: str, library: str, way: str, address: str) -> subprocess.CompletedProcess[str]:
        program = textwrap.dedent(PREAMBLES[library]) + CLIENT + textwrap.dedent(script)
        arguments = [address, way, str(tmp_path / "spool")]
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@libraries
@ways
def test_greenlets_deliver(
    run: Run, request: pytest.FixtureRequest, mock_broker: str, library: str, way: str
) -> None:
    """Ten greenlets share a client, and all that they emit arrives before the process ends."""
    address = mock_broker
    if way == "url":
        gateway = request.getfixturevalue("start_gateway")(MemoryTransport())
        address = gateway.address
    script = """
        assert client.flush(30) == 0
        assert client.stats.delivered == 100
        client.close()
    """
    ended = run(script, library, way, address)
    assert (ended.returncode, ended.stderr) == (0, "")


@libraries
@ways
def test_other_greenlets_go_on_while_one_waits(run: Run, library: str, way: str) -> None:
    """With nothing at the other end, flush, close and the work in between stop no greenlet."""
    script = """
        beats, over = [], False
        def beat():
            while not over:
                beats.append(1)
                time.sleep(0.001)
        def count(call):
            beats.clear()
            call()
            return len(beats)
        def close():
            try:
                client.close()
            except DeliveryError:
                pass
        beating = spawn(beat)
        # A call that stops all others leaves time for one beat, however long it takes.
        assert count(lambda: client.flush(0.5)) > 3
        assert count(lambda: time.sleep(0.5)) > 3
        assert count(close) > 3
        over = True
    """
    address = f"http://{NOBODY}" if way == "url" else NOBODY
    ended = run(script, library, way, address)
    assert (ended.returncode, ended.stderr) == (0, "")
