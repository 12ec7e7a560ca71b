"""One request to the gateway at a time, on a connection that is kept.

    gateway = GatewayConnection(target, ssl_context=None, timeout_s=30)
    answer = gateway.post(items, keys)

Whatever the network and whoever is in between may do, `post` returns a verdict on each item, and only
an answer that names the items' own ids says that they were delivered.
"""

import encodings.idna  # noqa: F401  # or the thread would load it, and a fork amid that would break it
import gzip
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from ssl import SSLContext
from time import monotonic
from typing import Final

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import InvalidHeader
from urllib3.response import HTTPResponse
from urllib3.util import Retry

from afterword._errors import DeliveryFailure, RefusedError
from afterword._http.errors import explain
from afterword._http.response import TimelyResponse
from afterword._http.target import Target
from afterword._http.wire import read_message, read_verdicts
from afterword_schemas.errors import RejectCode, RetryableError

_PACKET_BYTES: Final = 1024  # below it, gzip saves no packet
_GZIP_LEVEL: Final = 1  # half the time of level 6, for a sixth more bytes
_MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
_MAX_RETRY_AFTER_S: Final = 60.0
_SAID_OF_ITEMS: Final = frozenset({200, 207, 422, 503})
_TOO_LARGE: Final = 413
_REDIRECTS: Final = range(300, 400)
_LATER: Final = frozenset({408, 425, 429})
_DISLIKED: Final = frozenset({400, 403, 406})  # what firewalls that read bodies answer
_SERVER_ERROR: Final = 500
_MIN_S: Final = 0.001


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of the items of one request.

    Attributes:
        verdicts: One an item, as of `read_verdicts`.
        retry_after_s: How long the gateway asks to wait.
        divisible: Fewer items may fare better: all together were too large, or something before the
            gateway dislikes the text of one.
        misdirected: URL or key are wrong, as far as one can see from here: time alone mends nothing.
    """

    verdicts: Sequence[DeliveryFailure | None]
    retry_after_s: float = 0.0
    divisible: bool = False
    misdirected: bool = False


class GatewayConnection:
    """A connection to the gateway, for one thread.

    Args:
        target: Where it is, and the key for it.
        ssl_context: For a certificate authority or client certificate of one's own.
        timeout_s: For each of connecting, sending, and having the whole answer.
    """

    # A connection and no pool: a pool has locks, and a fork would copy them while they are held.
    def __init__(self, target: Target, *, ssl_context: SSLContext | None, timeout_s: float) -> None:
        self._target = target
        self._timeout_s = timeout_s
        self._connection = (
            HTTPSConnection(target.host, target.port, timeout=timeout_s, ssl_context=ssl_context)
            if target.encrypted
            else HTTPConnection(target.host, target.port, timeout=timeout_s)
        )
        self._connection.response_class = TimelyResponse

    def post(
        self, items: Sequence[bytes], keys: Sequence[bytes], *, until_s: float = inf
    ) -> Answer:
        """Send events, and return what became of them; raises nothing for what a network may do.

        Args:
            items: As of `to_item`.
            keys: Their ids.
            until_s: When the answer is waited for no more, on the monotonic clock.
        """
        body, headers = b"[" + b",".join(items) + b"]", self._target.headers
        if len(body) > _PACKET_BYTES:
            body = gzip.compress(body, _GZIP_LEVEL, mtime=0)
            headers = {**headers, "content-encoding": "gzip"}
        try:
            response, text = self._exchange(body, headers, until_s)
        except Exception as error:  # noqa: BLE001  # of three libraries; without the thread, all would wait
            self.close()  # or a late answer would be taken for the next request's
            reason = explain(error, self._target, timeout_s=self._timeout_s)
            return Answer([RetryableError(f"the gateway is not reached: {reason}")] * len(keys))
        return _judge(keys, response, self._target.redact(text))

    def close(self) -> None:
        """End the connection; the next request makes another."""
        self._connection.close()

    def abandon(self) -> None:
        """In a forked child: give up this copy of the connection without a word to the other end.

        `close` could wait for a lock that the parent's thread held when it was forked.
        """
        if self._connection.sock is not None:
            with suppress(OSError):
                os.close(self._connection.sock.detach())

    def _exchange(
        self, body: bytes, headers: Mapping[str, str], until_s: float
    ) -> tuple[HTTPResponse, bytes]:
        connection = self._connection
        self._set_timeout(until_s)
        if not connection.is_connected:  # never was, or the gateway ended it meanwhile
            connection.close()
            connection.connect()
        self._set_timeout(until_s)
        with suppress(BrokenPipeError, ConnectionResetError):  # it may have answered before the end
            connection.request(
                "POST",
                self._target.path,
                body,
                headers,
                preload_content=False,
                decode_content=False,
            )
        self._set_timeout(until_s)
        response = connection.getresponse()
        return response, response.read(_MAX_ANSWER_BYTES)

    def _set_timeout(self, until_s: float) -> None:
        self._connection.timeout = max(_MIN_S, min(self._timeout_s, until_s - monotonic()))
        if self._connection.sock is not None:
            self._connection.sock.settimeout(self._connection.timeout)


def _judge(keys: Sequence[bytes], response: HTTPResponse, text: bytes) -> Answer:
    wait_s, status = _retry_after(response), response.status
    if status in _SAID_OF_ITEMS and (verdicts := read_verdicts(keys, text)) is not None:
        return Answer(verdicts, wait_s)
    said = read_message(text)
    if status == _TOO_LARGE:
        return _too_large(len(keys), said)
    later = status in _LATER or status >= _SERVER_ERROR
    error = RetryableError(f"the answer was {status}: {said or _advise(status)}")
    disliked = status in _DISLIKED and not said
    return Answer([error] * len(keys), wait_s, divisible=disliked, misdirected=not later)


def _too_large(count: int, said: str) -> Answer:
    if count > 1:
        return Answer([RetryableError("the request was too large")] * count, divisible=True)
    detail = said or "something before the gateway takes no event of this size"
    return Answer([RefusedError(RejectCode.TOO_LARGE, "$", detail)])


def _advise(status: int) -> str:
    """Say what to do about an answer that is not the gateway's own."""
    if status in _LATER or status >= _SERVER_ERROR:
        return "something before the gateway does not let requests through now"
    if status in _REDIRECTS:
        return "it redirects; pass the url that it leads to"
    return "no gateway answers so; see to the url, the api_key, and what lies between"


def _retry_after(response: HTTPResponse) -> float:
    try:
        return min(Retry(0).get_retry_after(response) or 0.0, _MAX_RETRY_AFTER_S)
    except (InvalidHeader, OverflowError, ValueError):  # the last two for numbers beyond all sense
        return 0.0
