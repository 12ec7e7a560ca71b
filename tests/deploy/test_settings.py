"""Settings: variables before the file before defaults, faults named, secrets never shown."""

import re
from pathlib import Path

import pytest

from afterword_schemas import ConfigurationError
from afterword_stack import settings as module
from afterword_stack.local.stack import Addresses
from afterword_stack.settings import (
    Settings,
    default_settings,
    load_settings,
    unknown_variables,
)

PAGE = Path(__file__).parents[2] / "deploy" / "docs" / "settings.md"
UNITS = {
    "clickhouse_timeout_s": "300",
    "command_timeout_s": "15",
    "batch_max_rows": "100000",
    "batch_max_bytes": "67108864",
    "batch_max_age_s": "1.0",
    "retry_max_s": "10.0",
    "drain_timeout_s": "20.0",
    "gateway_max_body_bytes": "8388608",
    "gateway_delivery_timeout_s": "10.0",
    "dashboard_query_time_s": "10.0",
    "dashboard_query_read_rows": "1000000000",
    "dashboard_query_memory_bytes": "4294967296",
    "dashboard_running_queries": "4",
    "dashboard_waiting_queries": "16",
}
"""The settings that are a number of something, in its unit."""


@pytest.fixture(autouse=True)
def _alone(own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start each test in an empty folder, without the user's variables."""
    assert own_folders.is_dir()
    for name in Settings.model_fields:
        monkeypatch.delenv(f"AFTERWORD_{name.upper()}", raising=False)


def write(text: str) -> None:
    """Write the settings file of the current folder."""
    Path("afterword.toml").write_text(text)


def refusal() -> str:
    """Return what loading says of the settings."""
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert caught.value.__cause__ is None  # the original may quote values
    return str(caught.value)


def test_variables_beat_the_file_and_the_file_beats_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each setting by itself, wherever the others come from."""
    write('kafka_topic = "file"\nkafka_group = "file"\nbatch_max_rows = 5\n')
    monkeypatch.setenv("AFTERWORD_KAFKA_TOPIC", "variable")
    found = load_settings()
    assert (found.kafka_topic, found.kafka_group, found.batch_max_rows) == ("variable", "file", 5)
    assert found.clickhouse_url == "http://127.0.0.1:8123"


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files and charts pass on variables that nobody has set."""
    monkeypatch.setenv("AFTERWORD_KAFKA_TOPIC", "")
    monkeypatch.setenv("AFTERWORD_BATCH_MAX_ROWS", "")
    assert load_settings() == default_settings()


@pytest.mark.parametrize(
    "text",
    [
        '[kafka]\n"security.protocol" = "SSL"\n"ssl.endpoint.identification.algorithm" = "none"',
        '[kafka]\nsecurity.protocol = "SSL"\nssl.endpoint.identification.algorithm = "none"',
        '[kafka.security]\nprotocol = "SSL"\n[kafka.ssl.endpoint.identification]\nalgorithm="none"',
    ],
)
def test_kafka_settings_may_be_written_with_bare_dots(text: str) -> None:
    """TOML reads a dot as a table; librdkafka's names have dots, so tables become names again."""
    write(text)
    assert load_settings().kafka == {
        "security.protocol": "SSL",
        "ssl.endpoint.identification.algorithm": "none",
    }


def test_kafka_settings_in_a_variable_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the types that JSON has."""
    monkeypatch.setenv("AFTERWORD_KAFKA", '{"client.id": "x", "linger.ms": 5, "a": true}')
    assert load_settings().kafka == {"client.id": "x", "linger.ms": 5, "a": True}
    monkeypatch.setenv("AFTERWORD_KAFKA", "client.id=x")
    assert refusal().startswith("AFTERWORD_KAFKA is not a JSON object. Write it as {")


def test_an_unknown_key_in_the_file_is_refused_by_name() -> None:
    """With the one that was meant, and together with every other fault."""
    write('kafka_topci = "x"\nwhatever = 1\nbatch_max_rows = 0\n')
    assert refusal().splitlines() == [
        "Setting batch_max_rows (AFTERWORD_BATCH_MAX_ROWS): Input should be greater than 0.",
        "afterword.toml: there is not a setting kafka_topci. Is it kafka_topic?",
        "afterword.toml: there is not a setting whatever. See deploy/docs/settings.md for the settings.",
    ]


def test_an_unknown_variable_is_reported_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other programs may have variables of this prefix; the doctor names them."""
    monkeypatch.setenv("AFTERWORD_KAFKA_TOPCI", "x")
    monkeypatch.setenv("AFTERWORD_QUITE_ELSE_AND_FAR_AWAY", "x")
    assert load_settings().kafka_topic == "feedback.events"
    assert unknown_variables() == {
        "AFTERWORD_KAFKA_TOPCI": "AFTERWORD_KAFKA_TOPIC",
        "AFTERWORD_QUITE_ELSE_AND_FAR_AWAY": "",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("clickhouse_url", "127.0.0.1:8123"),
        ("clickhouse_url", "http://h:99999"),
        ("gateway_trusted_proxies", "proxy.example.com"),
        ("gateway_trusted_proxies", "10.0.0.1,,"),
        ("clickhouse_url", "http://h:8123/path"),
        ("clickhouse_url", "http://secret:secret@h:8123"),
        ("clickhouse_database", "a-secret"),
        ("kafka_topic", "a secret"),
        ("kafka_group_protocol", "secret"),
        ("batch_max_age_s", "-1"),
        ("drain_timeout_s", "secret"),
    ],
)
def test_a_bad_value_is_refused_by_the_settings_name(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is given as setting and as variable; the value is not repeated."""
    monkeypatch.setenv(f"AFTERWORD_{name.upper()}", value)
    said = refusal()
    assert f"Setting {name} (AFTERWORD_{name.upper()}): " in said
    assert "secret" not in said


def test_a_bad_kafka_setting_is_named_once() -> None:
    """By librdkafka's name, not once for each type that it could have had."""
    write('[kafka]\n"client.id" = [1]\n')
    assert refusal().startswith("Setting kafka: client.id takes text, a number, true or false. See")


@pytest.mark.parametrize("text", ["kafka_topic = ", 'kafka_topic = "\x00"'])
def test_a_file_that_is_no_toml_is_named(text: str) -> None:
    """With the place of the fault."""
    write(text)
    assert re.match(r"afterword.toml cannot be read: .+ \(at ", refusal())


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither ClickHouse's password nor Kafka's are in any text of the settings."""
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_PASSWORD", "hunter2")
    monkeypatch.setenv("AFTERWORD_KAFKA", '{"sasl.password": "hunter2"}')
    found = load_settings()
    assert found.clickhouse.password == "hunter2"
    for text in (repr(found), str(found), repr(found.clickhouse), str(found.clickhouse)):
        assert "hunter2" not in text


def test_a_running_stack_fills_in_only_addresses_that_are_unset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever names an address means it; so does whoever names the default."""
    stack = Addresses("s:1", "http://s:2", "s:9", "k", "c", data_dir="d", pid=1)
    monkeypatch.setattr(module, "running_stack", lambda: stack)
    assert load_settings().kafka_bootstrap_servers == "s:1"
    assert load_settings().clickhouse_url == "http://s:2"
    write('kafka_bootstrap_servers = "127.0.0.1:9092"\n')
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_URL", "http://mine:3")
    assert load_settings().kafka_bootstrap_servers == "127.0.0.1:9092"
    assert load_settings().clickhouse_url == "http://mine:3"


def test_what_another_server_wants_is_not_said_to_a_local_stack(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A user, a password and settings of Kafka belong to an address that is set beside them."""
    stack = Addresses("s:1", "http://s:2", "s:9", "k", "c", data_dir="d", pid=1)
    monkeypatch.setattr(module, "running_stack", lambda: stack)
    write(
        'clickhouse_user = "me"\nclickhouse_password = "hunter2"\n[kafka]\nsecurity.protocol="SSL"\n'
    )
    found = load_settings()
    assert (found.kafka, found.clickhouse.user, found.clickhouse.password) == ({}, "default", "")
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_URL", "http://mine:3")
    monkeypatch.setenv("AFTERWORD_KAFKA_BOOTSTRAP_SERVERS", "mine:4")
    found = load_settings()
    assert (found.kafka, found.clickhouse.user) == ({"security.protocol": "SSL"}, "me")
    assert found.clickhouse.password == "hunter2"


def test_the_keys_of_a_stack_go_with_the_whole_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway in front of other servers asks for keys that were made for those."""
    stack = Addresses("s:1", "http://s:2", "s:9", "k", "c", data_dir="d", pid=1)
    monkeypatch.setattr(module, "running_stack", lambda: stack)
    assert load_settings().gateway_keys_file == Path("d/afterword.keys.json")
    monkeypatch.setenv("AFTERWORD_KAFKA_BOOTSTRAP_SERVERS", "s:1")
    assert load_settings().gateway_keys_file == Path("d/afterword.keys.json")
    monkeypatch.setenv("AFTERWORD_KAFKA_BOOTSTRAP_SERVERS", "mine:4")
    assert load_settings().gateway_keys_file == Path("afterword.keys.json")


def test_a_command_names_its_stack_where_that_is_not_obvious(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In a data folder that was chosen, or beside a server of yours; otherwise nothing is said."""
    stack = Addresses("s:1", "http://s:2", "s:9", "k", "c", data_dir="/d", pid=1)
    monkeypatch.setattr(module, "running_stack", lambda: stack)
    said: list[str] = []
    load_settings(said.append)
    assert said == ["using the local stack on /d"]
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_URL", "http://mine:3")
    load_settings(said.append)
    assert said[1:] == ["Kafka is that of the local stack on /d, ClickHouse is http://mine:3"]
    monkeypatch.setenv("AFTERWORD_KAFKA_BOOTSTRAP_SERVERS", "mine:4")
    load_settings(said.append)
    monkeypatch.delenv("AFTERWORD_KAFKA_BOOTSTRAP_SERVERS")
    monkeypatch.delenv("AFTERWORD_CLICKHOUSE_URL")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / ".local" / "share"))
    load_settings(said.append)
    assert len(said) == 2


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://h", "http://h:8123/?database=afterword"),
        ("https://h", "https://h:8443/?database=afterword"),
        ("https://h:1/", "https://h:1/?database=afterword"),
        ("http://[::1]:8123", "http://[::1]:8123/?database=afterword"),
    ],
)
def test_an_address_gets_the_port_of_its_scheme(
    url: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ClickHouse's own: 8123 in the clear, 8443 encrypted."""
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_URL", url)
    assert str(load_settings().clickhouse) == shown


def _as_listed(default: object) -> str:
    """Return a default as the file of settings has it."""
    if default is None:
        return ""
    return str(default).lower() if isinstance(default, bool) else str(default)


def test_every_setting_is_described_with_its_unit() -> None:
    """In the class; and a number's unit ends its name."""
    fields = Settings.model_fields
    assert [name for name, field in fields.items() if not field.description] == []
    numbers = {n: str(f.default) for n, f in fields.items() if type(f.default) in {int, float}}
    assert numbers == UNITS | {"gateway_port": "8080", "dashboard_port": "8081"}


def test_the_readme_lists_every_setting_with_its_default() -> None:
    """In the class's order, and no other."""
    section = PAGE.read_text()
    listed = re.findall(r"^\| `(\w+)` \| ([^|]*?) ?\|", section.partition("\n## ")[0], re.MULTILINE)
    secret = {"kafka": "", "clickhouse_password": ""}
    defaults = {n: _as_listed(field.default) for n, field in Settings.model_fields.items()} | secret
    assert [(name, cell.strip("`")) for name, cell in listed] == list(defaults.items())
