"""Origins of web pages, in the one spelling in which browsers send them.

>>> read_origin("HTTPS://App.Example.com:443/")
'https://app.example.com'
"""

import re
from ipaddress import IPv6Address
from typing import Final

ANY_ORIGIN: Final = "*"
"""Stands for every origin; only whoever asks for it gets it."""

_ORIGIN: Final = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_MAX_PORT: Final = 65_535


def read_origin(given: str) -> str:
    """Return an origin as the `Origin` header has it, or `*` as it is.

    Raises:
        ValueError: It is none. `null` is none either: every sandboxed page and local file sends it.
    """
    if given == ANY_ORIGIN:
        return given
    found = _ORIGIN.fullmatch(given.lower())
    if found is None:
        raise ValueError(
            f"{given!r} is not an origin: write scheme, host and port, such as https://app.example.com, "
            f"an international name as xn--…, or {ANY_ORIGIN} for all"
        )
    scheme, host, port = found["scheme"], found["host"], int(found["port"] or 0)
    if found["port"] and not 0 < port <= _MAX_PORT:
        raise ValueError(f"{given!r} is not an origin: its port is not in 1 to {_MAX_PORT}")
    if host.startswith("["):
        host = f"[{IPv6Address(host[1:-1])}]"
    return (
        f"{scheme}://{host}:{port}"
        if port not in {0, _DEFAULT_PORTS[scheme]}
        else f"{scheme}://{host}"
    )
