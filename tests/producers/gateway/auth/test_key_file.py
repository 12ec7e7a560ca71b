"""Keys: what a file of them holds, who changes it, and how a gateway that runs follows it."""

import errno
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterword.gateway.auth.key_file import Key, KeyFile, Scope
from afterword_schemas import ConfigurationError

SECRET = "aw_secret_h7c2k9wq4m_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
PAGE = "https://app.example.com"
PUBLISH: dict[str, Any] = {"scopes": ["publish"], "origins": [PAGE], "events_per_minute": 60}


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return them."""
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is to be."""
    return tmp_path / "afterword.keys.json"


@pytest.fixture
def clock() -> Clock:
    """The clock of the gateways of a test."""
    return Clock()


def entry(secret: str = SECRET, **fields: Any) -> dict[str, Any]:
    """Return a key as the file has it."""
    key = {
        "key_id": secret.split("_")[2],
        "project": "acme",
        "scopes": ["write"],
        "origins": [],
        "events_per_minute": 0,
        "note": "",
        "created_at": "2026-01-31T09:30:00.125Z",
        "revoked_at": None,
    }
    return {"key": key | fields, "sha256": sha256(secret.encode()).hexdigest()}


def write(path: Path, *entries: dict[str, Any]) -> None:
    """Write a file as a person's editor does: in place."""
    path.write_text(json.dumps({"keys": entries}))


def refusal(act: Callable[[], object]) -> str:
    """Return what a ConfigurationError says."""
    with pytest.raises(ConfigurationError) as caught:
        act()
    return str(caught.value)


# What a key is, and what the file holds of it


def test_a_key_is_found_by_its_secret(path: Path) -> None:
    """With what it was made for, at once, and by another process's file too."""
    file = KeyFile(path)
    secret, key = file.create("acme", [Scope.READ, Scope.WRITE], note="chat backend")
    assert file.find(secret) == key
    assert KeyFile(path).find(secret) == key
    assert (key.project, key.scopes, key.note) == (
        "acme",
        frozenset({Scope.WRITE, Scope.READ}),
        "chat backend",
    )
    assert (key.origins, key.events_per_minute, key.revoked_at) == ((), 0, None)


def test_a_publish_key_has_origins_and_a_limit(path: Path) -> None:
    """Origins in the browsers' spelling, and the usual limit if none is given."""
    file = KeyFile(path)
    _, usual = file.create("acme", [Scope.PUBLISH], origins=["HTTPS://App.Example.com:443/"])
    _, named = file.create("acme", [Scope.PUBLISH], origins=["*"], events_per_minute=5)
    assert (usual.origins, usual.events_per_minute) == ((PAGE,), 600)
    assert (named.origins, named.events_per_minute) == (("*",), 5)


@pytest.mark.parametrize(
    ("scope", "form"),
    [
        (Scope.PUBLISH, r"aw_publish_[a-z2-9]{10}_[A-Za-z0-9_-]{43}"),
        (Scope.WRITE, r"aw_secret_[a-z2-9]{10}_[A-Za-z0-9_-]{43}"),
        (Scope.READ, r"aw_secret_[a-z2-9]{10}_[A-Za-z0-9_-]{43}"),
    ],
)
def test_a_scanner_can_tell_a_secret(path: Path, scope: Scope, form: str) -> None:
    """By its prefix, which says whether it may be public; and it names the key that leaked."""
    origins = [PAGE] if scope is Scope.PUBLISH else []
    secret, key = KeyFile(path).create("acme", [scope], origins=origins)
    assert re.fullmatch(form, secret)
    assert secret.split("_")[2] == key.key_id


