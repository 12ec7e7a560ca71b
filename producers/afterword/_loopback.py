"""Which host names mean this machine."""

from functools import lru_cache
from ipaddress import ip_address


@lru_cache(1024)
def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine, as seen from itself.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("10.0.0.7")
    (True, True, False)
    """
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
