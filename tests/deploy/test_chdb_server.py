"""The chDB server behaves as a ClickHouse server for the clients that talk to it."""

import ctypes
import gzip
import http.client
import json
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import clickhouse_connect
import lz4.frame  # type: ignore[import-untyped]  # published without types
import psutil
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterword_schemas.errors import SetupError
from afterword_stack.local.chdb_server import require_loopback
from afterword_stack.local.child import ChildProcess
from afterword_stack.local.clickhouse import ClickHouseNode, _get
from afterword_stack.local.ports import persisted_ports

pytestmark = pytest.mark.services


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer, read."""

    status: int
    headers: dict[str, str]
    body: bytes


class Server:
    """One chDB server, whatever the machine's PATH holds."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "data"
        self.port = persisted_ports(data_dir / "ports.json", ["http"])["http"]
        self.child = ChildProcess("chdb", self.command(), data_dir / "log")

    def command(self, *options: str) -> list[str]:
        """Return the server's command line."""
        module = [sys.executable, "-m", "afterword_stack.local.chdb_server"]
        return [*module, "--path", str(self.path), "--port", str(self.port), *options]

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.child.start()
        url = f"http://127.0.0.1:{self.port}"
        self.child.wait_ready(lambda: _get(url, "/ping") == "Ok.\n", timeout_s=30)

    def ask(
        self,
        body: bytes = b"",
        *,
        method: str = "POST",
        headers: dict[str, str] | None = None,
        url: dict[str, str] | None = None,
        **more: str,
    ) -> Reply:
        """Send one request; `url` and the rest are its parameters."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(
                method, f"/?{urlencode((url or {}) | more)}", body=body, headers=headers or {}
            )
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def client(self, **options: Any) -> Client:
        """Return a clickhouse-connect client."""
        return clickhouse_connect.get_client(host="127.0.0.1", port=self.port, **options)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One running server for this file."""
    one = Server(tmp_path_factory.mktemp("chdb"))
    one.start()
    yield one
    one.child.stop(timeout_s=20)


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    """A client of that server."""
    with server.client() as one:
        yield one


@pytest.fixture
def table(client: Client, request: pytest.FixtureRequest) -> str:
    """A fresh table of a number and a string."""
    name = f"t_{abs(hash(request.node.nodeid))}"
    client.command(f"CREATE TABLE {name} (n UInt32, s String) ENGINE = MergeTree ORDER BY n")
    return name


def rows(client: Client, table: str) -> list[tuple[int, str]]:
    """Return the table's rows, strings in hexadecimal."""
    result = client.query(f"SELECT n, lower(hex(s)) FROM {table} ORDER BY n").result_rows
    return [(n, s) for n, s in result]


def test_ping_answers_without_credentials(server: Server) -> None:
    """Whoever waits for the server needs no password."""
    assert _get(f"http://127.0.0.1:{server.port}", "/ping") == "Ok.\n"


def test_clickhouse_connect_starts_and_binds_parameters(client: Client) -> None:
    """The client's start-up queries work, and every type of parameter arrives as it was."""
    parameters = {"a": "it's \t\\ ü\0", "n": 5, "l": ["x'y", "z\n"], "z": None}
    sql = "SELECT {a:String}, {n:UInt32}, {l:Array(String)}, {z:Nullable(String)}"
    assert client.query(sql, parameters=parameters).result_rows == [
        ("it's \t\\ ü\0", 5, ["x'y", "z\n"], None)
    ]
    assert str(client.server_version).startswith("26.")


def test_parameters_too_long_for_a_url_arrive(client: Client) -> None:
    """Thousands of ids come in a form instead, and none is lost."""
    ids = [f"id-{n:08}" for n in range(20_000)]
    result = client.query(
        "SELECT length({ids:Array(String)}), {ids:Array(String)}[-1]", parameters={"ids": ids}
    )
    assert result.result_rows == [(20_000, "id-00019999")]


