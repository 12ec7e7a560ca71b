"""`afterword keys`: a secret that can be piped, a table without any, and what to do next."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from afterword.gateway.auth.key_file import KeyFile, Scope

if TYPE_CHECKING:
    from tests.deploy.conftest import Afterword

SERVICE = ("keys", "create", "--project", "acme", "--scope", "write")
PAGE = "https://app.example.com"


def test_a_pipe_gets_the_secret_alone(afterword: "Afterword", own_folders: Path) -> None:
    """It works at once; what to do with it is on stderr, which does not repeat it."""
    ran = afterword(*SERVICE, "--scope", "read", "--note", "chat backend")
    assert ran.status == 0
    assert re.fullmatch(r"aw_secret_[a-z2-9]{10}_[A-Za-z0-9_-]{43}\n", ran.out)
    secret = ran.out.strip()
    key = KeyFile(own_folders / "afterword.keys.json").find(secret)
    assert key is not None
    assert (key.project, key.scopes, key.note) == (
        "acme",
        frozenset({Scope.WRITE, Scope.READ}),
        "chat backend",
    )
    assert ran.err.splitlines() == [
        f"key {key.key_id} of project acme is in {own_folders / 'afterword.keys.json'}",
        (
            "it is the first one: gateways and dashboards that use this file now serve nobody "
            "without a key"
        ),
        "keep it secret, and send it as a header: Authorization: Bearer KEY",
    ]


def test_only_the_first_key_shuts_the_gateway(afterword: "Afterword") -> None:
    """The second is no news."""
    afterword(*SERVICE)
    assert "the first one" not in afterword(*SERVICE).err


def test_a_publish_key_comes_with_its_snippet(afterword: "Afterword", own_folders: Path) -> None:
    """Ready to paste: this key may be seen."""
    ran = afterword(
        *("keys", "create", "-p", "acme", "--scope", "publish", "--events-per-minute", "30"),
        *("--origin", f"{PAGE}/", "--origin", "http://localhost:3000"),
    )
    secret = ran.out.strip()
    key = KeyFile(own_folders / "afterword.keys.json").find(secret)
    assert key is not None
    assert (key.origins, key.events_per_minute) == ((PAGE, "http://localhost:3000"), 30)
    snippet = f'<script src="https://YOUR-GATEWAY/afterword.js" data-key="{secret}" defer></script>'
    assert f"\n  {snippet}\n" in ran.err


def test_the_list_has_all_but_secrets(afterword: "Afterword") -> None:
    """Revoked keys too."""
    first = afterword(*SERVICE, "--note", "chat backend").out.strip()
    page = afterword(
        "keys", "create", "-p", "web", "--scope", "publish", "--origin", PAGE
    ).out.strip()
    afterword("keys", "revoke", first.split("_")[2])
    ran = afterword("keys", "list")
    header, service, browser = (re.split(r" {2,}", line) for line in ran.out.splitlines())
    assert (ran.status, ran.err) == (0, "")
    assert header == [
        *("id", "project", "scopes", "origins", "events/min", "note", "created", "revoked")
    ]
    minute = r"20\d\d-\d\d-\d\d \d\d:\d\d"
    assert service[:4] == [first.split("_")[2], "acme", "write", "chat backend"]
    assert re.fullmatch(f"{minute} {minute}", " ".join(service[4:]))
    assert browser[:5] == [page.split("_")[2], "web", "publish", PAGE, "600"]
    assert re.fullmatch(f"{minute} –", " ".join(browser[5:]))
    assert first[-43:] not in ran.out
    assert page[-43:] not in ran.out


def test_a_list_of_none_says_how_to_make_one(afterword: "Afterword") -> None:
    """And is no failure."""
    ran = afterword("keys", "list")
    assert (ran.status, ran.out) == (0, "")
    said = " has no keys; `afterword keys create --help` shows how to make one\n"
    assert ran.err.endswith(said)


def test_a_key_is_revoked(afterword: "Afterword", own_folders: Path) -> None:
    """Running gateways follow; the file is the only way from here to there."""
    secret = afterword(*SERVICE).out.strip()
    key_id = secret.split("_")[2]
    ran = afterword("keys", "revoke", key_id)
    assert ran.status == 0
    assert ran.out.startswith(f"key {key_id} of project acme is revoked since 20")
    assert KeyFile(own_folders / "afterword.keys.json").find(secret) is None
    assert afterword("keys", "revoke", secret).out == ran.out


def test_who_revokes_the_last_key_is_told(afterword: "Afterword") -> None:
    """As long as one is left, only that what runs follows; after that, that nobody is served."""
    first, last = (afterword(*SERVICE).out.strip() for _ in range(2))
    follows = "gateways and dashboards that run follow within a second\n"
    assert afterword("keys", "revoke", first).err == follows
    said = "it was the last one: they serve nobody until you make another\n"
    assert afterword("keys", "revoke", last).err == follows + said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["revoke", "zzz"], "afterword: There is no key zzz. See `afterword keys list`."),
        (
            ["create", "-p", "acme", "--scope", "publish"],
            "afterword: A publish key takes at least one origin, such as https://app.example.com.",
        ),
        (
            ["create", "-p", "acme", "--scope", "publish", "--scope", "write", "--origin", PAGE],
            "afterword: A publish key takes no other scope: whoever sees the page can read it.",
        ),
        (
            ["create", "-p", "acme", "--scope", "write", "--origin", PAGE],
            "afterword: Only a publish key takes origins and a limit of events.",
        ),
        (["create", "-p", "a b", "--scope", "write"], "afterword: Project takes"),
        (["create", "-p", "acme", "--scope", "admin"], "Usage: "),
        (["create", "--scope", "write"], "Usage: "),
        (["create", "-p", "acme"], "Usage: "),
    ],
)
def test_a_mistake_is_the_users_to_change(
    afterword: "Afterword", own_folders: Path, arguments: list[str], said: str
) -> None:
    """Status 2, nothing on stdout, and no file that would lock everybody out."""
    ran = afterword("keys", *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith(said)
    assert list(own_folders.iterdir()) == []


def test_an_id_that_is_nearly_right_is_suggested(afterword: "Afterword") -> None:
    """With status 2."""
    key_id = afterword(*SERVICE).out.split("_")[2]
    ran = afterword("keys", "revoke", key_id[:-1])
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == f"afterword: There is no key {key_id[:-1]}. Did you mean {key_id}?\n"


def test_the_file_may_be_elsewhere(
    afterword: "Afterword", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the setting says."""
    monkeypatch.setenv("AFTERWORD_GATEWAY_KEYS_FILE", str(tmp_path / "keys.json"))
    afterword(*SERVICE)
    assert len(KeyFile(tmp_path / "keys.json").list()) == 1


def test_a_broken_file_is_the_users_to_mend(afterword: "Afterword", own_folders: Path) -> None:
    """No command writes over what it cannot read."""
    (own_folders / "afterword.keys.json").write_text("{")
    for arguments in (SERVICE, ("keys", "list"), ("keys", "revoke", "zzz")):
        ran = afterword(*arguments)
        assert (ran.status, ran.out) == (2, "")
        assert "afterword.keys.json is not a file of keys: Invalid JSON" in ran.err
    assert (own_folders / "afterword.keys.json").read_text() == "{"
