"""Why a request got no answer, in words that say what to look at.

explain(error, target, timeout_s=30)        # 127.0.0.1:8080 refuses the connection: …
"""

from ssl import SSLCertVerificationError, SSLError
from typing import Final

from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
)

from afterword._http.target import Target

_PLAIN: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"})


def explain(  # noqa: PLR0911  # a sentence for each case
    error: Exception, target: Target, *, timeout_s: float
) -> str:
    """Return the reason, with host and port, and never the path or the key."""
    place = target.place
    match error:
        case NameResolutionError():
            return f"the host name {target.host} is not known"
        case NewConnectionError() if isinstance(error.__cause__, ConnectionRefusedError):
            return f"{place} refuses the connection: does the gateway run there?"
        case NewConnectionError() if isinstance(error.__cause__, OSError):
            return f"{place}: {error.__cause__.strerror or error.__cause__}"
        case ConnectTimeoutError():
            return f"{place} took no connection within {timeout_s:g} s"
        case SSLCertVerificationError():
            return (
                f"the certificate of {place} is not trusted: {error.verify_message}; "
                "HttpTransport(ssl_context=…) takes your own authority"
            )
        case SSLError() if error.reason in _PLAIN:
            return f"{place} does not speak TLS: is the url http://?"
        case TimeoutError() | ReadTimeoutError():
            return f"{place} gave no answer within {timeout_s:g} s"
        case HTTPError() | OSError():
            return f"{place}: {error}"
        case _:
            return str(error) or type(error).__name__