def test_bytes_are_inserted_exactly(client: Client, table: str) -> None:
    """NUL, quotes, newlines and bytes that are no UTF-8 come through the binary insert."""
    every_byte = bytes(range(256))
    summary = client.insert(table, [[1, every_byte], [2, b""]], column_names=["n", "s"])
    assert summary.written_rows == 2
    assert rows(client, table) == [(1, every_byte.hex()), (2, "")]


@pytest.mark.parametrize("place", ["body", "URL"])
def test_a_raw_insert_names_its_rows(
    server: Server, client: Client, table: str, place: str
) -> None:
    """The statement may stand in the URL or before the data, and the summary counts what was written."""
    head, data = (
        f"INSERT INTO {table} (n, s) FORMAT JSONCompactEachRow",
        b'[1,"\\u0000FORMAT x"]\n[2,"b"]\n',
    )
    reply = (
        server.ask(data, query=head) if place == "URL" else server.ask(f"{head}\n".encode() + data)
    )
    assert (reply.status, reply.body) == (200, b"")
    assert json.loads(reply.headers["X-ClickHouse-Summary"])["written_rows"] == "2"
    assert rows(client, table) == [(1, b"\0FORMAT x".hex()), (2, b"b".hex())]


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("lz4", lz4.frame.compress)]
)
def test_compressed_inserts_are_read(
    client: Client, table: str, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    """A body of several compressed frames holds all its rows."""
    body = compress(b"1\ta\n") + compress(b"2\tb\n")
    client.raw_insert(table, ["n", "s"], insert_block=body, fmt="TSV", compression=encoding)
    assert rows(client, table) == [(1, "61"), (2, "62")]


def test_an_empty_insert_is_no_error(server: Server, table: str) -> None:
    """No rows are no rows."""
    assert server.ask(query=f"INSERT INTO {table} FORMAT TSV").status == 200


def test_insert_from_input_is_refused(server: Server, table: str) -> None:
    """The engine would drop the rows and say that all is well, so the server says no."""
    sql = f"INSERT INTO {table} SELECT x + 1, 'input(' FROM input('x UInt32') FORMAT TSV"
    assert server.ask(b"41\n", query=sql).status == 501
    assert server.ask(f"{sql}\n41\n".encode()).status == 501


def test_insert_select_needs_no_data(server: Server, client: Client, table: str) -> None:
    """An INSERT that selects from elsewhere runs as it is."""
    assert server.ask(f"INSERT INTO {table} SELECT 42, 'y'".encode()).status == 200
    assert rows(client, table) == [(42, "79")]


def test_a_bad_row_inserts_nothing(server: Server, client: Client, table: str) -> None:
    """A batch with one wrong row is refused whole, with the server's code."""
    reply = server.ask(b"1\ta\nx\tb\n", query=f"INSERT INTO {table} FORMAT TSV")
    assert (reply.status, reply.headers["X-ClickHouse-Exception-Code"]) == (400, "27")
    assert reply.body.startswith(b"Code: 27. DB::Exception: ")
    assert rows(client, table) == []


@pytest.mark.parametrize("framing", ["length", "chunked", "gzip"])
def test_a_truncated_body_inserts_nothing(
    server: Server, client: Client, table: str, framing: str
) -> None:
    """A client that dies in the middle of complete rows leaves no row behind."""
    data = b"1\ta\n2\tb\n"
    head = (
        f"POST /?{urlencode({'query': f'INSERT INTO {table} FORMAT TSV'})} HTTP/1.1\r\nHost: x\r\n"
    )
    cut = {
        "length": f"{head}Content-Length: 99\r\n\r\n".encode() + data,
        "chunked": f"{head}Transfer-Encoding: chunked\r\n\r\n8\r\n".encode() + data + b"\r\n",
        "gzip": f"{head}Content-Encoding: gzip\r\nContent-Length: 12\r\n\r\n".encode()
        + gzip.compress(data)[:12],
    }[framing]
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(cut)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b"X-ClickHouse-Exception-Code: 33" in answer
    assert rows(client, table) == []


@pytest.mark.parametrize(
    ("sql", "status", "code"),
    [
        ("SELECT * FROM no_such_table", 404, "60"),
        ("SELECT * FROM no_such_database.t", 404, "81"),
        ("SELECT no_such_function()", 404, "46"),
        ("SELEC 1", 400, "62"),
        ("SELECT 1; SELECT 2", 400, "62"),
        ("1 + 1", 400, "62"),
        ("SELECT toUInt8('x')", 400, "6"),
        ("SELECT throwIf(1)", 500, "395"),
        ("SELECT sleep(3) SETTINGS max_execution_time = 1", 408, "159"),
    ],
)
def test_errors_are_clickhouse_s_own(server: Server, sql: str, status: int, code: str) -> None:
    """Status, code and text are those of a server, so that clients decide rightly."""
    reply = server.ask(sql.encode())
    assert (reply.status, reply.headers["X-ClickHouse-Exception-Code"]) == (status, code)
    assert reply.body.startswith(f"Code: {code}. DB::Exception: ".encode())
    assert b"(version 26." in reply.body


def test_the_client_raises_database_errors(client: Client) -> None:
    """clickhouse-connect sees an error as it does from a server."""
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        client.command("SELECT * FROM no_such_table")


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ({"no_such_setting": "1"}, 404),
        ({"bad name": "1"}, 400),
        ({"compress": "1"}, 501),
        ({"decompress": "1"}, 501),
    ],
)
def test_what_cannot_be_honoured_is_refused(
    server: Server, url: dict[str, str], status: int
) -> None:
    """A setting or framing that would be ignored is an error instead."""
    assert server.ask(b"SELECT 1", url=url).status == status


