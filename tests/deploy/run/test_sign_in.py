"""Sign in to the page with a key, see its project alone, and sign out."""

import http.client
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import pytest
from tests.deploy.run.test_dashboard import EVENT, Dashboard, serving

from afterword.gateway import Scope
from afterword_stack.settings import Settings

if TYPE_CHECKING:
    from tests.deploy.conftest import InProcessPipeline

pytestmark = pytest.mark.services


class Visitor:
    """A browser as far as cookies go."""

    def __init__(self, address: str) -> None:
        self.host = urlsplit(address).netloc
        self.cookie = ""

    def ask(
        self,
        method: str,
        path: str,
        form: Mapping[str, str] | None = None,
        **headers: str,
    ) -> tuple[int, http.client.HTTPMessage, str]:
        """Return status, headers and text of an answer; what it sets as a cookie is sent from then on."""
        connection = http.client.HTTPConnection(self.host, timeout=30)
        sent = {"cookie": self.cookie} if self.cookie else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        body = None if form is None else urlencode(form)
        if body is not None:
            sent["content-type"] = "application/x-www-form-urlencoded"
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        text = answer.read().decode()
        if set_cookie := answer.headers["set-cookie"]:
            self.cookie = set_cookie.partition(";")[0]
        connection.close()
        return answer.status, answer.headers, text

    def sign_in(self, secret: str, **headers: str) -> tuple[int, http.client.HTTPMessage, str]:
        """Send the form."""
        form = {"key": secret, "next": "/traces?order=worst"}
        return self.ask("POST", "/sign-in", form, **headers)


@pytest.fixture
def keyed(settings: Settings, pipeline: "InProcessPipeline") -> Iterator[Dashboard]:
    """A dashboard that has keys, with feedback of two projects."""
    events = [
        EVENT % (number, name, f"tr-{name}", number) for number, name in ((1, "acme"), (2, "other"))
    ]
    pipeline.publish(*(event.encode() for event in events))
    pipeline.ingest(2)
    with serving(settings) as served:
        served.key("unused")
        yield served


def secret_of(dashboard: Dashboard, project: str, scope: Scope = Scope.READ) -> str:
    """Make a key, and return its secret."""
    return dashboard.key(project, scope)["authorization"].removeprefix("Bearer ")


def test_who_signs_in_sees_the_project_of_the_key(keyed: Dashboard) -> None:
    """And is led to where they wanted to go; CSV and JSON come with the same cookie."""
    visitor = Visitor(keyed.address)
    status, _, text = visitor.ask("GET", "/traces?order=worst")
    assert (status, "Sign in with a key" in text) == (401, True)
    assert 'value="/traces?order=worst"' in text
    status, headers, _ = visitor.sign_in(secret_of(keyed, "acme"))
    assert (status, headers["location"]) == (303, "/traces?order=worst")
    cookie = headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=strict", "path=/"))
    status, _, text = visitor.ask("GET", "/traces")
    assert (status, "tr-acme" in text, "tr-other" in text) == (200, True, False)
    assert visitor.ask("GET", "/api/traces")[0] == 200
    assert visitor.ask("GET", "/traces?project=other")[0] == 403


def test_who_signs_out_is_out(keyed: Dashboard) -> None:
    """The cookie is forgotten."""
    visitor = Visitor(keyed.address)
    visitor.sign_in(secret_of(keyed, "acme"))
    status, headers, _ = visitor.ask("POST", "/sign-out", {})
    assert (status, headers["location"]) == (303, "/sign-in")
    assert visitor.ask("GET", "/")[0] == 401


def test_a_revoked_key_is_out(keyed: Dashboard) -> None:
    """The next page says so."""
    visitor = Visitor(keyed.address)
    secret = secret_of(keyed, "acme")
    visitor.sign_in(secret)
    key = keyed.keys.find(secret)
    assert key is not None
    keyed.keys.revoke(key.key_id)
    status, _, text = visitor.ask("GET", "/")
    assert (status, "was revoked" in text) == (401, True)


@pytest.mark.parametrize("secret", ["", "nonsense", "x" * 5000])
def test_a_key_that_is_none_is_told_so(keyed: Dashboard, secret: str) -> None:
    """The form stays, with what is wrong; no cookie is set."""
    visitor = Visitor(keyed.address)
    status, headers, text = visitor.sign_in(secret)
    assert (status, headers["set-cookie"]) == (401, None)
    assert 'role="alert"' in text
    assert visitor.ask("GET", "/")[0] == 401


def test_a_key_that_may_only_write_does_not_get_in(keyed: Dashboard) -> None:
    """It says which one does."""
    status, _, text = Visitor(keyed.address).sign_in(secret_of(keyed, "acme", Scope.WRITE))
    assert (status, "takes one that may read" in text) == (403, True)


@pytest.mark.parametrize(
    "headers", [{"sec_fetch_site": "cross-site"}, {"origin": "https://evil.example.com"}]
)
def test_another_site_signs_nobody_in(keyed: Dashboard, headers: dict[str, str]) -> None:
    """Nor with a good key of its own."""
    status, found, _ = Visitor(keyed.address).sign_in(secret_of(keyed, "acme"), **headers)
    assert (status, found["set-cookie"]) == (403, None)


def test_nobody_is_led_to_another_site(keyed: Dashboard) -> None:
    """Whatever the form says."""
    for after in (
        "https://evil.example.com",
        "//evil.example.com",
        "/\\evil.example.com",
        "javascript:1",
    ):
        form = {"key": secret_of(keyed, "acme"), "next": after}
        assert Visitor(keyed.address).ask("POST", "/sign-in", form)[1]["location"] == "/"


def test_keys_cannot_be_tried_without_end(keyed: Dashboard) -> None:
    """After twenty within a minute an address waits."""
    visitor = Visitor(keyed.address)
    answers = [visitor.sign_in("nonsense")[0] for _ in range(21)]
    assert answers == [401] * 20 + [429]
    assert visitor.sign_in(secret_of(keyed, "acme"))[1]["retry-after"]
