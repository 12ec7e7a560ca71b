"""How ClickHouse's HTTP interface says that something went wrong.

    error = ClickHouseError.from_engine("Code: 60. DB::Exception: Table t does not exist. (UNKNOWN_TABLE)")
    error.code, error.status      # 60, 404

Clients decide by the code and the status whether to try again, so both must be the server's own.
"""

import re
from http import HTTPStatus
from typing import Final, Self

AUTHENTICATION_FAILED: Final = 516
ACCESS_DENIED: Final = 497
BAD_ARGUMENTS: Final = 36
CANNOT_READ_ALL_DATA: Final = 33
NOT_IMPLEMENTED: Final = 48
SYNTAX_ERROR: Final = 62
QUERY_IS_TOO_LARGE: Final = 229
UNKNOWN_EXCEPTION: Final = 1002

# After src/Server/HTTP/exceptionCodeToHTTPStatus.cpp of ClickHouse.
_BAD_REQUEST: Final = frozenset(
    {
        6,
        8,
        15,
        25,
        26,
        27,
        36,
        37,
        38,
        41,
        44,
        53,
        62,
        72,
        117,
        123,
        167,
        168,
        223,
        321,
        376,
        427,
        441,
    }
    | {675, 676}
)
_NOT_FOUND: Final = frozenset({46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511})
_OTHERS: Final = {
    48: HTTPStatus.NOT_IMPLEMENTED,
    76: HTTPStatus.SERVICE_UNAVAILABLE,
    159: HTTPStatus.REQUEST_TIMEOUT,
    192: HTTPStatus.FORBIDDEN,
    193: HTTPStatus.FORBIDDEN,
    194: HTTPStatus.UNAUTHORIZED,
    209: HTTPStatus.SERVICE_UNAVAILABLE,
    229: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    381: HTTPStatus.LENGTH_REQUIRED,
    439: HTTPStatus.SERVICE_UNAVAILABLE,
    497: HTTPStatus.FORBIDDEN,
    512: HTTPStatus.FORBIDDEN,
    516: HTTPStatus.FORBIDDEN,
    779: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
}
_ENGINE_MESSAGE: Final = re.compile(r"Code: (\d+)\. DB::Exception: .*", re.DOTALL)


class ClickHouseError(Exception):
    """A request that gets an error as its answer; never leaves the server's process.

    Attributes:
        code: ClickHouse's error code.
        text: `Code: N. DB::Exception: ... (NAME)`.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code, self.text = code, text

    def __str__(self) -> str:
        return self.text

    @classmethod
    def of(cls, code: int, name: str, detail: str) -> Self:
        """Make an error that the engine did not raise, in the engine's form."""
        return cls(code, f"Code: {code}. DB::Exception: {detail} ({name})")

    @classmethod
    def from_engine(cls, message: str) -> Self:
        """Read the error that the engine wrote, past what wrappers put before it."""
        found = _ENGINE_MESSAGE.search(message)
        if found is None:
            return cls.of(UNKNOWN_EXCEPTION, "UNKNOWN_EXCEPTION", message)
        return cls(int(found[1]), found[0].strip())

    @property
    def status(self) -> HTTPStatus:
        """The HTTP status that a ClickHouse server sends with this code."""
        if self.code in _BAD_REQUEST:
            return HTTPStatus.BAD_REQUEST
        if self.code in _NOT_FOUND:
            return HTTPStatus.NOT_FOUND
        return _OTHERS.get(self.code, HTTPStatus.INTERNAL_SERVER_ERROR)


def broken_off(text: str, tag: str) -> bytes:
    """Return what ends an answer of which a part was sent before the error.

    Args:
        text: The error's.
        tag: The answer's own, of its header `X-ClickHouse-Exception-Tag`.
    """
    said = text.encode(errors="surrogateescape") + b"\n"
    mark = b"__exception__"
    return b"\r\n%b\r\n%b\r\n%b%d %b\r\n%b\r\n" % (
        *(mark, tag.encode(), said),
        *(len(said), tag.encode(), mark),
    )
