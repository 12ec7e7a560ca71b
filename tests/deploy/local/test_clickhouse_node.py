"""The local ClickHouse: a real server whose start, end and failures are ours to promise."""

import contextlib
import ctypes
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import psutil
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_driver import Client as NativeClient
from tests.waiting import wait_until

from afterword_schemas.errors import ConfigurationError
from afterword_stack.local.clickhouse import ClickHouseNode, _get, find_server
from afterword_stack.local.kafka import KafkaNode

pytestmark = pytest.mark.services


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder for chDB, whatever the machine has on PATH; its name holds what is special in SQL and XML."""
    path = tmp_path / "it's <here> & there"
    (path / "chdb").mkdir(parents=True)
    assert find_server(path) is None
    return path


@pytest.fixture
def node(folder: Path) -> Iterator[ClickHouseNode]:
    """A running server on that folder."""
    with ClickHouseNode(folder) as one:
        yield one


@pytest.fixture
def client(node: ClickHouseNode) -> Iterator[Client]:
    """A client of it over HTTP."""
    with clickhouse_connect.get_client(host=node.host, port=node.port) as one:
        yield one


def server_process(node: ClickHouseNode) -> psutil.Process:
    """Return the server's process, below its guard."""
    assert node._child is not None
    (process,) = psutil.Process(node._child.pid).children()
    return process


