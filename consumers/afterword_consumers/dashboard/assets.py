"""Style sheets and scripts, each at an address that holds the hash of its content.

    assets.url("page.css")      # /assets/3f2a…/page.css, which a browser may keep for ever

They are read once, and kept compressed beside: the chart library has a megabyte.
"""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_HEADERS: Final = {
    "cache-control": "public, max-age=31536000, immutable",
    "vary": "accept-encoding",
    "x-content-type-options": "nosniff",
}
_HASH_CHARS: Final = 16


@dataclass(frozen=True, slots=True)
class _Asset:
    """A file."""

    content: bytes
    compressed: bytes
    media_type: str
    digest: str


def url(name: str) -> str:
    """Return the address of a file in `static`; raises `KeyError` where there is none."""
    return f"/assets/{_assets()[name].digest}/{name}"


async def asset(request: Request) -> Response:
    """Answer with a file; an old hash has none."""
    found = _assets().get(request.path_params["name"])
    if found is None or found.digest != request.path_params["digest"]:
        raise HTTPException(404)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers = _HEADERS | {"content-encoding": "gzip"}
        return Response(found.compressed, media_type=found.media_type, headers=headers)
    return Response(found.content, media_type=found.media_type, headers=_HEADERS)


ROUTES: Final = [Route("/assets/{digest}/{name:path}", asset, methods=["GET"])]


@cache
def _assets() -> dict[str, _Asset]:
    root = files("afterword_consumers.dashboard").joinpath("static")
    found: dict[str, _Asset] = {}
    _read(root, "", found)
    return found


def _read(folder: Traversable, prefix: str, found: dict[str, _Asset]) -> None:
    for entry in folder.iterdir():
        if entry.is_dir():
            _read(entry, f"{prefix}{entry.name}/", found)
            continue
        content = entry.read_bytes()
        found[prefix + entry.name] = _Asset(
            content,
            gzip.compress(content, mtime=0),
            mimetypes.guess_type(entry.name)[0] or "application/octet-stream",
            hashlib.sha256(content).hexdigest()[:_HASH_CHARS],
        )
