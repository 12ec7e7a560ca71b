"""The spool where it counts: processes that are killed, that end, that fork, and that find no room."""

import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from afterword import Client, MemoryTransport, SpoolTransport
from afterword._spool import delivery

pytestmark = pytest.mark.slow

PREAMBLE = """
import logging, os, resource, signal, sys, threading, time, warnings
from afterword import *
warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 and later warn of forks beside threads
root = sys.argv[1]
memory = MemoryTransport()

def wait(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "never came true"
        time.sleep(0.005)

def values():
    return [event["value"] for event in memory.events]

"""

Run = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of a spool that does not exist yet."""
    return tmp_path / "spool"


@pytest.fixture
def run(root: Path) -> Run:
    """A function that runs a program to its end; one that hangs fails the test."""

    def run(script: str) -> subprocess.CompletedProcess[str]:
        program = PREAMBLE + textwrap.dedent(script)
        command = [sys.executable, "-c", program, str(root)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    return run


def test_a_client_that_is_first_made_at_exit_delivers(run: Run) -> None:
    """It has no thread that could, and does so before the call returns."""
    ended = run(
        """
        import atexit
        def late():
            client = Client(project="acme", transport=memory, spool=root)
            client.feedback(trace_id="t", value=3)
            assert client.stats.delivered == 1
            assert values() == [3]
        atexit.register(late)
        """
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_killed_process_loses_nothing(
    run: Run, root: Path, memory: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a call returned for before SIGKILL is delivered by a process that runs already."""
    monkeypatch.setattr(delivery, "_SCAN_S", 0.05)
    spool = SpoolTransport(memory, root)
    ended = run(
        """
        memory.hold()
        client = Client(project="acme", transport=memory, spool=root)
        for value in range(10):
            print(client.feedback(trace_id="t", value=value), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    assert ended.returncode == -signal.SIGKILL
    printed = ended.stdout.split()
    assert len(printed) == 10
    tick = threading.Event()
    for _ in range(4000):
        if len(memory.messages) == 10:
            break
        tick.wait(0.005)
    assert [event["feedback_id"] for event in memory.events] == printed
    spool.close(20)
    assert list(root.iterdir()) == []


def test_the_end_of_a_program_leaves_what_waits(
    run: Run, root: Path, memory: MemoryTransport
) -> None:
    """Without `close` and with the broker away, the end says what waits, and the next delivers it."""
    ended = run(
        """
        memory.hold()
        client = Client(project="acme", transport=memory, spool=root, close_timeout_s=0.1)
        client.feedback(trace_id="t", value=7)
        """
    )
    assert (ended.returncode, ended.stderr) == (0, f"1 event waits in {root} for the next start\n")
    client = Client(project="acme", transport=memory, spool=root)
    client.feedback(trace_id="t", value=8)
    client.close()
    assert [event["value"] for event in memory.events] == [7, 8]


def test_a_forked_child_writes_a_file_of_its_own(run: Run) -> None:
    """Parent and child each deliver what they took, once; the child holds no lock of the parent's."""
    ended = run(
        """
        memory.hold()
        client = Client(project="acme", transport=memory, spool=root)
        client.feedback(trace_id="t", value=1)
        pid = os.fork()
        if pid == 0:
            memory.release()
            client.feedback(trace_id="t", value=2)
            client.close()
            assert (client.stats.sent, values()) == (1, [2]), values()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        memory.release()
        client.close()
        assert values() == [1]
        assert os.listdir(root) == []
        """
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_child_adopts_what_its_parent_left(run: Run, root: Path) -> None:
    """A worker outlives a master that is killed, and delivers the master's events."""
    ended = run(
        """
        import afterword._spool.delivery as drainer
        drainer._SCAN_S = 0.05
        memory.hold()
        client = Client(project="acme", transport=memory, spool=root)
        client.feedback(trace_id="t", value=1)
        if os.fork() == 0:
            memory.release()
            client.feedback(trace_id="t", value=2)
            client.flush(20)
            os.kill(os.getppid(), signal.SIGKILL)
            wait(lambda: values() == [2, 1])
            client.close()
            os.write(1, b"delivered")
            os._exit(0)
        time.sleep(60)
        """
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGKILL, "delivered", "")
    assert list(root.iterdir()) == []


def test_forks_amid_calls_leave_no_lock_behind(run: Run) -> None:
    """Children that are forked while threads are inside SQLite write, deliver and end."""
    ended = run(
        """
        client = Client(project="acme", transport=SpoolTransport(memory, root, fsync=False))
        over = threading.Event()

        def emit():
            while not over.is_set():
                client.feedback(trace_id="t", value=1)

        threads = [threading.Thread(target=emit) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            pid = os.fork()
            if pid == 0:
                signal.alarm(10)
                client.feedback(trace_id="t", value=2)
                client.close()
                os._exit(0 if client.stats.delivered == 1 else 1)
            assert os.waitpid(pid, 0)[1] == 0
        over.set()
        for thread in threads:
            thread.join()
        client.close()
        assert client.stats.delivered == client.stats.sent
        """
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_file_that_cannot_be_made_leaves_nothing(run: Run) -> None:
    """A disk that is full for hours fills with no folders, and the process with no descriptors."""
    ended = run(
        """
        from pathlib import Path
        from afterword._spool.queue_file import SpoolFile
        os.mkdir(root)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
        before = os.listdir("/proc/self/fd")
        for _ in range(5):
            try:
                SpoolFile.create(Path(root))
            except ConfigurationError as error:
                os.write(1, b".")
        assert os.listdir("/proc/self/fd") == before
        assert os.listdir(root) == []
        """
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, ".....", "")


def test_a_disk_without_room_is_told_and_got_over(run: Run) -> None:
    """A call that could not be written raises, leaves nothing behind, and the next one works."""
    ended = run(
        """
        memory.hold()
        client = Client(project="acme", transport=memory, spool=root, close_timeout_s=20)
        client.feedback(trace_id="t", value=1)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))
        taken = 1
        try:
            while True:
                client.feedback(trace_id="t", value=2, feedback={"text": "x" * 1000})
                taken += 1
        except RetryableError as error:
            print(error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        client.feedback(trace_id="t", value=3)
        memory.release()
        client.close()
        assert values() == [1] + [2] * (taken - 1) + [3], values()
        assert client.stats == Stats(taken + 2, taken + 1, 1, 0)
        """
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "the spool did not take this event: disk I/O error\n"
