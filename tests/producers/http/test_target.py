"""What is no address and no key for the gateway, and that neither is shown."""

import re

import pytest

from afterword import ConfigurationError, HttpTransport

SECRET = "aw_secret_7f3a_not-for-anybody"
NOBODY = "http://127.0.0.1:1"
"""An address at which nothing listens."""


@pytest.mark.parametrize("key", ["", "two words", "line\r\nx-injected: 1", "schlüssel"])
def test_a_key_that_no_header_can_carry_is_refused(key: str) -> None:
    """What would be no key, or another header, is refused without being shown."""
    with pytest.raises(ConfigurationError, match="api_key") as caught:
        HttpTransport(NOBODY, key)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "takes http or https, and a host"),
        ("localhost:8080", "takes http or https, and a host"),
        ("ftp://localhost", "takes http or https, and a host"),
        ("https://", "takes http or https, and a host"),
        ("http://localhost:99999", "The url is none"),
        ("http://user:hunter2@localhost", "holds a name or password"),
        ("http://localhost/?key=hunter2", "ends with a query or a fragment"),
        ("http://localhost/#hunter2", "ends with a query or a fragment"),
    ],
)
def test_an_address_has_a_form(url: str, words: str) -> None:
    """A URL that cannot be meant is refused when the transport is made, without being shown."""
    with pytest.raises(ConfigurationError, match=words) as caught:
        HttpTransport(url)
    assert "hunter2" not in str(caught.value)


def test_limits_are_positive() -> None:
    """A queue without room and a timeout of nothing are refused."""
    with pytest.raises(ConfigurationError, match="greater than 0"):
        HttpTransport(NOBODY, max_events=0)


@pytest.mark.parametrize(
    ("url", "warnings"),
    [
        ("http://gateway.internal", 1),
        ("http://10.0.0.7:8080", 1),
        ("https://gateway.internal", 0),
        ("http://localhost:8080", 0),
        ("http://127.0.0.1:8080", 0),
        ("http://[::1]:8080", 0),
    ],
)
def test_a_key_in_the_clear_is_warned_of(
    caplog: pytest.LogCaptureFixture, url: str, warnings: int
) -> None:
    """A mesh may encrypt underneath, so http is allowed, and said; not on this machine itself."""
    HttpTransport(url, SECRET).close(0)
    HttpTransport(url).close(0)
    expected = "The api_key goes to {} unencrypted; use https."
    assert caplog.messages == [expected.format(re.sub(r"^\w+://|:\d+$", "", url))] * warnings