def test_a_setting_ends_with_its_request(server: Server) -> None:
    """A URL's setting is applied, also one with quotes, and the next request has the default."""
    sql = b"SELECT getSetting('max_threads'), getSetting('log_comment')"
    assert server.ask(sql, max_threads="3", log_comment="it's \\").body == b"3\tit\\'s \\\\\n"
    assert not server.ask(sql).body.startswith(b"3\t")


def test_a_repeated_deduplication_token_writes_once(server: Server, client: Client) -> None:
    """The worker's retry token reaches the engine with the insert stream."""
    client.command(
        "CREATE TABLE dedup (n UInt32) ENGINE = MergeTree ORDER BY n "
        "SETTINGS non_replicated_deduplication_window = 10"
    )
    for token in ("a", "a", "b"):
        url = {"insert_deduplication_token": token, "async_insert": "0"}
        assert (
            server.ask(
                b"[1]\n", query="INSERT INTO dedup FORMAT JSONCompactEachRow", url=url
            ).status
            == 200
        )
    assert client.command("SELECT count() FROM dedup") == 2


def test_the_url_chooses_the_database(server: Server, client: Client) -> None:
    """A name with a quote in it is a name, not a statement."""
    client.command("CREATE DATABASE `o``dd`")
    assert server.ask(b"SELECT currentDatabase() FORMAT TSVRaw", database="o`dd").body == b"o`dd\n"
    assert server.ask(b"SELECT 1", database="nowhere").status == 404


def test_answers_name_format_and_query(server: Server) -> None:
    """Format, query id, time zone and server are in the headers, as a server sends them."""
    headers = server.ask(b"SELECT 1 FORMAT JSON", query_id="mine").headers
    assert headers["X-ClickHouse-Format"] == "JSON"
    assert headers["X-ClickHouse-Query-Id"] == "mine"
    assert headers["X-ClickHouse-Server-Display-Name"] == "afterword-local"
    assert headers["X-ClickHouse-Timezone"]
    assert server.ask(b"SELECT 1", default_format="CSV").headers["X-ClickHouse-Format"] == "CSV"


def test_an_answer_is_streamed_to_who_asks(server: Server) -> None:
    """In chunks and with a tag; to all others it goes whole, with its length."""
    sql = b"SELECT number FROM numbers(200000)"
    plain, streamed = server.ask(sql), server.ask(sql, wait_end_of_query="0")
    assert streamed.body == plain.body
    assert "Content-Length" in plain.headers
    assert streamed.headers["Transfer-Encoding"] == "chunked"
    assert re.fullmatch("[a-z0-9]{16}", streamed.headers["X-ClickHouse-Exception-Tag"])
    refused = server.ask(b"SELECT nothing", wait_end_of_query="0")
    assert (refused.status, refused.headers["X-ClickHouse-Exception-Code"]) == (404, "47")


