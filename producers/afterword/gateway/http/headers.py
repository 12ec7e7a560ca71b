"""The headers of a request by name, read once: Starlette searches the list of them at each look."""

from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from starlette.requests import HTTPConnection

_KEPT: Final = "afterword.headers"


def headers_of(request: HTTPConnection) -> Mapping[str, str]:
    """Return the headers of a request, names in lower case; the last of those that came twice."""
    return headers_in(request.scope)


def headers_in(scope: MutableMapping[str, Any]) -> Mapping[str, str]:
    """Return the headers of an ASGI scope; see `headers_of`."""
    found: Mapping[str, str] | None = scope.get(_KEPT)
    if found is None:
        found = scope[_KEPT] = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
    return found
