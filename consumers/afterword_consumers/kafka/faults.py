"""Say why Kafka cannot be reached or entered, each reason in its own sentence, with what to do.

    with open_admin("127.0.0.1:9092", {}) as admin:
        admin.list_topics(timeout=5)

A request fails with "Broker transport failure" whatever the reason; librdkafka tells that to `error_cb`
at most. Where it tells nothing, a look at the broker's port does.
"""

import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from afterword_consumers.tls import (
    explain_certificate,
    find_certificate_fault,
    names_another_host,
    speaks_tls,
)
from afterword_schemas import AccessError, ConfigurationError, UnreachableError

ASKS_ONLY: Final[Mapping[str, Any]] = {"allow.auto.create.topics": False}
"""Settings of an admin client. By default its question about a topic that is missing creates the topic,
where the broker allows that."""

PASSING: Final = {
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.OFFSET_NOT_AVAILABLE,
}
"""Leaders and coordinators move: the client leaves it to its caller to ask again."""

_CONNECT_S: Final = 3.0
_HTTP_S: Final = 1.0
_DEFAULT_PORT: Final = 9092
_OFFERED: Final = re.compile(r"supported mechanisms: *(?P<offered>[A-Z0-9,\- ]*)")
_IN_KAFKA: Final = "in the setting kafka (AFTERWORD_KAFKA)"

_TOPIC_DENIED: Final = KafkaError.TOPIC_AUTHORIZATION_FAILED
_DENIED: Final = {
    _TOPIC_DENIED: "the topic",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "the consumer group",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "the cluster",
}

_NO_ANSWER: Final = {KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN}  # noqa: SLF001  # their public names


@contextmanager
def open_admin(bootstrap_servers: str, settings: Mapping[str, Any]) -> Iterator[AdminClient]:
    """Give a client that asks a broker; what fails in the block says what is wrong.

    Raises:
        ConfigurationError: The client refuses a setting.
        UnreachableError: No broker answers.
        AccessError: It does not let this client in.
    """
    seen: list[KafkaError] = []
    own: dict[str, Any] = {
        **ASKS_ONLY,
        "bootstrap.servers": bootstrap_servers,
        "error_cb": seen.append,
        "log_level": 0,
    }
    try:
        admin = AdminClient({**settings, **own})
    except (KafkaException, TypeError, ValueError) as error:
        cause = error.args[0] if error.args else error
        said = cause.str() if isinstance(cause, KafkaError) else cause
        raise ConfigurationError(f"The Kafka settings are refused: {said}.") from error
    try:
        yield admin
    except KafkaException as error:
        admin.poll(0)
        raise explain_failure(error, seen, {**settings, **own}) from error


def explain_failure(
    error: KafkaException, seen: Sequence[KafkaError], settings: Mapping[str, Any]
) -> UnreachableError | AccessError:
    """Return the error to raise in place of one of the client library's.

    Args:
        error: What the request failed with.
        seen: What the client told `error_cb` meanwhile.
        settings: The client's, with `bootstrap.servers`.
    """
    where = f"Kafka at {settings['bootstrap.servers']}"
    if (denied := explain_denial(error.args[0], where)) is not None:
        return denied
    for told in seen:
        if (found := _explain_told(told, where, settings)) is not None:
            return found
    return _look(where, seen, settings) or _explain_silence(error.args[0], where)


def _explain_silence(error: KafkaError, where: str) -> UnreachableError:
    if error.code() in _NO_ANSWER:
        return UnreachableError(
            "Kafka", f"{where} takes connections, but does not answer", timed_out=True
        )
    return UnreachableError("Kafka", f"{where} does not answer as it should: {error.str()}")


def check_topic(error: KafkaError | None, topic: str, servers: str) -> None:
    """Raise what it means that a broker names a fault of a topic that it was asked about.

    Raises:
        ConfigurationError: It has no such topic.
        AccessError: It does not let this client see it.
        KafkaException: The fault passes, as while the leaders of a new topic are being chosen.
    """
    if error is None:
        return
    if error.code() in PASSING:
        raise KafkaException(error)
    raise explain_denial(error, f"Kafka at {servers}", f"topic {topic}") or ConfigurationError(
        f"Topic {topic} does not exist on {servers}.",
        "Create it, or set AFTERWORD_KAFKA_TOPIC to another.",
    )


def explain_denial(error: KafkaError, where: str, what: str = "") -> AccessError | None:
    """Return the error to raise where a right is missing; None if that is not the reason."""
    denied = _DENIED.get(error.code())
    if denied is None:
        return None
    return AccessError(
        f"{where} does not let this user see {what or denied}.",
        "Grant it DESCRIBE and READ on topic and group, and WRITE on the topic to publish.",
    )


