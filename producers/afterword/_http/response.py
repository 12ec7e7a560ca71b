"""An answer that must be complete in time, however slowly it comes.

    connection.response_class = TimelyResponse

A socket's timeout begins anew with each byte, so a peer that sends one now and then would never be
given up. Here the socket's timeout bounds the head and the body of the answer together.
"""

import socket
from http.client import HTTPResponse
from io import BufferedReader, RawIOBase
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_INTERIM: Final = frozenset({102, 103})  # 100 is skipped by `HTTPResponse` itself


class TimelyResponse(HTTPResponse):
    """The standard library's answer, read within the timeout that its socket has now."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = BufferedReader(_Timely(self.fp.detach(), sock))

    def begin(self) -> None:
        """Read the head; heads that only announce another one are skipped."""
        super().begin()
        while self.status in _INTERIM:
            self.headers = self.msg = None  # type: ignore[assignment]  # or the next would not be read
            super().begin()


class _Timely(RawIOBase):
    """The reading side of a socket, until its time is over."""

    def __init__(self, raw: RawIOBase, sock: socket.socket) -> None:
        self._raw, self._sock = raw, sock
        timeout_s = sock.gettimeout()
        self._until_s = None if timeout_s is None else monotonic() + timeout_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int | None:
        if self._until_s is not None:
            left_s = self._until_s - monotonic()
            if left_s <= 0:
                raise TimeoutError("timed out")
            self._sock.settimeout(left_s)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
