"""Say why ClickHouse cannot be reached or entered, each reason in its own sentence, with what to do.

    raise explain_failure(error, address) from error

The client library wraps what the network and TLS say several times over; the innermost error decides.
"""

import re
import ssl
from collections.abc import Iterator
from http.client import BadStatusLine
from socket import gaierror
from typing import TYPE_CHECKING, Final

from clickhouse_connect.driver.exceptions import Error
from urllib3.exceptions import ConnectTimeoutError, ReadTimeoutError

from afterword_consumers.tls import explain_certificate, names_another_host, speaks_tls
from afterword_schemas import AccessError, RetryableError, UnreachableError

if TYPE_CHECKING:
    from afterword_consumers.clickhouse.client import ClickHouseAddress

_NO_ENTRY: Final = frozenset({192, 193, 194, 516})
"""UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, AUTHENTICATION_FAILED."""

_ACCESS_DENIED: Final = 497
_GRANT: Final = re.compile(r"the grant (?P<grant>[^.(]*(\([^)]*\))?[^.]* ON [^ .]+(\.[^ .]+)?)")

_PORT: Final = "its HTTP interface, 8123 by default"
_ANOTHER_SERVER: Final = re.compile(
    r"Unexpected response to server version query"  # of the client library, where it is not a version
    r"|HTTP status (404|405|501)\b"
    r"|Port \d+ is for clickhouse-client"  # of ClickHouse's native port
)
"""In an error that has no code of ClickHouse's."""

_PLAIN_HTTP_TO_TLS: Final = "plain HTTP request was sent to HTTPS port"

ROW_ERRORS: Final = frozenset(
    {
        6,  # CANNOT_PARSE_TEXT
        26,  # CANNOT_PARSE_QUOTED_STRING
        27,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
        33,  # CANNOT_READ_ALL_DATA
        38,  # CANNOT_PARSE_DATE
        41,  # CANNOT_PARSE_DATETIME
        53,  # TYPE_MISMATCH
        69,  # ARGUMENT_OUT_OF_BOUND
        70,  # CANNOT_CONVERT_TYPE
        72,  # CANNOT_PARSE_NUMBER
        117,  # INCORRECT_DATA
        131,  # TOO_LARGE_STRING_SIZE
        321,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        376,  # CANNOT_PARSE_UUID
        467,  # CANNOT_PARSE_BOOL
        469,  # VIOLATED_CONSTRAINT
    }
)
"""Codes of ClickHouse that speak of the rows. Every other one, an unknown one too, is retried."""


def explain_failure(error: Exception, address: "ClickHouseAddress") -> RetryableError:
    """Return the error to raise in place of one of the client library's or the network's."""
    code = error.code if isinstance(error, Error) else None
    if code is not None:
        return _explain_refusal(error, code, address)
    known = (_explain_cause(cause, address) for cause in _causes(error))
    found = next(filter(None, known), None)
    if found is None and _PLAIN_HTTP_TO_TLS in str(error):
        found = _use_https(address)
    if found is None and _ANOTHER_SERVER.search(str(error)):
        found = _another_server(address)
    return found or RetryableError(first_line(error))


def first_line(error: Exception) -> str:
    """Return what an error says in a line, without the settings that a URL holds."""
    text = str(error).strip()
    # Of the URL all but the address: it holds every setting of the request.
    line = re.sub(r"(with url: )\S+", r"\1…", text.splitlines()[0]) if text else ""
    return line[:500] or type(error).__name__


def _explain_refusal(error: Exception, code: int, address: "ClickHouseAddress") -> RetryableError:
    if code in _NO_ENTRY:
        return AccessError(
            f"ClickHouse at {address.server} refuses user {address.user!r} or the password.",
            "Set AFTERWORD_CLICKHOUSE_USER and AFTERWORD_CLICKHOUSE_PASSWORD.",
            code,
        )
    if code == _ACCESS_DENIED:
        grant = _GRANT.search(str(error))
        missing = f": it lacks {grant['grant']}" if grant else ""
        return AccessError(
            f"ClickHouse at {address.server} does not let user {address.user!r} do this{missing}.",
            "Grant it, or set AFTERWORD_CLICKHOUSE_USER to another user.",
            code,
        )
    if code in ROW_ERRORS:
        return RetryableError(_reason(error, code), code)
    return RetryableError(first_line(error), code)


