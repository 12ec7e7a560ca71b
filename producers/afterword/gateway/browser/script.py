"""`/afterword.js`: the script for web pages, as it is and compressed, made once a process."""

import gzip
import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from afterword.gateway.http.headers import headers_of

_MAX_AGE_S: Final = 3600
_GZIP: Final = re.compile(
    r"(?:^|,)\s*(?:gzip|\*)\s*(?:;\s*q=(?P<q>[0-9.]+)\s*)?(?:,|$)", re.IGNORECASE
)


async def snippet(request: Request) -> Response:
    """Return the script."""
    asked = headers_of(request)
    packed = _takes_gzip(asked.get("accept-encoding", ""))
    script, etag = _script(packed=packed)
    headers = {
        "cache-control": f"public, max-age={_MAX_AGE_S}",
        "cross-origin-resource-policy": "cross-origin",
        "access-control-allow-origin": "*",  # for integrity="…", which needs CORS
        "etag": etag,
        "vary": "accept-encoding",
        "x-content-type-options": "nosniff",
    }
    known = {tag.strip().removeprefix("W/") for tag in asked.get("if-none-match", "").split(",")}
    if not known.isdisjoint({"*", etag}):
        return Response(status_code=304, headers=headers)
    if packed:
        headers["content-encoding"] = "gzip"
    return Response(script, headers=headers, media_type="text/javascript")


ROUTES: Final = [Route("/afterword.js", snippet, methods=["GET"])]


def _takes_gzip(accept_encoding: str) -> bool:
    found = _GZIP.search(accept_encoding)
    return found is not None and (found["q"] or "1").strip("0.") != ""


@cache
def _script(*, packed: bool) -> tuple[bytes, str]:
    """Return the script without its comments, and its entity tag."""
    source = files("afterword.gateway.browser").joinpath("static/afterword.js").read_bytes()
    lines = (line.strip() for line in source.splitlines())
    script = b"\n".join(line for line in lines if line and not line.startswith(b"//"))
    digest = hashlib.sha256(script).hexdigest()[:16]
    if packed:
        return gzip.compress(script, 9, mtime=0), f'"{digest}-gzip"'
    return script, f'"{digest}"'
