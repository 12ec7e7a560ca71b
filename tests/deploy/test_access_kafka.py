"""Kafka behind TLS and logins: each fault has its own sentence, with the setting that mends it."""

import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.deploy.tls_proxy import make_certificate

from afterword_consumers.kafka import lag
from afterword_stack.local.clickhouse import ClickHouseNode
from afterword_stack.local.kafka import KafkaNode
from afterword_stack.local.ports import LOOPBACK, persisted_ports

if TYPE_CHECKING:
    from tests.deploy.conftest import Afterword

pytestmark = pytest.mark.services

TOPIC = "feedback.events"
LISTENERS = {
    "PLAINTEXT": "PLAINTEXT",
    "TLS": "SSL",
    "OTHER": "SSL",
    "CLIENTS": "SSL",
    "LOGIN": "SASL_PLAINTEXT",
    "TLSLOGIN": "SASL_SSL",
}
"""The listeners of the broker, by their names, and what they speak."""

ALICE = {"sasl.mechanism": "PLAIN", "sasl.username": "alice", "sasl.password": "secret"}


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker with a listener for each way in."""

    ports: Mapping[str, int]
    authority: Path
    authority_of_other: Path


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker where alice may do nothing, and who comes without a name everything."""
    folder = tmp_path_factory.mktemp("guarded")
    here = make_certificate(folder, "here", f"IP:{LOOPBACK}")
    other = make_certificate(folder, "other", "DNS:elsewhere")
    own = persisted_ports(folder / "ports.json", ["broker", "controller"])
    more = persisted_ports(folder / "more.json", list(LISTENERS)[1:])
    ports = {"PLAINTEXT": own["broker"], **more}
    advertised = ",".join(f"{name}://{LOOPBACK}:{port}" for name, port in ports.items())
    protocols = ",".join(f"{name}:{protocol}" for name, protocol in LISTENERS.items())
    properties = {
        "listeners": f"{advertised},CONTROLLER://{LOOPBACK}:{own['controller']}",
        "advertised.listeners": advertised,
        "listener.security.protocol.map": f"CONTROLLER:PLAINTEXT,{protocols}",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "listener.name.clients.ssl.client.auth": "required",
        "listener.name.clients.ssl.truststore.type": "PEM",
        "listener.name.clients.ssl.truststore.location": str(here.certificate),
    }
    both = here.together(folder / "here.pem")
    stores = {"tls": both, "clients": both, "tlslogin": both}
    for name, store in (stores | {"other": other.together(folder / "other.pem")}).items():
        properties[f"listener.name.{name}.ssl.keystore.type"] = "PEM"
        properties[f"listener.name.{name}.ssl.keystore.location"] = str(store)
    for name in ("login", "tlslogin"):
        properties[f"listener.name.{name}.sasl.enabled.mechanisms"] = "PLAIN"
        properties[f"listener.name.{name}.plain.sasl.jaas.config"] = (
            "org.apache.kafka.common.security.plain.PlainLoginModule required "
            f'user_alice="{ALICE["sasl.password"]}";'
        )
    with KafkaNode(folder, extra_properties=properties) as node:
        node.create_topic(TOPIC)
        yield Broker(ports, here.certificate, other.certificate)


@dataclass(frozen=True, slots=True)
class Fault:
    """A wrong way in: to which listener, with which settings, what is said, and the exit status."""

    listener: str
    settings: Mapping[str, str]
    said: str
    status: int = 2