def test_the_file_tells_no_secret(path: Path) -> None:
    """It is readable to a person, and holds what is known of the key and the secret's SHA-256."""
    secret, key = KeyFile(path).create("acme", [Scope.WRITE, Scope.READ], note="zoë")
    assert json.loads(path.read_text()) == {
        "keys": [
            {
                "key": {
                    "key_id": key.key_id,
                    "project": "acme",
                    "scopes": ["read", "write"],
                    "origins": [],
                    "events_per_minute": 0,
                    "note": "zoë",
                    "created_at": key.created_at,
                    "revoked_at": None,
                },
                "sha256": sha256(secret.encode()).hexdigest(),
            }
        ]
    }
    assert path.read_text().startswith('{\n  "keys": [\n    {\n')
    assert secret[-43:] not in path.read_text() + repr(key)
    assert sha256(secret.encode()).hexdigest() not in repr(key)


def test_secrets_do_not_repeat(path: Path) -> None:
    """Nor do ids."""
    file = KeyFile(path)
    made = [file.create("acme", [Scope.WRITE]) for _ in range(50)]
    assert len({secret[-43:] for secret, _ in made}) == 50
    assert len({key.key_id for _, key in made}) == 50
    assert [key.key_id for key in file.list()] == [key.key_id for _, key in made]


# Who is let in


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "_",
        "___",
        "aw_secret_h7c2k9wq4m_",
        "aw_secret_h7c2k9wq4m_BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "aw_publish_h7c2k9wq4m_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "aw_secret_h7c2k9wq4m_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        SECRET + "A",
        SECRET + "\n",
        " " + SECRET,
        SECRET.lower(),
        SECRET.replace("h7c2k9wq4m", "zzzzzzzzzz"),
        "h7c2k9wq4m",
        "0" * 64,
        sha256(SECRET.encode()).hexdigest(),
        "aw_secret_h7c2k9wq4m_\ud800",
        "aw_secret_\x00_" + "ä" * 100_000,
    ],
)
def test_only_the_secret_of_a_key_is_let_in(path: Path, wrong: str) -> None:
    """Neither what is nearly a secret, nor the hash of one, nor what is no text."""
    write(path, entry())
    file = KeyFile(path)
    assert file.find(SECRET) is not None
    assert file.find(wrong) is None


@given(guess=st.text(alphabet=st.characters()) | st.text("aw_secrth7k9q4mA", max_size=70))
def test_no_text_breaks_the_search(tmp_path_factory: pytest.TempPathFactory, guess: str) -> None:
    """Half of a surrogate pair included."""
    path = tmp_path_factory.getbasetemp() / "guess.json"
    write(path, entry())
    assert KeyFile(path).find(guess) is None


@pytest.mark.parametrize(
    "guess",
    [SECRET, SECRET[:-1] + "B", SECRET.replace("h7c2k9wq4m", "zzzzzzzzzz"), "junk", ""],
    ids=["right", "wrong", "unknown id", "junk", "none"],
)
def test_every_search_costs_one_comparison_of_whole_hashes(
    path: Path, monkeypatch: pytest.MonkeyPatch, guess: str
) -> None:
    """In constant time: how long it takes tells neither which ids there are nor how far a guess is right."""
    write(path, entry(), entry(SECRET.replace("h7c2k9wq4m", "revoked222"), revoked_at="2026"))
    file = KeyFile(path)
    compared: list[tuple[int, int]] = []

    def spy(one: str, other: str) -> bool:
        compared.append((len(one), len(other)))
        return compare_digest(one, other)

    monkeypatch.setattr("afterword.gateway.auth.key_file.compare_digest", spy)
    assert (file.find(guess) is not None) == (guess == SECRET)
    assert compared == [(64, 64)]


def test_only_live_keys_count(path: Path) -> None:
    """A file of revoked keys lets nobody in; it is not the same as no file."""
    file = KeyFile(path)
    assert not file.configured
    secret, key = file.create("acme", [Scope.PUBLISH], origins=[PAGE])
    other, _ = file.create("acme", [Scope.PUBLISH], origins=["http://localhost:3000"])
    assert file.origins() == {PAGE, "http://localhost:3000"}
    file.revoke(key.key_id)
    assert (file.find(secret), file.origins()) == (
        None,
        frozenset({"http://localhost:3000"}),
    )
    file.revoke(other)
    assert (file.find(other), file.origins()) == (None, frozenset())
    assert file.configured
    assert KeyFile(path).configured
    assert [key.revoked_at is None for key in file.list()] == [False, False]