def ask(node: ClickHouseNode, sql: str, **headers: str) -> tuple[int, str]:
    """Return status and text of the answer to a statement in the body."""
    request = urllib.request.Request(node.url, sql.encode(), headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_local_clickhouse_listens_on_the_loopback_only(node: ClickHouseNode) -> None:
    """On the two ports that its folder keeps."""
    listening = [
        connection.laddr
        for connection in server_process(node).net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert sorted(listening) == sorted([("127.0.0.1", node.port), ("127.0.0.1", node.native_port)])


@pytest.mark.parametrize("compression", [False, "lz4"])
def test_native_clients_are_served(node: ClickHouseNode, compression: str | bool) -> None:  # noqa: FBT001  # as the client takes it
    """Also those that know no ZSTD, the server's own default for what it sends."""
    client = NativeClient(node.host, node.native_port, compression=compression)
    client.execute("CREATE TABLE t (n UInt32, s String) ENGINE = MergeTree ORDER BY n")
    assert client.execute("INSERT INTO t VALUES", [(1, "ü"), (2, "\0")]) == 2
    assert client.execute("SELECT * FROM t ORDER BY n") == [(1, "ü"), (2, "\0")]
    assert client.execute("SELECT getSetting('network_compression_method')") == [("LZ4",)]
    client.disconnect()


def test_what_a_client_wants_compressed_is_compressed_once(node: ClickHouseNode) -> None:
    """JDBC drivers before 0.8 ask for both ways, and read one."""
    request = urllib.request.Request(
        f"{node.url}/?compress=1&query=SELECT+1", headers={"accept-encoding": "lz4, gzip"}
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["content-encoding"] is None
        assert answer.read()[16] == 0x82  # the mark of a block of LZ4, behind its checksum


def test_web_pages_are_refused(node: ClickHouseNode) -> None:
    """A page in the user's browser cannot reach the data; who else sends no origin can."""
    assert ask(node, "SELECT 1", Origin="http://127.0.0.1") == (403, "Not for web pages.\n")
    assert ask(node, "SELECT 1") == (200, "1\n")


def test_statements_are_a_server_s(node: ClickHouseNode) -> None:
    """What only clickhouse-local takes is refused, as it would be in production."""
    status, text = ask(node, "1 + 1")
    assert (status, text.startswith("Code: 62. DB::Exception: Syntax error")) == (400, True)


def test_queries_are_logged(node: ClickHouseNode) -> None:
    """In `system.query_log`, for three days."""
    ask(node, "SELECT 'find me'")
    assert ask(node, "SYSTEM FLUSH LOGS")[0] == 200
    sql = "SELECT count() FROM system.query_log WHERE query = 'SELECT \\'find me\\'' AND type = 2"
    assert ask(node, sql) == (200, "1\n")
    assert "TTL event_date + toIntervalDay(3)" in ask(node, "SHOW CREATE system.query_log")[1]


def test_errors_are_in_the_log_once(node: ClickHouseNode) -> None:
    """With what was asked, and without a stack trace of a binary that has no symbols."""
    ask(node, "SELECT no_such_name")
    wait_until(lambda: "no_such_name" in node.log_path.read_text())
    ask(node, "SELECT another_name")
    wait_until(lambda: "another_name" in node.log_path.read_text())  # so the first is there whole
    lines = [line for line in node.log_path.read_text().splitlines() if "no_such_name" in line]
    assert len(lines) == 1
    assert "UNKNOWN_IDENTIFIER" in lines[0]
    assert "Stack trace" not in node.log_path.read_text()


def test_a_table_on_kafka_reads_and_starts_again(
    node: ClickHouseNode, kafka: KafkaNode, topic: str
) -> None:
    """Its engine works, and the server starts with it after an end and after a crash."""
    columns = "(text String) ENGINE ="
    source = f"Kafka('{kafka.bootstrap_servers}', '{topic}', 'g', 'LineAsString')"
    ask(node, f"CREATE TABLE stored {columns} MergeTree ORDER BY text")
    ask(node, f"CREATE TABLE source {columns} {source} SETTINGS kafka_flush_interval_ms = 100")
    ask(node, "CREATE MATERIALIZED VIEW reader TO stored AS SELECT text FROM source")
    assert ask(node, "INSERT INTO source VALUES ('one')") == (200, "")
    wait_until(lambda: ask(node, "SELECT text FROM stored")[1] == "one\n", alive=lambda: node.alive)
    for end in (node.stop, node.kill):
        end()
        node.start()
        assert ask(node, "EXISTS source") == (200, "1\n")


def test_data_that_chdb_s_own_connection_wrote_is_read(folder: Path) -> None:
    """As the local ClickHouse before this one did; the HTTP port that it kept stays."""
    code = (
        "import chdb, sys; one = chdb.connect(sys.argv[1])\n"
        "one.query('CREATE DATABASE d'); one.query('CREATE TABLE d.t (n UInt32) ENGINE = MergeTree ORDER BY n')\n"
        "one.query('CREATE TABLE u (n UInt32) ENGINE = MergeTree ORDER BY n')\n"
        "one.query('INSERT INTO d.t SELECT number FROM numbers(1000)'); one.query('INSERT INTO u VALUES (7)')\n"
        "one.close()\n"
    )
    subprocess.run([sys.executable, "-c", code, str(folder / "chdb")], check=True)
    (folder / "ports.json").write_text('{"http": 20999}')
    with ClickHouseNode(folder) as node:
        assert node.port == 20999
        assert ask(node, "SELECT sum(n), (SELECT sum(n) FROM u) FROM d.t") == (200, "499500\t7\n")


def test_data_and_ports_survive_sigkill(tmp_path: Path) -> None:
    """What an insert acknowledged is there after a crash, at the same addresses."""
    node = ClickHouseNode(tmp_path)
    with node:
        addresses = node.url, node.native_address
        with clickhouse_connect.get_client(host=node.host, port=node.port) as client:
            client.command("CREATE TABLE t (n UInt32) ENGINE = MergeTree ORDER BY n")
            client.insert("t", [[n] for n in range(1000)], column_names=["n"])
        node.kill()
        assert not node.alive
        node.start()
        assert (node.url, node.native_address) == addresses
        assert ask(node, "SELECT sum(n) FROM t") == (200, "499500\n")
        assert node.engine.split()[0] in {"chdb", "clickhouse"}


def test_sigterm_lets_a_running_query_end(node: ClickHouseNode) -> None:
    """Its answer arrives, although the server ends at once after it."""
    answers: list[tuple[int, str]] = []
    running = threading.Thread(target=lambda: answers.append(ask(node, "SELECT sleep(1.5), 7")))
    running.start()
    wait_for_query(node, "sleep(1.5)")
    assert node._child is not None
    guard = psutil.Process(node._child.pid)
    os.killpg(guard.pid, signal.SIGTERM)
    running.join()
    assert guard.wait(timeout=20) == 0
    assert answers == [(200, "0\t7\n")]


def wait_for_query(node: ClickHouseNode, text: str) -> None:
    """Return once a query with this text runs."""
    sql = f"SELECT count() FROM system.processes WHERE query LIKE '%{text}%'"
    # itself and the one that is meant
    wait_until(lambda: int(ask(node, sql)[1]) >= 2, alive=lambda: node.alive)


def test_idle_connections_do_not_delay_the_end(node: ClickHouseNode, client: Client) -> None:
    """Of either protocol; the engine by itself would wait five seconds for them, and cut a longer query."""
    native = NativeClient(node.host, node.native_port)
    assert (client.command("SELECT 1"), native.execute("SELECT 1")) == (1, [(1,)])
    with socket.create_connection((node.host, node.port)) as silent:
        process = server_process(node)
        process.terminate()
        with contextlib.suppress(
            ConnectionResetError
        ):  # its end, if the server had not accepted it yet
            assert silent.recv(1) == b""  # the server's end
    assert process.wait(timeout=20) in {0, None}
    native.disconnect()


@pytest.mark.skipif(sys.platform != "linux", reason="signals one thread by Linux's own call")
def test_a_signal_that_another_thread_gets_ends_it(node: ClickHouseNode) -> None:
    """The kernel may choose any thread, and the engine has many beside the main one."""
    assert ask(node, "SELECT 1") == (200, "1\n")
    process = server_process(node)
    tgkill = {"x86_64": 234, "aarch64": 131}[platform.machine()]
    signalled = [
        thread.id
        for thread in process.threads()
        if thread.id != process.pid and _takes_sigterm(process.pid, thread.id)
    ]
    assert node._child is not None
    guard = psutil.Process(node._child.pid)
    assert ctypes.CDLL(None).syscall(tgkill, process.pid, signalled[-1], signal.SIGTERM) == 0
    assert guard.wait(timeout=20) == 0


def _takes_sigterm(process: int, thread: int) -> bool:
    status = Path(f"/proc/{process}/task/{thread}/status").read_text()
    (blocked,) = re.findall(r"SigBlk:\s+([0-9a-f]+)", status)
    return not int(blocked, 16) & (1 << (signal.SIGTERM - 1))


def test_sigterm_while_it_starts_ends_it(folder: Path) -> None:
    """Nobody has to wait until it serves."""
    with ClickHouseNode(folder) as node:
        process = server_process(node)
        command, here = process.cmdline(), process.cwd()
    ended = subprocess.Popen(command, cwd=here)
    # it hears signals, and does not listen yet
    wait_until((folder / "chdb" / "status").exists, alive=lambda: ended.poll() is None)
    ended.terminate()
    assert ended.wait(timeout=20) == 0


def test_killing_the_starter_ends_the_server(tmp_path: Path) -> None:
    """A parent that is killed by SIGKILL leaves no server behind."""
    code = (
        "import sys, pathlib; from afterword_stack.local.clickhouse import ClickHouseNode\n"
        "node = ClickHouseNode(pathlib.Path(sys.argv[1])); node.start()\n"
        "print(node._child.pid, flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        guard = psutil.Process(int(parent.stdout.readline()))
        family = [guard, *guard.children(recursive=True)]
        os.kill(parent.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []


def test_a_second_server_on_the_data_is_told(node: ClickHouseNode, tmp_path: Path) -> None:
    """The data belongs to one process; the other one ends and says why."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "chdb").symlink_to(node.data_dir / "chdb")
    with pytest.raises(ConfigurationError, match="stopped while starting") as told:
        ClickHouseNode(tmp_path / "other").start()
    assert "Another server instance in same directory is already running" in str(told.value)
    assert "ClickHouse ended by itself" in str(told.value)
    assert ask(node, "SELECT 1") == (200, "1\n")


def test_data_that_cannot_be_read_is_told(folder: Path) -> None:
    """The error names the file and ends the start."""
    with ClickHouseNode(folder) as node:
        ask(node, "CREATE DATABASE d")
    (folder / "chdb" / "metadata" / "d.sql").write_text("no statement")
    with pytest.raises(ConfigurationError, match=r"stopped while starting(.|\n)*d\.sql"):
        ClickHouseNode(folder).start()


def test_a_port_that_is_taken_meanwhile_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at it and the server's start somebody else began to listen there."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        monkeypatch.setattr(
            "afterword_stack.local.clickhouse.persisted_ports",
            lambda *_: {"http": taken, "native": 20998},
        )
        with pytest.raises(ConfigurationError, match=f"stopped while starting(.|\n)*{taken}"):
            ClickHouseNode(folder).start()


def test_without_chdb_the_next_step_is_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where neither the program nor the package is installed."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as util\n"
        "found = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'chdb' else found(name, *rest)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="The ClickHouse engine chDB is not installed"):
        ClickHouseNode(folder).start()


def test_a_program_on_path_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for a folder that chDB has begun."""
    program = tmp_path / "bin" / "clickhouse"
    program.parent.mkdir()
    program.touch(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    assert find_server(tmp_path) == program
    (tmp_path / "chdb").mkdir()
    assert find_server(tmp_path) is None
    assert _get("http://127.0.0.1:1", "/ping") == ""
