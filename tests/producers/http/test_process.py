"""Forks, signals and the end of the process over HTTP: every case a process, against a gateway."""

import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from afterword import MemoryTransport, Transport
from afterword.gateway import GatewayServer

pytestmark = pytest.mark.slow

Run = Callable[[str], subprocess.CompletedProcess[str]]

PREAMBLE = """
import atexit, logging, multiprocessing, os, signal, sys, threading, time, warnings
from afterword import Client, HttpTransport
warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 and later warn of forks beside threads
client = Client(url=sys.argv[1], project="acme")

def emit(number, who="parent"):
    for n in range(number):
        client.feedback(trace_id=f"{who}-{n}", value=1)

"""


@pytest.fixture
def run(
    tmp_path: Path, memory: MemoryTransport, start_gateway: Callable[[Transport], GatewayServer]
) -> Run:
    """A function that runs a program to its end; one that hangs fails the test."""
    url = start_gateway(memory).address
    program = tmp_path / "program.py"

    def run(script: str) -> subprocess.CompletedProcess[str]:
        program.write_text(PREAMBLE + textwrap.dedent(script))
        return subprocess.run(
            [sys.executable, program, url], capture_output=True, text=True, timeout=60, check=False
        )

    return run


def arrived(memory: MemoryTransport) -> Counter[str]:
    """Count the arrived events by who sent them, each id once."""
    events = {event["feedback_id"]: event for event in memory.events}.values()
    return Counter(event["trace_id"].partition("-")[0] for event in events)


@pytest.mark.parametrize(
    "ending",
    ["", "client = None", "sys.exit(3)", "raise KeyError", "os.kill(os.getpid(), signal.SIGINT)"],
)
def test_the_end_of_a_program_delivers(run: Run, memory: MemoryTransport, ending: str) -> None:
    """Without `close`, what was taken arrives, however the program ends by itself."""
    run(f"emit(1000)\n{ending}")
    assert arrived(memory) == {"parent": 1000}


def test_an_event_sent_at_exit_is_delivered(run: Run, memory: MemoryTransport) -> None:
    """A handler that runs before ours at exit may still emit."""
    run("atexit.register(lambda: emit(10))")
    assert arrived(memory) == {"parent": 10}