def test_an_empty_list_is_configured(path: Path) -> None:
    """Whoever writes a file wants keys asked for."""
    write(path)
    file = KeyFile(path)
    assert file.configured
    assert file.find(SECRET) is None


# What `create` and `revoke` refuse


@pytest.mark.parametrize(
    ("project", "scopes", "more", "said"),
    [
        ("acme", ["publish", "write"], {"origins": [PAGE]}, "A publish key takes no other scope"),
        ("acme", ["publish", "read"], {"origins": [PAGE]}, "A publish key takes no other scope"),
        ("acme", ["publish"], {}, "A publish key takes at least one origin"),
        ("acme", ["publish"], {"origins": ["null"]}, "'null' is not an origin"),
        (
            "acme",
            ["publish"],
            {"origins": [PAGE], "events_per_minute": 0},
            "A publish key takes at least 1 event a minute",
        ),
        (
            "acme",
            ["publish"],
            {"origins": [PAGE], "events_per_minute": -5},
            "A publish key takes at least 1 event a minute",
        ),
        ("acme", ["write"], {"origins": [PAGE]}, "Only a publish key takes origins and a limit"),
        ("acme", ["read"], {"events_per_minute": 9}, "Only a publish key takes origins and a"),
        ("acme", [], {}, "A key takes at least one scope."),
        ("a b", ["write"], {}, "Project takes "),
        ("", ["write"], {}, "Project takes "),
        ("acme\n", ["write"], {}, "Project takes "),
        ("\udcff", ["write"], {}, "Half of a surrogate pair"),
        ("acme", ["write"], {"note": "\udcff"}, "Input should be a valid string"),
    ],
)
def test_a_key_with_an_invalid_setting_is_refused(
    path: Path, project: str, scopes: list[str], more: dict[str, Any], said: str
) -> None:
    """In a sentence, and without a file that would lock everybody out."""
    act = lambda: KeyFile(path).create(project, map(Scope, scopes), **more)  # noqa: E731
    assert refusal(act).startswith(said)
    assert list(path.parent.iterdir()) == []


def test_a_key_is_revoked_once(path: Path) -> None:
    """By its id or by the whole secret; the others stay, and a second time changes nothing."""
    write(path, entry(), entry(SECRET.replace("h7c2k9wq4m", "other22222")))
    file = KeyFile(path)
    revoked = file.revoke("h7c2k9wq4m")
    assert revoked.revoked_at is not None
    assert file.revoke(SECRET) == revoked
    assert [key.revoked_at for key in KeyFile(path).list()] == [revoked.revoked_at, None]


def test_an_unknown_id_is_refused_with_those_like_it(path: Path) -> None:
    """And the file is not touched."""
    write(path, entry())
    before = path.stat()
    file = KeyFile(path)
    assert refusal(lambda: file.revoke("h7c2k9wq4n")) == (
        "There is no key h7c2k9wq4n. Did you mean h7c2k9wq4m?"
    )
    assert refusal(lambda: file.revoke("zzzzzzzzzz")) == (
        "There is no key zzzzzzzzzz. See `afterword keys list`."
    )
    assert path.stat() == before
    path.unlink()
    assert refusal(lambda: KeyFile(path).revoke("zzz")).startswith("There is no key zzz.")
    assert not path.exists()


# How the file is written


def test_a_new_file_is_its_owners_alone(path: Path) -> None:
    """Whatever the umask is."""
    umask = os.umask(0)
    try:
        KeyFile(path).create("acme", [Scope.WRITE])
    finally:
        os.umask(umask)
    assert path.stat().st_mode & 0o7777 == 0o600


def test_an_existing_file_keeps_its_mode_and_owner(path: Path) -> None:
    """A gateway of another group, that was let read it, still can."""
    write(path)
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 12_345, 23_456)
    before = path.stat()
    KeyFile(path).create("acme", [Scope.WRITE])
    after = path.stat()
    assert after.st_ino != before.st_ino
    assert (after.st_mode & 0o7777, after.st_uid, after.st_gid) == (
        0o640,
        before.st_uid,
        before.st_gid,
    )


