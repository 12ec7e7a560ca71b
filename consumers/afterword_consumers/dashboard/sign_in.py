"""Sign in with a key that may read: the browser keeps it in a cookie, which no script and no other site can use.

    POST /sign-in     key=…&next=/explore
    POST /sign-out

The pages only read, and the cookie comes with requests of this site alone, so a page of another site can neither
read nor do anything by it.
"""

from typing import Final
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from afterword_consumers.api.errors import ApiError, ErrorCode
from afterword_consumers.dashboard.frame import COOKIE, render_sign_in

_MAX_BODY_BYTES: Final = 8192
_MAX_AGE_S: Final = 30 * 86_400


async def show(request: Request) -> Response:
    """Show the form."""
    return render_sign_in(request, None, _inside(request.query_params.get("next", "/")))


async def sign_in(request: Request) -> Response:
    """Keep a key that is good; else show the form again, with what is wrong."""
    form = await _form(request)
    secret, after = form.get("key", "").strip(), _inside(form.get("next", "/"))
    try:
        request.app.state.page_options.check_key(request, secret)
    except ApiError as error:
        return render_sign_in(request, error, after)
    answer = RedirectResponse(after, 303)
    answer.set_cookie(
        COOKIE,
        secret,
        max_age=_MAX_AGE_S,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


async def sign_out(request: Request) -> Response:
    """Forget the key."""
    _refuse_other_sites(request)
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


ROUTES: Final = [
    Route("/sign-in", show, methods=["GET"]),
    Route("/sign-in", sign_in, methods=["POST"]),
    Route("/sign-out", sign_out, methods=["POST"]),
]


async def _form(request: Request) -> dict[str, str]:
    _refuse_other_sites(request)
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _MAX_BODY_BYTES:
            raise ApiError(413, ErrorCode.INVALID_PARAMETER, "This is no form of a key.", "")
    fields = parse_qs(body.decode(errors="replace"), max_num_fields=10)
    return {name: texts[0] for name, texts in fields.items()}


def _refuse_other_sites(request: Request) -> None:
    """Let no page of another site sign a person in with a key of its own."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    host = request.headers.get("host", "")
    if site not in {"same-origin", "none"} or (
        origin not in {None, "null"} and urlsplit(origin or "").netloc != host
    ):
        raise ApiError(403, ErrorCode.FORBIDDEN, "Another web site asks.", "Open the page itself.")


def _inside(address: str) -> str:
    """Return an address of this site, `/` for any other.

    >>> _inside("/explore?measure=thumbs"), _inside("//evil.test/"), _inside("https://evil.test")
    ('/explore?measure=thumbs', '/', '/')
    """
    is_inside = address.startswith("/") and not address.startswith(("//", "/\\"))
    return address if is_inside and address.isprintable() else "/"