def _explain_told(told: KafkaError, where: str, settings: Mapping[str, Any]) -> AccessError | None:
    text = told.str()
    if "certificate verify failed" in text:
        return _explain_certificate(where, settings)
    if "PLAINTEXT broker listener" in text or "wrong version number" in text:
        return AccessError(
            f"{where} does not speak TLS at this port.",
            f'Set "security.protocol" {_IN_KAFKA} to PLAINTEXT or SASL_PLAINTEXT, '
            "or give the port of a TLS listener.",
        )
    if "alert" in text:
        return AccessError(
            f"{where} refuses the client certificate, or wants one.",
            f'Set "ssl.certificate.location" and "ssl.key.location" {_IN_KAFKA}.',
        )
    if told.code() == KafkaError._AUTHENTICATION:  # noqa: SLF001  # its public name
        return _explain_login(text, where, settings)
    return None


def _explain_certificate(where: str, settings: Mapping[str, Any]) -> AccessError:
    host, port = _first_server(settings)
    fault = find_certificate_fault(host, port, settings.get("ssl.ca.location"))
    if fault is not None and names_another_host(fault):
        step = "Use a name of the certificate as bootstrap server and in advertised.listeners."
    else:
        step = f'Set "ssl.ca.location" {_IN_KAFKA} to the certificate of its authority.'
    what = "is not trusted" if fault is None else explain_certificate(fault)
    return AccessError(f"{where}: its certificate {what}.", step)


def _explain_login(text: str, where: str, settings: Mapping[str, Any]) -> AccessError:
    offered = _OFFERED.search(text)
    if offered is None:
        return AccessError(
            f"{where} refuses the user or the password.",
            f'Check "sasl.username" and "sasl.password" {_IN_KAFKA}.',
        )
    if not offered["offered"].strip():
        return AccessError(
            f"{where} takes no login at this port.",
            f'Set "security.protocol" {_IN_KAFKA} to PLAINTEXT or SSL, '
            "or give the port of a SASL listener.",
        )
    own = settings.get("sasl.mechanism", settings.get("sasl.mechanisms", "GSSAPI"))
    return AccessError(
        f"{where} does not offer the SASL mechanism {own}; it offers {offered['offered'].strip()}.",
        f'Set "sasl.mechanism" {_IN_KAFKA} to one of these.',
    )


def _look(
    where: str, seen: Sequence[KafkaError], settings: Mapping[str, Any]
) -> UnreachableError | AccessError | None:
    """Look at the port of the first broker, where the client library does not say what is wrong."""
    host, port = _first_server(settings)
    try:
        socket.create_connection((host, port), timeout=_CONNECT_S).close()
    except socket.gaierror:
        return UnreachableError("Kafka", f"{where}: there is no host {host}")
    except OSError:
        return UnreachableError("Kafka", f"{where} does not answer")
    protocol = str(settings.get("security.protocol", "plaintext")).upper()
    if protocol.endswith("PLAINTEXT") and speaks_tls(host, port):
        return AccessError(
            f"{where} speaks TLS at this port.",
            f'Set "security.protocol" {_IN_KAFKA} to SSL or SASL_SSL, '
            "or give the port of a listener without TLS.",
        )
    if _speaks_http(host, port):
        return AccessError(
            f"{where}: an HTTP server answers at this port, not Kafka.",
            f"Give the port of a broker, {_DEFAULT_PORT} by default.",
        )
    closed = any(told.code() == KafkaError._ALL_BROKERS_DOWN for told in seen)  # noqa: SLF001  # as above
    if closed and not protocol.startswith("SASL"):
        return UnreachableError(  # a broker that starts does the same
            "Kafka",
            f"{where} closes the connection. It is starting, or wants a login: then set "
            f'"security.protocol" {_IN_KAFKA} to SASL_PLAINTEXT or SASL_SSL, with a mechanism, '
            "a user and a password",
        )
    return None


def _speaks_http(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=_HTTP_S) as connection:
            connection.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
            return connection.recv(5) == b"HTTP/"
    except OSError:
        return False


def _first_server(settings: Mapping[str, Any]) -> tuple[str, int]:
    first = str(settings["bootstrap.servers"]).partition(",")[0].strip().rpartition("://")[2]
    host, colon, port = first.rpartition(":")
    return (host.strip("[]"), int(port)) if colon and port.isdecimal() else (first, _DEFAULT_PORT)
