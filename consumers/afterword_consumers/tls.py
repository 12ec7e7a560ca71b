"""What is wrong with a TLS connection, found by a look at the server: for errors that say too little.

    fault = find_certificate_fault("kafka.internal", 9093, ca_file=None)
    speaks_tls("127.0.0.1", 8123)

Neither sends anything of a user's.
"""

import socket
import ssl
from typing import Final

_LOOK_S: Final = 3.0

_OTHER_NAME: Final = frozenset({62, 64})
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""

_UNTRUSTED: Final = frozenset({18, 19, 20, 21})
"""Self-signed, or signed by an authority that is not known here."""

_EXPIRED: Final = 10


def names_another_host(error: ssl.SSLCertVerificationError) -> bool:
    """Return whether the certificate is trusted, but is for another host name."""
    return error.verify_code in _OTHER_NAME


def explain_certificate(error: ssl.SSLCertVerificationError) -> str:
    """Return what is wrong with a certificate, as the end of a sentence that begins with it.

    >>> error = ssl.SSLCertVerificationError()
    >>> error.verify_code = 18
    >>> explain_certificate(error)
    'is signed by nobody that this machine trusts (it may be self-signed)'
    """
    if names_another_host(error):
        return "is for another host name"
    if error.verify_code in _UNTRUSTED:
        return "is signed by nobody that this machine trusts (it may be self-signed)"
    if error.verify_code == _EXPIRED:
        return "has expired"
    return f"is refused: {error.verify_message}"


def speaks_tls(host: str, port: int) -> bool:
    """Return whether the server at an address begins a TLS connection with whoever comes."""
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    try:
        _shake_hands(host, port, anybody)
    except ssl.SSLError as error:
        # An alert is TLS too: the server wants a certificate, or another version.
        return "ALERT" in (error.reason or "")
    except OSError:
        return False
    return True


def find_certificate_fault(
    host: str, port: int, ca_file: str | None
) -> ssl.SSLCertVerificationError | None:
    """Return why the certificate of a server is refused; None if it is not, or cannot be had."""
    try:
        _shake_hands(host, port, ssl.create_default_context(cafile=ca_file))
    except ssl.SSLCertVerificationError as error:
        return error
    except OSError:
        return None
    return None


def _shake_hands(host: str, port: int, context: ssl.SSLContext) -> None:
    with (
        socket.create_connection((host, port), timeout=_LOOK_S) as plain,
        context.wrap_socket(plain, server_hostname=host),
    ):
        pass