TLS = {"security.protocol": "SSL"}
LOGIN = {"security.protocol": "SASL_PLAINTEXT", **ALICE}
FAULTS = {
    "self-signed": Fault(
        "TLS",
        TLS,
        ": its certificate is signed by nobody that this machine trusts (it may be self-signed). "
        'Set "ssl.ca.location" in the setting kafka (AFTERWORD_KAFKA) to the certificate of its '
        "authority.",
    ),
    "other-host": Fault(
        "OTHER",
        TLS | {"ssl.ca.location": "OTHER"},
        ": its certificate is for another host name. "
        "Use a name of the certificate as bootstrap server and in advertised.listeners.",
    ),
    "tls-to-plain": Fault(
        "PLAINTEXT",
        TLS,
        ' does not speak TLS at this port. Set "security.protocol" in the setting kafka '
        "(AFTERWORD_KAFKA) to PLAINTEXT or SASL_PLAINTEXT, or give the port of a TLS listener.",
    ),
    "login-over-tls-to-plain": Fault(
        "PLAINTEXT", ALICE | {"security.protocol": "SASL_SSL"}, " does not speak TLS at this port. "
    ),
    "plain-to-tls": Fault(
        "TLS",
        {},
        ' speaks TLS at this port. Set "security.protocol" in the setting kafka (AFTERWORD_KAFKA) '
        "to SSL or SASL_SSL, or give the port of a listener without TLS.",
    ),
    "login-to-tls": Fault("TLSLOGIN", LOGIN, " speaks TLS at this port. "),
    "no-login": Fault(
        "LOGIN",
        {},
        ' closes the connection. It is starting, or wants a login: then set "security.protocol" in '
        "the setting kafka (AFTERWORD_KAFKA) to SASL_PLAINTEXT or SASL_SSL, with a mechanism, a user "
        "and a password; see `afterword doctor`",
        status=1,
    ),
    "login-not-taken": Fault(
        "PLAINTEXT",
        LOGIN,
        ' takes no login at this port. Set "security.protocol" in the setting kafka '
        "(AFTERWORD_KAFKA) to PLAINTEXT or SSL, or give the port of a SASL listener.",
    ),
    "password": Fault(
        "LOGIN",
        LOGIN | {"sasl.password": "wrong"},
        ' refuses the user or the password. Check "sasl.username" and "sasl.password" in the '
        "setting kafka (AFTERWORD_KAFKA).",
    ),
    "mechanism": Fault(
        "LOGIN",
        LOGIN | {"sasl.mechanism": "SCRAM-SHA-256"},
        " does not offer the SASL mechanism SCRAM-SHA-256; it offers PLAIN. "
        'Set "sasl.mechanism" in the setting kafka (AFTERWORD_KAFKA) to one of these.',
    ),
    "no-right": Fault(
        "LOGIN",
        LOGIN,
        f" does not let this user see topic {TOPIC}. Grant it DESCRIBE and READ on topic and group, "
        "and WRITE on the topic to publish.",
    ),
    "client-certificate": Fault(
        "CLIENTS",
        TLS | {"ssl.ca.location": "TLS"},
        " refuses the client certificate, or wants one. "
        'Set "ssl.certificate.location" and "ssl.key.location" in the setting kafka '
        "(AFTERWORD_KAFKA).",
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("command", ["status", "publish"])
def test_each_fault_has_its_own_sentence(  # noqa: PLR0917  # fixtures
    afterword: "Afterword",
    broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    command: str,
    fault: Fault,
) -> None:
    """And status 2 where you must change something for certain. No password is shown."""
    monkeypatch.setattr(lag, "_TIMEOUT_S", 2.0)
    authorities = {"OTHER": broker.authority_of_other, "TLS": broker.authority}
    settings = dict(fault.settings)
    if "ssl.ca.location" in settings:
        settings["ssl.ca.location"] = str(authorities[settings["ssl.ca.location"]])
    server = f"{LOOPBACK}:{broker.ports[fault.listener]}"
    monkeypatch.setenv("AFTERWORD_KAFKA_BOOTSTRAP_SERVERS", server)
    monkeypatch.setenv("AFTERWORD_KAFKA", json.dumps(settings))
    (tmp_path / "events.jsonl").write_text("{}")
    ran = afterword(
        *([command] if command == "status" else [command, str(tmp_path / "events.jsonl")])
    )
    assert f"afterword: Kafka at {server}{fault.said}" in ran.err
    assert ran.status == fault.status
    assert "secret" not in ran.err


@pytest.mark.parametrize(
    ("listener", "settings"),
    [("PLAINTEXT", {}), ("TLS", TLS | {"ssl.ca.location": "TLS"})],
    ids=["plain", "tls"],
)
def test_the_right_way_in_is_taken(
    afterword: "Afterword",
    broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
    listener: str,
    settings: dict[str, str],
) -> None:
    """The same settings, set right, reach the broker: the doctor counts its partitions."""
    server = f"{LOOPBACK}:{broker.ports[listener]}"
    monkeypatch.setenv("AFTERWORD_KAFKA_BOOTSTRAP_SERVERS", server)
    trusted = {"ssl.ca.location": str(broker.authority)} if settings else {}
    monkeypatch.setenv("AFTERWORD_KAFKA", json.dumps(settings | trusted))
    assert f"✓ Kafka {server}, topic {TOPIC}: 1 partition, " in afterword("doctor").out


def test_a_broker_that_hangs_is_unreachable(
    afterword: "Afterword", monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes connections and says nothing: another try may help."""
    monkeypatch.setattr(lag, "_TIMEOUT_S", 1.0)
    with socket.create_server((LOOPBACK, 0)) as server:
        address = f"{LOOPBACK}:{server.getsockname()[1]}"
        monkeypatch.setenv("AFTERWORD_KAFKA_BOOTSTRAP_SERVERS", address)
        ran = afterword("status")
        doctor = afterword("doctor")
    assert ran.status == 1
    assert f"afterword: Kafka at {address} takes connections, but does not answer; see " in ran.err
    assert "→ something listens there: look whether it hangs or is busy, " in doctor.out


def test_an_http_port_is_named(
    afterword: "Afterword", clickhouse: ClickHouseNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ClickHouse's is where two addresses were mixed up; with a scheme before it, too."""
    monkeypatch.setattr(lag, "_TIMEOUT_S", 1.0)
    for address in (f"{LOOPBACK}:{clickhouse.port}", clickhouse.url):
        monkeypatch.setenv("AFTERWORD_KAFKA_BOOTSTRAP_SERVERS", address)
        ran = afterword("status")
        assert ran.status == 2
        assert ran.err.endswith(
            f"afterword: Kafka at {address}: an HTTP server answers at this port, not Kafka. "
            "Give the port of a broker, 9092 by default.\n"
        )
