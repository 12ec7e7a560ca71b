"""Certificates, and a proxy that ends TLS in front of a server that speaks none.

certificate = make_certificate(tmp_path, "here", "IP:127.0.0.1")
with TlsProxy(certificate, clickhouse.port) as proxy: proxy.port
"""

import contextlib
import selectors
import socket
import ssl
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed certificate and its key, in PEM."""

    certificate: Path
    key: Path

    def together(self, path: Path) -> Path:
        """Write both into a file, as Kafka wants them."""
        path.write_text(self.key.read_text() + self.certificate.read_text())
        return path


def make_certificate(folder: Path, name: str, subject: str) -> Certificate:
    """Make a self-signed certificate for a subject such as `IP:127.0.0.1` or `DNS:elsewhere`."""
    made = Certificate(folder / f"{name}.crt", folder / f"{name}.key")
    options = ["-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
    files = ["-keyout", str(made.key), "-out", str(made.certificate)]
    names = ["-addext", f"subjectAltName={subject}"]
    subprocess.run(
        ["openssl", "req", "-x509", *options, *names, *files], check=True, capture_output=True
    )
    return made


class TlsProxy:
    """Takes TLS on a port of the loopback and passes the bytes on to another.

    Args:
        certificate: What it shows.
        target: The port to pass on to.
        clients: Where given, only clients that show this certificate are let in.
    """

    def __init__(
        self, certificate: Certificate, target: int, clients: Certificate | None = None
    ) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.certificate, certificate.key)
        if clients is not None:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(clients.certificate)
        self._target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept)
        self._serving: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        for thread in self._serving:
            thread.join()
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it was shut down
            while True:
                client, _ = self._server.accept()
                thread = threading.Thread(target=self._serve, args=(client,))
                self._serving.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            client,
            self._context.wrap_socket(client, server_side=True) as near,
            socket.create_connection(("127.0.0.1", self._target)) as far,
        ):
            _pass_on(near, far)


def _pass_on(near: ssl.SSLSocket, far: socket.socket) -> None:
    """Pass bytes on both ways until one side ends."""
    with selectors.DefaultSelector() as selector:
        selector.register(near, selectors.EVENT_READ, far)
        selector.register(far, selectors.EVENT_READ, near)
        while True:
            for key, _ in selector.select():
                source, sink = key.fileobj, key.data
                assert isinstance(source, socket.socket)
                piece = source.recv(65_536)
                while isinstance(source, ssl.SSLSocket) and source.pending():
                    piece += source.recv(source.pending())
                if not piece:
                    return
                sink.sendall(piece)