def test_a_streamed_answer_that_fails_is_incomplete(server: Server) -> None:
    """Also for who does not look for the error inside: there is no last chunk."""
    sql = b"SELECT throwIf(number = 900000) FROM numbers(1000000)"
    with pytest.raises(http.client.IncompleteRead) as broken:
        server.ask(sql, wait_end_of_query="0", max_block_size="10000")
    assert b"Code: 395. DB::Exception" in broken.value.partial
    assert broken.value.partial.startswith(b"0\n0\n")


def test_a_streamed_answer_is_never_held_whole(server: Server) -> None:
    """While 500 MB of lines pass, the server grows by less than 200: what a few blocks take."""
    group = [one for one in psutil.process_iter() if os.getpgid(one.pid) == server.child.pid]
    assert group
    before = sum(one.memory_info().rss for one in group)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    sql = "SELECT repeat('x', 99) FROM numbers(5000000)"
    connection.request("POST", "/?wait_end_of_query=0", body=sql.encode())
    answer = connection.getresponse()
    read = most = 0
    while piece := answer.read(1 << 22):
        read += len(piece)
        most = max(most, sum(one.memory_info().rss for one in group))
    connection.close()
    assert read == 500_000_000
    assert most - before < 200_000_000


def test_a_query_id_cannot_add_headers(server: Server) -> None:
    """Line ends in what is echoed are dropped."""
    assert "X-Evil" not in server.ask(b"SELECT 1", query_id="a\r\nX-Evil: 1").headers


def test_get_only_reads(server: Server, table: str) -> None:
    """A link cannot drop a table."""
    reply = server.ask(method="GET", query=f"DROP TABLE {table}")
    assert reply.headers["X-ClickHouse-Exception-Code"] == "164"
    assert server.ask(method="GET", query="SELECT 1").body == b"1\n"


def test_web_pages_and_strangers_are_refused(server: Server) -> None:
    """Neither a page in the user's browser nor a wrong password gets in."""
    assert server.ask(b"SELECT 1", headers={"Origin": "http://example.com"}).status == 403
    assert server.ask(b"SELECT 1", password="wrong").headers["X-ClickHouse-Exception-Code"] == "516"
    assert server.ask(b"SELECT 1", headers={"X-ClickHouse-User": "root"}).status == 403
    for value in ("Basic !", "Basic abc", "Basic /w=="):
        assert server.ask(b"SELECT 1", headers={"Authorization": value}).status == 403


def test_other_paths_are_not_found(server: Server) -> None:
    """A query sent to a path that a server does not know is not run."""
    url = f"http://127.0.0.1:{server.port}"
    assert _get(url, "/nowhere?query=SELECT+1") == ""
    assert _get(url, "/?query=SELECT+1") == "1\n"


def test_twenty_queries_run_side_by_side(server: Server) -> None:
    """A short query does not wait for long ones, and each gets its own answer."""

    def one(n: int) -> bytes:
        return server.ask(f"SELECT {n}, sleep(0.2)".encode()).body

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(one, range(20))) == [f"{n}\t0\n".encode() for n in range(20)]


def test_concurrent_inserts_all_arrive(server: Server, client: Client, table: str) -> None:
    """Inserts at the same time neither mix nor lose rows."""

    def one(n: int) -> int:
        data = b"".join(b"%d\t%d\n" % (n * 1000 + i, n) for i in range(1000))
        return server.ask(data, query=f"INSERT INTO {table} FORMAT TSV").status

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(8))) == {200}
    sql = f"SELECT uniqExact(n), countIf(toString(intDiv(n, 1000)) = s) FROM {table}"
    assert client.query(sql).result_rows == [(8000, 8000)]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(codec="utf-8")), data=st.binary(max_size=64))
