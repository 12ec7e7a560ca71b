"""ClickHouse behind TLS and logins: each fault has its own sentence, with the setting that mends it."""

import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from tests.deploy.tls_proxy import Certificate, TlsProxy, make_certificate

from afterword_consumers.clickhouse.client import ClickHouse, ClickHouseAddress
from afterword_consumers.clickhouse.faults import explain_failure
from afterword_schemas import AccessError
from afterword_stack.local.clickhouse import ClickHouseNode
from afterword_stack.local.kafka import KafkaNode
from afterword_stack.run.database import prepare_database
from afterword_stack.settings import Settings, load_settings

if TYPE_CHECKING:
    from tests.deploy.conftest import Afterword

    from afterword_stack.local.clickhouse_config import Value

pytestmark = pytest.mark.services

SetUp = Callable[..., str]


class AnsweringServer(socketserver.ThreadingTCPServer):
    """A server that says the same to whoever asks."""

    def __init__(self, answer: bytes) -> None:
        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                self.request.recv(65536)
                self.request.sendall(answer)

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.05,)).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


@pytest.fixture
def here(tmp_path: Path) -> Certificate:
    """A certificate of this machine's loopback address."""
    return make_certificate(tmp_path, "here", "IP:127.0.0.1")


@pytest.fixture
def secure(
    here: Certificate,
    clickhouse: ClickHouseNode,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    """The address of ClickHouse behind TLS, which the settings name."""
    assert settings.clickhouse_database
    with TlsProxy(here, clickhouse.port) as proxy:
        url = f"https://127.0.0.1:{proxy.port}"
        monkeypatch.setenv("AFTERWORD_CLICKHOUSE_URL", url)
        yield url


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[ClickHouseNode]:
    """A ClickHouse where ada may do everything, and the reader may only read."""
    users: dict[str, dict[str, Value]] = {
        "ada": {"password": "secret"},
        "reader": {"password": "known", "grants": {"query": ["GRANT SELECT ON *.*"]}},
    }
    with ClickHouseNode(tmp_path / "guarded", users=users) as node:
        yield node


def test_a_self_signed_certificate_is_named(
    afterword: "Afterword", secure: str, here: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what to set; a file of authorities opens the door, and so does looking away."""
    ran = afterword("paths")
    assert ran.status == 2
    assert ran.err == (
        f"afterword: ClickHouse at {secure}: its certificate is signed by nobody that this machine "
        "trusts (it may be self-signed). Set AFTERWORD_CLICKHOUSE_CA_FILE to the certificate of "
        "its authority, or AFTERWORD_CLICKHOUSE_VERIFY=false if nobody can stand in between.\n"
    )
    assert (
        f"✗ ClickHouse at {secure}: its certificate is signed by nobody" in afterword("doctor").out
    )
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_CA_FILE", str(here.certificate))
    assert afterword("paths").status == 0
    monkeypatch.delenv("AFTERWORD_CLICKHOUSE_CA_FILE")
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_VERIFY", "false")
    assert afterword("paths").status == 0


def test_a_certificate_of_another_host_is_named(
    afterword: "Afterword",
    settings: Settings,
    clickhouse: ClickHouseNode,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is trusted, but the name in the address is not its own."""
    assert settings.clickhouse_database
    other = make_certificate(tmp_path, "other", "DNS:elsewhere")
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_CA_FILE", str(other.certificate))
    with TlsProxy(other, clickhouse.port) as proxy:
        url = f"https://127.0.0.1:{proxy.port}"
        monkeypatch.setenv("AFTERWORD_CLICKHOUSE_URL", url)
        ran = afterword("paths")
    assert ran.status == 2
    assert ran.err == (
        f"afterword: ClickHouse at {url}: its certificate is for another host name. "
        "Use a name of the certificate in AFTERWORD_CLICKHOUSE_URL.\n"
    )


def test_tls_against_a_port_without_it_is_named(
    afterword: "Afterword",
    settings: Settings,
    clickhouse: ClickHouseNode,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And the reverse: neither looks like a server that is away."""
    assert settings.clickhouse_database
    url = f"https://127.0.0.1:{clickhouse.port}"
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_URL", url)
    ran = afterword("paths")
    assert ran.status == 2
    assert ran.err == (
        f"afterword: ClickHouse at {url} does not speak TLS at this port. Write http:// in "
        "AFTERWORD_CLICKHOUSE_URL, or give the port of HTTPS, 8443 by default.\n"
    )


def test_a_port_of_tls_is_named_to_who_speaks_none(
    afterword: "Afterword", secure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As https:// was forgotten."""
    url = secure.replace("https", "http")
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_URL", url)
    ran = afterword("paths")
    assert ran.status == 2
    assert ran.err == (
        f"afterword: ClickHouse at {url} speaks TLS at this port. Write https:// in "
        "AFTERWORD_CLICKHOUSE_URL, or give the port of HTTP, 8123 by default.\n"
    )


def test_the_port_of_kafka_is_named(
    afterword: "Afterword", kafka: KafkaNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It closes the connection. So does a server that starts behind a proxy: another try may help."""
    url = f"http://{kafka.bootstrap_servers}"
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_URL", url)
    ran = afterword("paths")
    assert ran.status == 1
    assert ran.err == (
        f"afterword: ClickHouse at {url} closes the connection without an answer. It starts or "
        "stops, or this is not the port of its HTTP interface, 8123 by default; see `afterword "
        "doctor`\n"
    )
    assert f"✗ ClickHouse at {url} closes the connection without" in afterword("doctor").out


NATIVE_PORT = (
    "HTTP/1.0 400 Bad Request\r\n\r\nPort 9000 is for clickhouse-client program\r\n"
    "You must use port 8123 for HTTP.\r\n"
)


@pytest.mark.parametrize(
    "answer",
    [
        "SSH-2.0-OpenSSH_9.2\r\n",
        NATIVE_PORT,
        "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<!doctype html>",
    ],
    ids=["ssh", "native", "not-found", "page"],
)
def test_a_port_of_another_server_is_named(
    afterword: "Afterword", monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """Whatever answers there: a person must change the address."""
    with AnsweringServer(answer.encode()) as server:
        monkeypatch.setenv("AFTERWORD_CLICKHOUSE_URL", server.url)
        ran = afterword("paths")
    assert ran.status == 2
    assert ran.err == (
        f"afterword: What answers at {server.url} is not the HTTP interface of ClickHouse. Give the "
        "port of its HTTP interface, 8123 by default, in AFTERWORD_CLICKHOUSE_URL.\n"
    )


def test_a_client_certificate_is_asked_for_and_taken(  # noqa: PLR0917  # fixtures
    afterword: "Afterword",
    here: Certificate,
    settings: Settings,
    guarded: ClickHouseNode,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Certificate and key are settings; a password goes along with them, or they are the login."""
    prepare_database(replace(settings.clickhouse, host=guarded.host, port=guarded.port))
    mine = make_certificate(tmp_path, "mine", "DNS:mine")
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_CA_FILE", str(here.certificate))
    with TlsProxy(here, guarded.port, clients=mine) as proxy:
        url = f"https://127.0.0.1:{proxy.port}"
        monkeypatch.setenv("AFTERWORD_CLICKHOUSE_URL", url)
        ran = afterword("paths")
        assert ran.status == 2
        assert (
            f"ClickHouse at {url} refuses the client certificate, or wants one. Set AFTER"
            in ran.err
        )
        monkeypatch.setenv("AFTERWORD_CLICKHOUSE_CLIENT_CERT_FILE", str(mine.certificate))
        monkeypatch.setenv("AFTERWORD_CLICKHOUSE_CLIENT_KEY_FILE", str(mine.key))
        assert "refuses user 'default' or the password" in afterword("paths").err
        monkeypatch.setenv("AFTERWORD_CLICKHOUSE_USER", "ada")
        monkeypatch.setenv("AFTERWORD_CLICKHOUSE_PASSWORD", "secret")
        assert afterword("paths").status == 0


def test_a_file_that_is_not_there_is_named_by_its_setting(
    afterword: "Afterword", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is asked."""
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_CA_FILE", "nowhere.pem")
    ran = afterword("paths")
    assert ran.status == 2
    assert "Setting clickhouse_ca_file (AFTERWORD_CLICKHOUSE_CA_FILE): Path does not" in ran.err


def test_a_right_that_a_user_lacks_is_named(guarded: ClickHouseNode) -> None:
    """With the grant, and for each try."""
    reader = ClickHouse(
        ClickHouseAddress(guarded.host, guarded.port, "default", user="reader", password="known")
    )
    assert reader.select("SELECT currentUser()") == (("reader",),)
    with pytest.raises(AccessError, match=r"let user 'reader' do this: it lacks CREATE DATABASE"):
        reader.command("CREATE DATABASE d")
    reader.close()


def test_a_missing_right_is_named_with_the_grant() -> None:
    """As other versions of ClickHouse say it."""
    said = (
        "Received ClickHouse exception, code: 497, server response: Code: 497. DB::Exception: "
        "reader: Not enough privileges. To execute this query, it's necessary to have the grant "
        "INSERT(id, value) ON afterword.feedback. (ACCESS_DENIED)"
    )
    address = ClickHouseAddress(user="reader")
    error = explain_failure(DatabaseError(said, code=497), address)
    assert isinstance(error, AccessError)
    assert str(error) == (
        "ClickHouse at http://127.0.0.1:8123 does not let user 'reader' do this: it lacks "
        "INSERT(id, value) ON afterword.feedback. "
        "Grant it, or set AFTERWORD_CLICKHOUSE_USER to another user."
    )


def test_a_host_that_nobody_knows_is_named() -> None:
    """And not taken for a server that is away."""
    clickhouse = ClickHouse(ClickHouseAddress(host="no-such-host.invalid"))
    with pytest.raises(Exception, match="there is no host of this name"):
        clickhouse.query("SELECT 1")


def test_settings_of_tls_reach_the_connection(
    here: Certificate, own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All four of them."""
    assert own_folders.is_dir()
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_CA_FILE", str(here.certificate))
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_CLIENT_CERT_FILE", str(here.certificate))
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_CLIENT_KEY_FILE", str(here.key))
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_VERIFY", "false")
    found = load_settings().clickhouse
    assert (found.ca_file, found.verify) == (str(here.certificate), False)
    assert (found.client_cert_file, found.client_key_file) == (str(here.certificate), str(here.key))