def test_a_link_stays_one(path: Path, tmp_path: Path) -> None:
    """What it points to is changed; also where that is not there yet."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    path.symlink_to(folder / "keys.json")
    write(folder / "keys.json")
    secret, _ = KeyFile(path).create("acme", [Scope.WRITE])
    assert path.is_symlink()
    assert KeyFile(folder / "keys.json").find(secret) is not None
    assert [file.name for file in folder.iterdir()] == ["keys.json"]


CREATE = """
import sys
from pathlib import Path
from afterword.gateway.auth.key_file import KeyFile, Scope
file = KeyFile(Path(sys.argv[1]))
for _ in range(25):
    print(file.create("acme", [Scope.WRITE])[0])
"""


def test_keys_that_are_made_at_the_same_time_all_survive(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """And whoever reads meanwhile always finds a whole file."""
    write(path)
    gateway = KeyFile(path, clock=clock)
    command = [sys.executable, "-c", CREATE, str(path)]
    makers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    looks = 0
    while any(maker.poll() is None for maker in makers):
        clock.now += 1
        looks += gateway.find(SECRET) is None
    secrets = [line for maker in makers for line in maker.communicate()[0].split()]
    clock.now += 1
    assert [maker.returncode for maker in makers] == [0, 0, 0]
    assert len({key.key_id for key in map(gateway.find, secrets) if key is not None}) == 75
    assert looks > 10
    assert caplog.records == []
    assert [file.name for file in path.parent.iterdir()] == [path.name]


FILL = """
import resource, sys
from pathlib import Path
from afterword.gateway.auth.key_file import KeyFile, Scope
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
try:
    KeyFile(Path(sys.argv[1])).create("acme", [Scope.WRITE])
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""


def test_a_file_that_cannot_be_written_is_as_before(path: Path) -> None:
    """As on a full disk: nothing is left beside it."""
    write(path, entry())
    before = path.read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", FILL, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"ConfigurationError: {path} cannot be written: File too large.\n"
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """It is not made: more likely the path is wrong."""
    path = tmp_path / "nowhere" / "keys.json"
    said = refusal(lambda: KeyFile(path).create("acme", [Scope.WRITE]))
    assert said == f"{path} cannot be written: No such file or directory."


# How a gateway follows it


def test_a_gateway_follows_within_half_a_second(path: Path, clock: Clock) -> None:
    """A new key and a revoked one; it does not look at every request."""
    write(path)
    gateway = KeyFile(path, clock=clock)
    secret, key = KeyFile(path).create("acme", [Scope.WRITE])
    clock.now = 0.49
    assert gateway.find(secret) is None
    clock.now = 0.5
    assert gateway.find(secret) == key
    KeyFile(path).revoke(key.key_id)
    clock.now = 0.99
    assert gateway.find(secret) == key
    clock.now = 1.0
    assert gateway.find(secret) is None


@pytest.mark.parametrize("ask", ["configured", "origins", "list"])
def test_every_answer_is_of_the_file_as_it_is(path: Path, clock: Clock, ask: str) -> None:
    """Also where nobody ever asks for a key."""
    gateway = KeyFile(path, clock=clock)
    write(path, entry(**PUBLISH))
    clock.now = 1.0
    if ask == "configured":
        assert gateway.configured
    elif ask == "origins":
        assert gateway.origins() == {PAGE}
    else:
        assert [key.key_id for key in gateway.list()] == ["h7c2k9wq4m"]


def test_an_edit_by_hand_is_followed(path: Path, clock: Clock) -> None:
    """In place, as editors write; origins in any spelling."""
    write(path, entry(**PUBLISH | {"origins": ["HTTP://[::0001]:80"]}))
    gateway = KeyFile(path, clock=clock)
    assert gateway.origins() == {"http://[::1]"}
    write(path, entry(**PUBLISH, revoked_at=""))
    clock.now = 1.0
    assert gateway.find(SECRET) is None


