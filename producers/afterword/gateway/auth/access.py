"""Who asks, and what they may do: keys, their scopes, and the one project each is bound to.

    access = admit(request, keys, Scope.WRITE, "default")

Where no keys are configured, everybody on this machine may do everything, and nobody else: neither a
remote address nor a web page of another origin that a browser on this machine shows.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request

from afterword._loopback import is_loopback
from afterword.gateway.auth.key_file import Key, KeyFile, Scope
from afterword.gateway.http.headers import headers_of
from afterword.gateway.http.responses import RequestError
from afterword_schemas.errors import ConfigurationError

_MAX_HOST_CHARS: Final = 300
_OF_PROXIES: Final = frozenset(
    {"forwarded", "via", "x-real-ip", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"}
)


@dataclass(frozen=True, slots=True)
class Access:
    """What a request may do.

    Attributes:
        project: The key's; None without keys, where an event names its own.
        key: None without keys.
    """

    project: str | None
    key: Key | None

    @property
    def fixed(self) -> dict[str, str]:
        """The fields of an event that are the key's to say."""
        return {} if self.project is None else {"project": self.project}


def admit(request: Request, keys: KeyFile, scope: Scope) -> Access:
    """Return what a request may do, by the key in its headers.

    Raises:
        RequestError: 401 without a key that is known, 403 if its scope is another.
    """
    if not keys.configured:
        return _admit_local(request)
    return admit_key(presented_key(request), keys, scope)


def admit_key(secret: str, keys: KeyFile, scope: Scope) -> Access:
    """Return what a key may do; errors as for `admit`."""
    key = keys.find(secret)
    if key is None:
        detail = "Send a key: Authorization: Bearer …, or x-portkey-api-key: …"
        if secret:
            detail = "The key is not known, or was revoked; see `afterword keys list`."
        raise RequestError(401, "unauthorized", detail, {"www-authenticate": "Bearer"})
    if scope not in key.scopes:
        may = ", ".join(sorted(key.scopes))
        detail = f"The key may {may}; this takes one that may {scope.value}."
        raise RequestError(403, "forbidden", detail)
    return Access(key.project, key)


def presented_key(request: Request) -> str:
    """Return the key in the headers of a request, or an empty text."""
    headers = headers_of(request)
    kind, _, secret = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and secret.strip():
        return secret.strip()
    return headers.get("x-portkey-api-key", "").strip()


@lru_cache(1024)
def is_of_loopback(url: str) -> bool:
    """Whether the host of a URL, or of `//host:port`, means this machine."""
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:  # brackets that hold no address
        return False


def check_reach(
    host: str, *, keys_configured: bool, part: str = "gateway", scope: Scope = Scope.WRITE
) -> None:
    """Refuse to let other machines in while everybody may do everything.

    Args:
        host: The address to listen on.
        keys_configured: Whether there are keys.
        part: What would listen, and
        scope: what a key to it may do, both for the error.

    Raises:
        ConfigurationError: There are no keys, and `host` is no loopback address.
    """
    if not keys_configured and not is_loopback(host):
        raise ConfigurationError(
            f"Without keys the {part} serves this machine only, and {host} is more than that.",
            f"Make a key first: afterword keys create --project NAME --scope {scope.value}.",
        )


def _admit_local(request: Request) -> Access:
    # The address keeps other machines out, what proxies add those behind one on this machine, Host a name
    # that was rebound to this machine, and Origin the pages of other sites.
    headers = headers_of(request)
    client = request.client.host if request.client else ""
    asked = f"//{headers.get('host', '')}"
    shown = headers.get("origin", asked)
    here = max(len(asked), len(shown)) <= _MAX_HOST_CHARS  # or they would be long in the cache
    here = here and is_loopback(client) and is_of_loopback(asked) and is_of_loopback(shown)
    if not here or not _OF_PROXIES.isdisjoint(headers):
        detail = "Without keys only this machine is served; see `afterword keys create`."
        raise RequestError(403, "forbidden", detail)
    return Access(None, None)
