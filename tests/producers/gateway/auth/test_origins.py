"""Origins: every spelling of one becomes what browsers send, and nothing else passes for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterword.gateway.auth.origins import read_origin


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("https://app.example.com", "https://app.example.com"),
        ("HTTPS://APP.Example.COM", "https://app.example.com"),
        ("https://app.example.com/", "https://app.example.com"),
        ("https://app.example.com:443", "https://app.example.com"),
        ("https://app.example.com:0443/", "https://app.example.com"),
        ("http://app.example.com:80", "http://app.example.com"),
        ("https://app.example.com:80", "https://app.example.com:80"),
        ("http://app.example.com:443", "http://app.example.com:443"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://127.0.0.1:65535", "http://127.0.0.1:65535"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://[2001:DB8:0:0::1]", "https://[2001:db8::1]"),
        ("https://xn--mnchen-3ya.de", "https://xn--mnchen-3ya.de"),
        ("https://my_app.example.com", "https://my_app.example.com"),
        ("*", "*"),
    ],
)
def test_an_origin_is_written_as_browsers_send_it(given: str, origin: str) -> None:
    """Scheme and host in lower case, no default port, no slash."""
    assert read_origin(given) == origin


@pytest.mark.parametrize(
    "given",
    [
        "",
        "null",
        "NULL",
        "app.example.com",
        "//app.example.com",
        "https://",
        "https://app.example.com/page",
        "https://app.example.com?x=1",
        "https://app.example.com#top",
        "https://me:secret@app.example.com",
        "https://app.example.com:",
        "https://app.example.com:0",
        "https://app.example.com:65536",
        "https://app.example.com:https",
        "https://*.example.com",
        "https://münchen.de",
        "https://app.example.com\n",
        " https://app.example.com",
        "https://app.example.com, https://other.example.com",
        "https://[::1",
        "https://[::1]]",
        "https://[1.2.3.4]",
        "https://[fe80::1%25eth0]",
        "https://-app.example.com",
        "ftp://app.example.com",
        "file://",
        "javascript://app.example.com",
        "**",
    ],
)
def test_a_text_that_is_no_origin_is_refused(given: str) -> None:
    """An origin that never matches would look like a gateway that is broken."""
    with pytest.raises(ValueError, match=r".+"):
        read_origin(given)


@given(st.from_regex(r"(https?://)?[a-z0-9.:/@\[\]*A-Z-]{0,30}", fullmatch=True))
def test_an_origin_that_was_read_is_read_the_same_again(given: str) -> None:
    """One spelling of each origin, which a comparison of texts finds."""
    try:
        origin = read_origin(given)
    except ValueError:
        return
    assert read_origin(origin) == origin