@pytest.mark.parametrize("how", ["in place", "replaced"])
def test_a_change_that_keeps_the_size_is_followed(path: Path, clock: Clock, how: str) -> None:
    """The time tells the one, and the file's number the other, where a copy kept the time."""
    other = SECRET.replace("h7c2k9wq4m", "other22222")
    write(path, entry())
    os.utime(path, (1_000_000_000, 1_000_000_000))
    gateway = KeyFile(path, clock=clock)
    if how == "in place":
        write(path, entry(other))
    else:
        copy = path.with_name("copy")
        write(copy, entry(other))
        os.utime(copy, (1_000_000_000, 1_000_000_000))
        copy.rename(path)
    clock.now = 1.0
    assert gateway.find(other) is not None
    assert gateway.find(SECRET) is None


def test_a_mounted_secret_is_followed(tmp_path: Path, clock: Clock) -> None:
    """Kubernetes swaps a linked folder; the path's own link never changes."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    write(tmp_path / "one" / "keys.json")
    write(tmp_path / "two" / "keys.json", entry())
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "keys.json").symlink_to("..data/keys.json")
    gateway = KeyFile(tmp_path / "keys.json", clock=clock)
    assert gateway.find(SECRET) is None
    (tmp_path / "..data_tmp").symlink_to("two")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    clock.now = 1.0
    assert gateway.find(SECRET) is not None


def test_a_file_that_breaks_changes_nothing(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The keys of before stay in force; it is said once for each change, and mending it helps."""
    write(path, entry())
    gateway = KeyFile(path, clock=clock)
    for broken in ('{"keys": [', "{}"):
        path.write_text(broken)
        for _ in range(5):
            clock.now += 1
            assert gateway.find(SECRET) is not None
            assert gateway.configured
    assert [(record.levelno, record.getMessage().split(": ")[0]) for record in caplog.records] == [
        (logging.ERROR, f"{path} is not a file of keys"),
        (logging.ERROR, f"{path} is not a file of keys"),
    ]
    write(path)
    clock.now += 1
    assert gateway.find(SECRET) is None
    assert len(caplog.records) == 2