def _reason(error: Exception, code: int) -> str:
    """Name the reason only: the message quotes the row, whose values stay private."""
    name = getattr(error, "name", "") or "error"
    constraint = re.search(r"Constraint `[^`]+`", str(error))
    return f"{name} (code {code}){f', {constraint[0]}' if constraint else ''}"


def _explain_cause(
    cause: BaseException, address: "ClickHouseAddress"
) -> UnreachableError | AccessError | None:
    where = f"ClickHouse at {address.server}"
    match cause:
        case ssl.SSLError():
            return _explain_tls(cause, where)
        case ReadTimeoutError() | ConnectTimeoutError() | TimeoutError():
            return UnreachableError("ClickHouse", f"{where} did not answer in time", timed_out=True)
        case gaierror():
            return UnreachableError("ClickHouse", f"{where}: there is no host of this name")
        case ConnectionResetError() | BrokenPipeError() | BadStatusLine():
            return _explain_end(cause, address)
        case ConnectionError():
            return UnreachableError("ClickHouse", f"{where} does not answer")
    return None


def _explain_end(
    cause: ConnectionError | BadStatusLine, address: "ClickHouseAddress"
) -> UnreachableError | AccessError:
    """Return what it means that something took the connection, but gave no answer in HTTP."""
    if _wants_tls(address):
        return _use_https(address)
    if not isinstance(cause, ConnectionError):  # a BadStatusLine that is one, too, is of no answer
        return _another_server(address)
    return UnreachableError(
        "ClickHouse",
        f"ClickHouse at {address.server} closes the connection without an answer. It starts or "
        f"stops, or this is not the port of {_PORT}",
    )


def _explain_tls(error: ssl.SSLError, where: str) -> AccessError:
    reason = error.reason or ""
    if isinstance(error, ssl.SSLCertVerificationError):
        step = (
            "Use a name of the certificate in AFTERWORD_CLICKHOUSE_URL."
            if names_another_host(error)
            else "Set AFTERWORD_CLICKHOUSE_CA_FILE to the certificate of its authority, "
            "or AFTERWORD_CLICKHOUSE_VERIFY=false if nobody can stand in between."
        )
        return AccessError(f"{where}: its certificate {explain_certificate(error)}.", step)
    # TLS 1.3 tells a client only after its first request, whose failure may hide the alert.
    if "ALERT" in reason or isinstance(error, ssl.SSLEOFError):
        return AccessError(
            f"{where} refuses the client certificate, or wants one.",
            "Set AFTERWORD_CLICKHOUSE_CLIENT_CERT_FILE and AFTERWORD_CLICKHOUSE_CLIENT_KEY_FILE.",
        )
    if reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}:
        return AccessError(
            f"{where} does not speak TLS at this port.",
            "Write http:// in AFTERWORD_CLICKHOUSE_URL, or give the port of HTTPS, 8443 by default.",
        )
    return AccessError(f"{where}: TLS fails ({reason.lower() or first_line(error)}).")


def _wants_tls(address: "ClickHouseAddress") -> bool:
    return not address.secure and speaks_tls(address.host.strip("[]"), address.port)


def _use_https(address: "ClickHouseAddress") -> AccessError:
    return AccessError(
        f"ClickHouse at {address.server} speaks TLS at this port.",
        "Write https:// in AFTERWORD_CLICKHOUSE_URL, or give the port of HTTP, 8123 by default.",
    )


def _another_server(address: "ClickHouseAddress") -> AccessError:
    return AccessError(
        f"What answers at {address.server} is not the HTTP interface of ClickHouse.",
        f"Give the port of {_PORT}, in AFTERWORD_CLICKHOUSE_URL.",
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came from, the innermost first."""
    wrapped = error.args[0] if error.args else None  # as urllib3 has it
    inner = error.__cause__ or error.__context__ or wrapped
    if isinstance(inner, BaseException):
        yield from _causes(inner)
    yield error