def test_a_client_that_is_first_made_at_exit_delivers(run: Run, memory: MemoryTransport) -> None:
    """Threads start no more and `atexit` takes no more, and an earlier client still delivers."""
    ended = run(
        """
        emit(1)
        def late():
            late = Client(url=sys.argv[1], project="acme")
            late.feedback(trace_id="late-0", value=1)
            assert late.stats.delivered == 1
        atexit.register(late)
        """
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert arrived(memory) == {"parent": 1, "late": 1}


def test_a_client_that_is_first_made_at_exit_ends_in_time(run: Run) -> None:
    """A gateway that takes the request and never answers does not hold the call or `close`."""
    ended = run(
        """
        import socket
        silent = socket.create_server(("127.0.0.1", 0))

        def late():
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            client = Client(
                transport=HttpTransport(url, timeout_s=3600), project="acme", close_timeout_s=0.2
            )
            client.feedback(trace_id="t", value=1)
            try:
                client.close()
            except Exception as error:
                print(error)

        atexit.register(late)
        """
    )
    assert ended.returncode == 0
    assert ended.stdout.startswith("1 event was not delivered; the last because: closed before")


def test_a_forked_child_delivers_its_own(run: Run, memory: MemoryTransport) -> None:
    """Parent and child each deliver what they took, on connections of their own."""
    ended = run(
        """
        emit(1)
        assert client.flush(20) == 0
        shared = client._sender._transport._queue._gateway._connection.sock
        address = shared.getsockname()
        emit(100)
        pid = os.fork()
        if pid == 0:
            assert shared.fileno() == -1
            assert client.stats.sent == 0
            emit(50, "child")
            assert client.flush(20) == 0
            own = client._sender._transport._queue._gateway._connection.sock
            assert own.getsockname() != address
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert client.flush(20) == 0
        emit(10)
        assert client.flush(20) == 0
        assert shared.getsockname() == address
        assert client.stats.sent == 111
        """
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert arrived(memory) == {"parent": 111, "child": 50}


def test_forks_amid_requests_do_no_harm(run: Run, memory: MemoryTransport) -> None:
    """Forty children forked while the parent's thread is busy: none hangs, nothing is lost."""
    ended = run(
        """
        stop = threading.Event()
        def keep_busy():
            while not stop.wait(0.0005):
                emit(1)
        thread = threading.Thread(target=keep_busy)
        thread.start()
        for child in range(40):
            pid = os.fork()
            if pid == 0:
                if child % 2:
                    emit(5, "child")
                client.close()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        stop.set()
        thread.join()
        client.close()
        print(client.stats.delivered)
        """
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert arrived(memory) == {"parent": int(ended.stdout), "child": 100}


def test_the_thread_imports_nothing(run: Run, memory: MemoryTransport) -> None:
    """A child that is forked amid an import of another thread has half a module for ever."""
    ended = run(
        """
        logging.getLogger("afterword").setLevel(logging.CRITICAL)  # of the gateway that is not there
        before = set(sys.modules)
        client.feedback(trace_id="parent-1", value=1, feedback={"text": "x" * 5000})
        assert client.flush(20) == 0
        assert set(sys.modules) == before, set(sys.modules) - before
        client.close()
        client = Client(url="https://localhost:1", project="acme", close_timeout_s=0.1)
        emit(1)
        client.flush(0.1)
        assert set(sys.modules) == before, set(sys.modules) - before
        os._exit(0)
        """
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert arrived(memory) == {"parent": 1}


def test_a_fork_amid_another_threads_call(run: Run, memory: MemoryTransport) -> None:
    """A child that is forked while another thread is inside a call is not stuck on its locks."""
    ended = run(
        """
        inside, over = threading.Event(), threading.Event()
        def call():
            with client._sender._transport._lock:
                inside.set()
                over.wait()
        thread = threading.Thread(target=call)
        thread.start()
        inside.wait()
        pid = os.fork()
        if pid == 0:
            emit(5, "child")
            client.close()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        over.set()
        """
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert arrived(memory) == {"child": 5}


def test_a_child_that_emits_nothing_ends(run: Run, memory: MemoryTransport) -> None:
    """The parent's thread, which is gone in the child, does not keep it from ending."""
    ended = run(
        """
        emit(1)
        pid = os.fork()
        if pid == 0:
            client = None
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        """
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert arrived(memory) == {"parent": 1}


def test_a_system_without_a_thread_to_spare_is_got_over(run: Run, memory: MemoryTransport) -> None:
    """The call takes the event, and it is delivered once there can be a thread."""
    ended = run(
        """
        threading.stack_size(1 << 46)  # more than any system has
        emit(2)
        assert client.flush(0.01) == 2
        threading.stack_size(0)
        assert client.flush(20) == 0
        emit(1)
        """
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert arrived(memory) == {"parent": 3}


def test_a_child_of_multiprocessing_delivers(run: Run, memory: MemoryTransport) -> None:
    """Such a child ends without `atexit` before Python 3.14, and delivers all the same."""
    ended = run(
        """
        emit(10)
        child = multiprocessing.get_context("fork").Process(target=emit, args=(50, "child"))
        child.start()
        child.join()
        assert child.exitcode == 0
        """
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert arrived(memory) == {"parent": 10, "child": 50}


def test_a_signal_handler_may_emit_and_close(run: Run, memory: MemoryTransport) -> None:
    """SIGTERM inside a call: the handler emits and closes on the same thread, without a deadlock."""
    ended = run(
        """
        def stop(*_):
            emit(1, "handler")
            client.close()
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        emit(5)
        with client._sender._transport._lock:
            signal.raise_signal(signal.SIGTERM)
        """
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert arrived(memory) == {"parent": 5, "handler": 1}


def test_a_signal_handler_may_wait_whenever_it_comes(run: Run, memory: MemoryTransport) -> None:
    """A handler that emits and flushes, amid any of either, waits for all but what it interrupts."""
    ended = run(
        """
        rounds, times = [], []
        def handle(*_):
            emit(1, "handler")
            began = time.monotonic()
            rounds.append(client.flush(20))
            times.append(time.monotonic() - began)
        signal.signal(signal.SIGALRM, handle)
        while len(rounds) < 200:
            came = len(rounds)
            signal.setitimer(signal.ITIMER_REAL, 0.002)
            while len(rounds) == came:
                emit(1)
                client.flush(0.0001)
        assert set(rounds) <= {0, 1} and max(times) < 10, (rounds, times)
        client.close()
        print(client.stats.delivered)
        """
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert arrived(memory) == {"handler": 200, "parent": int(ended.stdout) - 200}


def test_an_exit_without_a_gateway_is_bounded_and_loud(run: Run) -> None:
    """With the gateway away a program ends after `close_timeout_s` and says how many were lost."""
    ended = run(
        """
        client = Client(url="http://127.0.0.1:1", project="acme", close_timeout_s=0.1)
        emit(3)
        """
    )
    assert "At exit: 3 events were not delivered; the last because: closed" in ended.stderr