def test_any_text_and_bytes_survive(server: Server, text: str, data: bytes) -> None:
    """Every parameter and every literal comes back as it was."""
    escaped = text.encode().replace(b"\\", b"\\\\").replace(b"\t", b"\\t").replace(b"\n", b"\\n")
    reply = server.ask(b"SELECT {p:String} FORMAT RawBLOB", param_p=escaped.decode())
    assert reply.body == text.encode()
    literal = b"unhex('" + data.hex().encode() + b"')"
    assert server.ask(b"SELECT " + literal + b" FORMAT RawBLOB").body == data


def test_a_second_process_on_the_data_is_told(server: Server) -> None:
    """The folder belongs to one process; another ends with a clear error."""
    run = subprocess.run(server.command(), capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "Another process has the ClickHouse data" in run.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.com", ""])
def test_only_the_loopback_is_served(host: str) -> None:
    """An address that others can reach is refused."""
    with pytest.raises(SetupError, match="not a loopback address"):
        require_loopback(host)


@pytest.mark.skipif(sys.platform != "linux", reason="signals one thread by Linux's own call")
def test_a_signal_that_another_thread_gets_ends_it(tmp_path: Path) -> None:
    """The kernel may choose any thread, and the engine has many beside the main one."""
    server = Server(tmp_path)
    server.start()
    assert server.ask(b"SELECT 1").body == b"1\n"
    guard = psutil.Process(server.child.pid)
    (process,) = guard.children()
    tgkill = {"x86_64": 234, "aarch64": 131}[platform.machine()]
    signalled = [
        thread.id
        for thread in process.threads()
        if thread.id != process.pid and _takes_sigterm(process.pid, thread.id)
    ]
    assert ctypes.CDLL(None).syscall(tgkill, process.pid, signalled[-1], signal.SIGTERM) == 0
    assert guard.wait(timeout=20) == 0
    server.child.stop(timeout_s=1)


def _takes_sigterm(process: int, thread: int) -> bool:
    status = Path(f"/proc/{process}/task/{thread}/status").read_text()
    (blocked,) = re.findall(r"SigBlk:\s+([0-9a-f]+)", status)
    return not int(blocked, 16) & (1 << (signal.SIGTERM - 1))


def test_sigterm_lets_a_running_query_end(tmp_path: Path) -> None:
    """The answer of a query that runs still arrives, idle connections do not delay the end."""
    server = Server(tmp_path)
    server.start()
    idle = socket.create_connection(("127.0.0.1", server.port))
    answers: list[bytes] = []
    running = threading.Thread(
        target=lambda: answers.append(server.ask(b"SELECT sleep(1.5), 7").body)
    )
    running.start()
    url = f"http://127.0.0.1:{server.port}"
    busy = "/?query=SELECT+count()+FROM+system.processes+WHERE+query+LIKE+'%25sleep(1.5)%25'"
    while int(_get(url, busy) or 0) < 2:  # itself and the one that sleeps
        pass
    guard = psutil.Process(server.child.pid)
    os.killpg(guard.pid, signal.SIGTERM)
    running.join()
    assert guard.wait(timeout=20) == 0  # by itself: nothing had to be killed
    server.child.stop(timeout_s=1)
    idle.close()
    assert answers == [b"0\t7\n"]


def test_data_and_port_survive_sigkill(tmp_path: Path) -> None:
    """What an insert acknowledged is there after a crash, at the same address."""
    node = ClickHouseNode(tmp_path)
    with node:
        url = node.url
        with clickhouse_connect.get_client(host=node.host, port=node.port) as client:
            client.command("CREATE TABLE t (n UInt32) ENGINE = MergeTree ORDER BY n")
            client.insert("t", [[n] for n in range(1000)], column_names=["n"])
        node.kill()
        assert not node.alive
        node.start()
        assert node.url == url
        assert _get(url, "/?query=SELECT+sum(n)+FROM+t") == "499500\n"
        assert node.engine.split()[0] in {"chdb", "clickhouse"}


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
