"""The key and the certificate: what shows, and whom events are given to."""

import logging
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import wait_until

from afterword import HttpTransport

SECRET = "aw_secret_7f3a_not-for-anybody"


def test_the_key_shows_nowhere(
    server: Any, caplog: pytest.LogCaptureFixture, reply: Any, collect: Any
) -> None:
    """Not in a repr, a log or an error, even where the other end sends it back."""
    caplog.set_level(logging.DEBUG)
    server.script.extend([reply.whole(401, f"Bearer {SECRET} is not known")] * 50)
    transport = HttpTransport(server.url, SECRET)
    reports = collect(transport)
    reports.send()
    assert transport._queue is not None
    shown = [repr(transport), repr(transport._queue), repr(transport._queue._gateway._target)]
    transport.close(20)
    assert [str(each) for each in reports] == ["the answer was 401: Bearer * is not known"]
    assert SECRET not in " ".join([*shown, caplog.text, *map(str, reports)])


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody vouches for, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=gateway", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", folder / "key.pem", "-out", folder / "certificate.pem"),
        ],
        check=True,
        capture_output=True,
    )
    return folder


def test_a_certificate_is_verified(server: Any, certificate: Path, collect: Any) -> None:
    """A gateway that nobody vouches for gets no event; `ssl_context` is how to vouch for it."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate / "certificate.pem", certificate / "key.pem")
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.scheme = "https"
    transport = HttpTransport(server.url, SECRET)
    reports = collect(transport)
    reports.send()
    assert transport._queue is not None
    schedule = transport._queue._schedule
    wait_until(lambda: "is not trusted" in schedule.reason)
    transport.close(0)
    assert "is not trusted: self-signed certificate" in str(reports[0])
    assert server.received == []
    trusting = ssl.create_default_context(cafile=certificate / "certificate.pem")
    transport = HttpTransport(server.url, SECRET, ssl_context=trusting)
    reports = collect(transport)
    reports.send()
    transport.close(20)
    assert reports == [None]
