"""Forks and the end of the process: every case in a process of its own, against a broker."""

import json
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from afterword import Message

pytestmark = pytest.mark.slow

ReadTopic = Callable[[str, str], list[Message]]
Target = tuple[str, str]
Run = Callable[[str, Target], subprocess.CompletedProcess[str]]

PREAMBLE = """
import atexit, logging, multiprocessing, os, signal, sys, threading, warnings
from afterword import Client
logging.getLogger("afterword.kafka").setLevel(logging.CRITICAL)  # a young broker makes it talk
warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 and later warn of forks beside threads
address, topic = sys.argv[1:]

def emit(number, who="parent"):
    for n in range(number):
        client.feedback(trace_id=f"{who}-{n}", value=1)

def connect():
    # A fork while librdkafka resolves a name leaves the child a lock of glibc's: see the SDK's page.
    emit(1)
    assert client.flush(30) == 0

"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A function that runs a program to its end; one that hangs fails the test."""
    program = tmp_path / "program.py"  # a file, because `spawn` imports it again

    def run(script: str, target: Target) -> subprocess.CompletedProcess[str]:
        program.write_text(PREAMBLE + textwrap.dedent(script))
        return subprocess.run(
            [sys.executable, program, *target],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def arrived(messages: list[Message]) -> Counter[str]:
    """Count the arrived events by who sent them, and see that no id came twice."""
    events = [json.loads(message.value) for message in messages]
    assert len({event["feedback_id"] for event in events}) == len(events)
    return Counter(event["trace_id"].partition("-")[0] for event in events)


@pytest.mark.parametrize(
    "ending",
    ["", "client = None", "sys.exit(3)", "raise KeyError", "os.kill(os.getpid(), signal.SIGINT)"],
)
def test_the_end_of_a_program_delivers(
    run: Run, target: Target, read_topic: ReadTopic, ending: str
) -> None:
    """Without `close`, what was taken arrives, however the program ends by itself."""
    run(
        f"""
        client = Client(address, project="acme", topic=topic, kafka={{"linger.ms": 60_000}})
        emit(100)
        {ending}
        """,
        target,
    )
    assert arrived(read_topic(*target)) == {"parent": 100}


@pytest.mark.parametrize("handler", ["", "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))"])
def test_sigterm_delivers_where_a_handler_ends_the_program(
    run: Run, mock_broker: str, read_topic: ReadTopic, tmp_path: Path, handler: str
) -> None:
    """The handler of the SDK's page does; without one Python ends at once, and what waits is lost."""
    target = mock_broker, tmp_path.name
    run(
        f"""
        client = Client(address, project="acme", topic=topic, kafka={{"linger.ms": 60_000}})
        {handler}
        emit(10)
        os.kill(os.getpid(), signal.SIGTERM)
        """,
        target,
    )
    assert arrived(read_topic(*target)) == ({"parent": 10} if handler else {})


def test_an_event_sent_at_exit_is_delivered(
    run: Run, target: Target, read_topic: ReadTopic
) -> None:
    """A handler that runs before ours at exit may still emit."""
    run(
        """
        client = Client(address, project="acme", topic=topic)
        atexit.register(lambda: emit(10))
        """,
        target,
    )
    assert arrived(read_topic(*target)) == {"parent": 10}


@pytest.mark.parametrize("early", ["", "early = make(); early.feedback(trace_id='parent-0')"])
def test_a_client_that_is_first_made_at_exit_delivers(
    run: Run, target: Target, read_topic: ReadTopic, early: str
) -> None:
    """Threads start no more and `atexit` takes no more, and an earlier client still delivers."""
    ended = run(
        f"""
        def make():
            return Client(address, project="acme", topic=topic, kafka={{"linger.ms": 60_000}})

        def late():
            client = make()
            client.feedback(trace_id="late-0", value=1)
            assert client.stats.delivered == 1

        {early.replace("trace_id", "value=1, trace_id")}
        atexit.register(late)
        """,
        target,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    expected = {"late": 1} | ({"parent": 1} if early else {})
    assert arrived(read_topic(*target)) == expected


def test_an_exit_without_a_broker_is_bounded_and_loud(run: Run) -> None:
    """With the broker away a program ends after `close_timeout_s` and says how many were lost."""
    ended = run(
        """
        client = Client(address, project="acme", topic=topic, close_timeout_s=0.1)
        emit(3)
        """,
        ("127.0.0.1:1", "t"),
    )
    assert "At exit: 3 events were not delivered; the last because: closed" in ended.stderr


def test_a_client_that_cannot_be_closed_does_not_keep_the_others_from_it(run: Run) -> None:
    """At the end of a program each client is closed, whatever the transport of another raises."""
    ended = run(
        """
        from afterword import MemoryTransport

        class Broken(MemoryTransport):
            def close(self, timeout_s):
                print("closed", flush=True)
                raise OSError("its own")

        clients = [Client(project="acme", transport=Broken()) for _ in range(3)]
        """,
        ("", ""),
    )
    assert (ended.returncode, ended.stdout) == (0, "closed\n" * 3)
    assert ended.stderr.count("At exit a client could not be closed\n") == 3


@pytest.mark.parametrize("ending", ["sys.exit(0)", "client.close(); os._exit(0)"])
def test_a_forked_child_delivers_its_own(
    run: Run, target: Target, read_topic: ReadTopic, ending: str
) -> None:
    """Parent and child each deliver what they took, once, and the counters are each one's own."""
    ended = run(
        f"""
        client = Client(address, project="acme", topic=topic, kafka={{"linger.ms": 2_000}})
        connect()
        emit(100)
        pid = os.fork()
        if pid == 0:
            assert client.stats.sent == 0
            emit(50, "child")
            assert client.stats.sent == 50
            {ending}
        assert os.waitpid(pid, 0)[1] == 0
        emit(10)
        assert client.stats.sent == 111
        """,
        target,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert arrived(read_topic(*target)) == {"parent": 111, "child": 50}


def test_a_child_that_emits_nothing_ends(run: Run, target: Target, read_topic: ReadTopic) -> None:
    """The parent's producer, whose threads are gone in the child, does not keep it from ending."""
    ended = run(
        """
        client = Client(address, project="acme", topic=topic)
        emit(1)
        pid = os.fork()
        if pid == 0:
            client = None
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        """,
        target,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert arrived(read_topic(*target)) == {"parent": 1}


def test_forked_children_mint_different_ids(
    run: Run, target: Target, read_topic: ReadTopic
) -> None:
    """Eight workers forked from one parent, as by gunicorn: 1,000 events each, none shares an id."""
    ended = run(
        """
        client = Client(address, project="acme", topic=topic)
        connect()
        pids = []
        for child in range(8):
            pid = os.fork()
            if pid == 0:
                emit(1000, f"child{child}")
                sys.exit(0)
            pids.append(pid)
        assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 8
        """,
        target,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    expected = {"parent": 1} | {f"child{child}": 1000 for child in range(8)}
    assert arrived(read_topic(*target)) == expected


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_of_multiprocessing_delivers(
    run: Run, target: Target, read_topic: ReadTopic, method: str
) -> None:
    """Such a child ends without `atexit` before Python 3.14, and delivers all the same."""
    script = f"""
        def work():
            global client
            if {method!r} == "spawn":
                client = Client(address, project="acme", topic=topic)
            emit(50, "child")

        if __name__ == "__main__":
            client = Client(address, project="acme", topic=topic)
            connect()
            emit(10)
            child = multiprocessing.get_context({method!r}).Process(target=work)
            child.start()
            child.join()
            assert child.exitcode == 0
        """
    ended = run(script, target)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert arrived(read_topic(*target)) == {"parent": 11, "child": 50}


def test_a_fork_amid_another_threads_call(run: Run, target: Target, read_topic: ReadTopic) -> None:
    """A child that is forked while another thread is inside a call is not stuck on its locks."""
    ended = run(
        """
        client = Client(address, project="acme", topic=topic)
        connect()
        inside, over = threading.Event(), threading.Event()
        def call():
            with client._sender._transport._lock, client._sender._transport._queue._lock:
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
        """,
        target,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert arrived(read_topic(*target)) == {"parent": 1, "child": 5}


def test_a_signal_handler_may_emit_and_close(
    run: Run, target: Target, read_topic: ReadTopic
) -> None:
    """SIGTERM inside a call: the handler emits and closes on the same thread, without a deadlock."""
    ended = run(
        """
        client = Client(address, project="acme", topic=topic)
        def stop(*_):
            emit(1, "handler")
            client.close()
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        emit(5)
        with client._sender._transport._lock:
            signal.raise_signal(signal.SIGTERM)
        """,
        target,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert arrived(read_topic(*target)) == {"parent": 5, "handler": 1}


def test_a_signal_handler_may_wait_whenever_it_comes(run: Run, mock_broker: str) -> None:
    """A handler that interrupts the counting does not keep deliveries from being counted."""
    ended = run(
        """
        client = Client(address, project="acme", topic=topic)
        rounds = []
        def handle(*_):
            emit(1)
            rounds.append(client.flush(5))
        signal.signal(signal.SIGALRM, handle)
        emit(1)
        assert client.flush(20) == 0
        while len(rounds) < 100:
            signal.setitimer(signal.ITIMER_REAL, 0.002)
            came = len(rounds)
            while len(rounds) == came:
                client.stats
        assert rounds == [0] * 100
        client.close()
        """,
        (mock_broker, "signals"),
    )
    assert (ended.returncode, ended.stderr) == (0, "")
