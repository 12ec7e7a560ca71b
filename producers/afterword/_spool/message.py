"""A message as it stands on disk.

>>> dump_headers([("schema", b"feedback/v1")])
'[["schema","feedback/v1"]]'
"""

from functools import lru_cache
from typing import NamedTuple

import orjson

from afterword._transport import Headers


class Message(NamedTuple):
    """What a row is made of.

    Attributes:
        headers: As of `dump_headers`.
    """

    key: bytes
    value: bytes
    headers: str
    timestamp_ms: int


def dump_headers(headers: Headers) -> str:
    """Return headers as JSON; a character stands for each byte of a value."""
    return orjson.dumps([(name, value.decode("latin-1")) for name, value in headers]).decode()


@lru_cache
def parse_headers(text: str) -> Headers:
    """Return what `dump_headers` was given."""
    return [(name, value.encode("latin-1")) for name, value in orjson.loads(text)]
