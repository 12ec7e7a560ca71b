"""Where the gateway is, and the key for it, checked when the transport is made.

    target = Target.of("https://feedback.example.org/afterword", "aw_secret_…")
    target.path                                 # /afterword/v1/feedback

Nothing here shows the key: not a repr, not a log, not an error; nor an error the URL, which may hold a
password.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from afterword._loopback import is_loopback
from afterword_schemas.errors import ConfigurationError

_log = logging.getLogger("afterword.http")

_ROUTE: Final = "/v1/feedback"
_KEY: Final = re.compile(r"[!-~]+")
_EXAMPLE: Final = 'Pass the gateway\'s address, as in url="https://feedback.example.org".'


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go.

    Attributes:
        encrypted: Whether by TLS.
        host: Name or address, an IPv6 address without brackets.
        port: None for the scheme's own.
        path: Of the route.
        api_key: Empty for none.
    """

    encrypted: bool
    host: str
    port: int | None
    path: str
    api_key: str = field(repr=False)

    @classmethod
    def of(cls, url: str, api_key: str | None) -> Self:
        """Check a URL and a key.

        Raises:
            ConfigurationError: One of them has not its form.
        """
        parts = _parse(url)
        if api_key is not None and not _KEY.fullmatch(api_key):
            raise ConfigurationError(
                "The api_key is empty, or holds what no key does, such as a space."
            )
        path = (parts.path or "").rstrip("/") + _ROUTE
        host = (parts.host or "").strip("[]")
        if api_key and parts.scheme == "http" and not is_loopback(host):
            _log.warning("The api_key goes to %s unencrypted; use https.", host)
        return cls(parts.scheme == "https", host, parts.port, path, api_key or "")

    @property
    def place(self) -> str:
        """Host and port, as a person would look for them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port or (443 if self.encrypted else 80)}"

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of every request."""
        headers = {"content-type": "application/json", "user-agent": "afterword"}
        return headers | {"authorization": f"Bearer {self.api_key}"} if self.api_key else headers

    def redact(self, text: bytes) -> bytes:
        """Take the key out of what the other end says."""
        return text.replace(self.api_key.encode(), b"*") if self.api_key else text


def _parse(url: str) -> Url:
    try:
        parts = parse_url(url)
    except LocationParseError:
        raise ConfigurationError("The url is none.", _EXAMPLE) from None
    if parts.scheme not in {"http", "https"} or not parts.host:
        raise ConfigurationError("The url takes http or https, and a host.", _EXAMPLE)
    if parts.auth is not None:
        raise ConfigurationError("The url holds a name or password.", "Pass the key as api_key=.")
    if parts.query is not None or parts.fragment is not None:
        raise ConfigurationError("The url ends with a query or a fragment.", _EXAMPLE)
    return parts