def test_a_file_that_vanishes_changes_nothing(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Least of all does it let everybody in; and the same file that comes back is welcome."""
    write(path, entry())
    gateway = KeyFile(path, clock=clock)
    path.rename(path.with_name("away"))
    for _ in range(5):
        clock.now += 1
        assert gateway.configured
        assert gateway.find(SECRET) is not None
    assert [record.getMessage() for record in caplog.records] == [
        f"{path} cannot be read: No such file or directory. The keys of before stay in force."
    ]
    path.with_name("away").rename(path)
    KeyFile(path).revoke("h7c2k9wq4m")
    clock.now += 1
    assert gateway.find(SECRET) is None


def test_the_first_key_ends_the_time_without_keys(path: Path, clock: Clock) -> None:
    """In a gateway that was started without."""
    gateway = KeyFile(path, clock=clock)
    assert not gateway.configured
    secret, _ = KeyFile(path).create("acme", [Scope.WRITE])
    clock.now = 1.0
    assert gateway.configured
    assert gateway.find(secret) is not None


@pytest.mark.parametrize("how", ["broken", "dangling link", "folder"])
def test_a_first_file_that_cannot_be_read_lets_nobody_in(
    path: Path, clock: Clock, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    """Whoever put it there wanted keys asked for."""
    gateway = KeyFile(path, clock=clock)
    if how == "broken":
        path.write_text("")
    elif how == "folder":
        path.mkdir()
    else:
        path.symlink_to("nowhere")
    clock.now = 1.0
    assert gateway.configured
    assert gateway.find(SECRET) is None
    assert len(caplog.records) == 1


# What a file may hold


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "",
            "is not a file of keys: Invalid JSON: EOF while parsing a value at line 1 column 0 [at $]",
        ),
        ("[]", "is not a file of keys: Input should be an object [at $]"),
        ("{}", "is not a file of keys: Field required [at $.keys]"),
        ('{"keys": [], "x": 1}', "is not a file of keys: Unexpected keyword argument [at $.x]"),
    ],
)
def test_a_file_that_is_none_stops_the_start(path: Path, text: str, said: str) -> None:
    """With the place of the fault."""
    path.write_text(text)
    assert refusal(lambda: KeyFile(path)) == f"{path} {said}."


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"revoked": True}, "Unexpected keyword argument [at $.keys[0].key.revoked]"),
        (
            {"scopes": ["admin"]},
            "Input should be 'publish', 'write' or 'read' [at $.keys[0].key.scopes[0]]",
        ),
        ({"scopes": []}, "a key takes at least one scope [at $.keys[0].key]"),
        (
            PUBLISH | {"scopes": ["publish", "write"]},
            "a publish key takes no other scope: whoever sees the page can read it [at $.keys[0].key]",
        ),
        (
            PUBLISH | {"events_per_minute": 0},
            "a publish key takes at least 1 event a minute [at $.keys[0].key]",
        ),
        (
            {"key_id": "H_7"},
            "String should match pattern '^[a-z0-9]{1,64}$' [at $.keys[0].key.key_id]",
        ),
    ],
)
def test_a_person_keeps_the_same_rules(path: Path, fields: dict[str, Any], said: str) -> None:
    """A slip of the pen must not open a project to every visitor of a page."""
    write(path, entry(**fields))
    assert refusal(lambda: KeyFile(path)) == f"{path} is not a file of keys: {said}."


def test_two_keys_of_one_id_are_refused(path: Path) -> None:
    """Or revoking it would end only one of them."""
    write(path, entry(), entry())
    said = "two keys have the same key_id [at $.keys]"
    assert refusal(lambda: KeyFile(path)) == f"{path} is not a file of keys: {said}."


def test_no_entry_has_more_than_its_key_and_hash(path: Path) -> None:
    """A field beside the key instead of in it would be without effect, `revoked_at` for instance."""
    write(path, entry() | {"revoked_at": "2026-01-31T09:30:00Z"})
    said = "Unexpected keyword argument [at $.keys[0].revoked_at]"
    assert refusal(lambda: KeyFile(path)) == f"{path} is not a file of keys: {said}."


def test_a_hash_is_whole(path: Path) -> None:
    """An empty one would be a mistake that nobody sees."""
    write(path, entry() | {"sha256": ""})
    assert "[at $.keys[0].sha256]" in refusal(lambda: KeyFile(path))


@pytest.mark.parametrize("how", ["folder", "dangling link", "file for a folder"])
def test_what_is_there_but_cannot_be_read_stops_the_start(path: Path, how: str) -> None:
    """It is not taken for no file, which would let everybody in."""
    if how == "folder":
        path.mkdir()
    elif how == "dangling link":
        path.symlink_to("nowhere")
    else:
        path.write_text("")
        path /= "keys.json"
    assert refusal(lambda: KeyFile(path)).startswith(f"{path} cannot be read: ")


def test_a_key_is_data(path: Path) -> None:
    """Of the public kind, which other modules may make for themselves."""
    write(path, entry())
    assert KeyFile(path).list() == (
        Key(
            key_id="h7c2k9wq4m",
            project="acme",
            scopes=frozenset({Scope.WRITE}),
            origins=(),
            events_per_minute=0,
            note="",
            created_at="2026-01-31T09:30:00.125Z",
            revoked_at=None,
        ),
    )


def test_a_revocation_is_not_missed_for_a_file_that_cannot_be_read(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a process has no descriptor left: it is read again, though the file stays as it is."""
    write(path, entry())
    keys = KeyFile(path, clock=clock)
    write(path, entry(revoked_at="2026-01-31T09:30:00.125Z"))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", _no_descriptor)
        clock.now += 10
        assert keys.find(SECRET) is not None

    clock.now += 10
    assert keys.find(SECRET) is None


def _no_descriptor(_: Path) -> bytes:
    raise OSError(errno.EMFILE, "Too many open files")
