"""What can be set, for every command: `AFTERWORD_*` variables, then `afterword.toml`, then defaults.

    settings = load_settings()
    settings.kafka_bootstrap_servers

Where no address is set and a local stack is up (`afterword up`), the address is the stack's.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    Field,
    FilePath,
    NonNegativeFloat,
    PlainSerializer,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from afterword_consumers.clickhouse.client import ClickHouseAddress
from afterword_consumers.ingest.worker import WorkerOptions
from afterword_consumers.query import Budget
from afterword_schemas import AfterwordError, ConfigurationError, RetryableError, UnreachableError
from afterword_schemas.backoff import Backoff
from afterword_schemas.patterns import PROJECT, whole
from afterword_stack.local.folders import data_dir, is_default_data_dir
from afterword_stack.local.stack import Addresses, is_starting_or_up, running_stack

SETTINGS_FILE: Final = "afterword.toml"
KEYS_FILE: Final = "afterword.keys.json"

_PREFIX: Final = "AFTERWORD_"
_ADDRESSES: Final = {"Kafka": "kafka_bootstrap_servers", "ClickHouse": "clickhouse_url"}
_MEBIBYTE: Final = 1024 * 1024


class Settings(BaseSettings):
    """Settings of one process; names end in their unit."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_ignore_empty=True,  # as compose and Helm pass on what is not set
        toml_file=SETTINGS_FILE,
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )

    kafka_bootstrap_servers: Annotated[str, Field(min_length=1)] = "127.0.0.1:9092"
    """Kafka brokers, `host:port`, several with commas."""

    kafka_topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")] = "feedback.events"
    """Topic of the events."""

    kafka_group: Annotated[str, Field(min_length=1)] = "afterword"
    """Consumer group of the workers; what it has committed is in ClickHouse."""

    kafka_group_protocol: Literal["consumer", "classic"] = "consumer"
    """`consumer` (KIP-848) for brokers from 4.0, `classic` for older ones."""

    kafka: Annotated[dict[str, str | int | float | bool], Field(repr=False)] = {}
    """More settings for the Kafka client by librdkafka's names, such as `security.protocol`: a table
    in the file, a JSON object in the variable. May hold passwords, so it is never shown."""

    clickhouse_url: str = "http://127.0.0.1:8123"
    """ClickHouse's HTTP interface, `http://` or `https://`, host and port."""

    clickhouse_database: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = "afterword"
    """Database of the tables; `afterword migrate` creates it."""

    clickhouse_user: str = "default"
    """User that may insert into and select from it."""

    clickhouse_password: SecretStr = SecretStr("")
    """Never shown."""

    clickhouse_timeout_s: PositiveInt = 300
    """For one request, an insert of a whole batch included."""

    clickhouse_ca_file: FilePath | None = None
    """PEM file of the authorities that may sign ClickHouse's certificate; by default the system's."""

    clickhouse_client_cert_file: FilePath | None = None
    """PEM file of this client's certificate. It is the login where no password is set."""

    clickhouse_client_key_file: FilePath | None = None
    """PEM file of its key, unless the certificate's file holds that, too."""

    clickhouse_verify: bool = True
    """`false` takes any certificate: whoever stands in between can then read and change everything."""

    command_timeout_s: PositiveInt = 15
    """How long a command that only looks, such as `status`, waits for one answer; `--timeout` overrides it."""

    batch_max_rows: PositiveInt = 100_000
    """A batch is inserted once it has this many messages,"""

    batch_max_bytes: PositiveInt = 64 * _MEBIBYTE
    """or this many bytes of messages, or of the rows made of them,"""

    batch_max_age_s: PositiveFloat = 1.0
    """or once its first message has waited this long."""

    retry_max_s: PositiveFloat = 10.0
    """Longest pause between two tries of an insert; the tries never end."""

    drain_timeout_s: NonNegativeFloat = 20.0
    """How long a worker that stops, or loses partitions, may finish inserts."""

    gateway_host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """Address that the gateway listens on. Without keys, only a loopback address."""

    gateway_port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    """Port that it listens on; 0 for any that is free. `afterword up` chooses one and keeps it."""

    gateway_keys_file: Annotated[
        Path,
        PlainSerializer(lambda path: str(path.absolute())),  # for a process in another folder
    ] = Path(KEYS_FILE)
    """File of the gateway's keys, which `afterword keys` writes. `afterword up` keeps one with its data."""

    gateway_project: Annotated[str, Field(pattern=whole(PROJECT))] = "default"
    """Project of events that name none, where no keys are configured."""

    gateway_max_body_bytes: PositiveInt = 8 * _MEBIBYTE
    """Of one request, also after it is expanded."""

    gateway_delivery_timeout_s: PositiveFloat = 10.0
    """How long a request waits for Kafka before its sender is told to try again."""

    gateway_trusted_proxies: str = "127.0.0.1,::1"
    """Addresses, with commas, whose `X-Forwarded-For` the gateway believes; `*` for all."""

    dashboard_host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """Address that the dashboard listens on. Without keys, only a loopback address."""

    dashboard_port: Annotated[int, Field(ge=0, le=65_535)] = 8081
    """Port that it listens on; 0 for any that is free. `afterword up` chooses one and keeps it."""

    dashboard_query_time_s: Annotated[float, Field(gt=0, le=3600)] = 10.0
    """Seconds that the queries of one request may take together; beyond, the answer is 422."""

    dashboard_query_read_rows: PositiveInt = 1_000_000_000
    """Rows that each query may read; beyond, the answer is 422."""

    dashboard_query_memory_bytes: PositiveInt = 4 * 1024 * _MEBIBYTE
    """Bytes of memory that each query may use in ClickHouse; beyond, the answer is 422."""

    dashboard_running_queries: Annotated[int, Field(ge=1, le=100)] = 4
    """Requests that ask ClickHouse at the same time."""

    dashboard_waiting_queries: Annotated[int, Field(ge=0, le=10_000)] = 16
    """Requests more that may wait for that; the others are answered 503 and come again."""

    @field_validator("kafka", mode="before")
    @classmethod
    def _join_names(cls, given: object) -> object:
        """Read `security.protocol = "SSL"` of TOML, where the dot makes a table, as one name."""
        return dict(_joined(given)) if isinstance(given, dict) else given

    @field_validator("gateway_trusted_proxies")
    @classmethod
    def _is_networks(cls, listed: str) -> str:
        for one in listed.split(","):
            try:
                _ = one.strip() == "*" or ip_network(one.strip())
            except ValueError:
                raise ValueError("takes addresses or networks, with commas, or *") from None
        return listed

    @field_validator("clickhouse_url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("takes a URL such as http://127.0.0.1:8123")
        if parts.username is not None:
            raise ValueError("takes no user: that is clickhouse_user and clickhouse_password")
        if parts.path.strip("/") or parts.query or parts.port == 0:  # reading a bad port raises
            raise ValueError("takes scheme, host and port only")
        return url

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # no .env: one file is enough
        file_secret_settings: PydanticBaseSettingsSource,  # likewise
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let variables win over the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    def at(self, stack: Addresses) -> Self:
        """Return these settings with a local stack's addresses in place of unset ones.

        A local stack lets everyone in, so what another server wants to let you in is left out. The
        stack's keys go with the stack alone, and so only with both of its addresses.
        """
        entry = Settings.model_construct()
        found: dict[str, object] = {}
        if "kafka_bootstrap_servers" not in self.model_fields_set:
            found |= {"kafka_bootstrap_servers": stack.bootstrap_servers, "kafka": entry.kafka}
        if "clickhouse_url" not in self.model_fields_set:
            found |= {
                "clickhouse_url": stack.clickhouse_url,
                "clickhouse_user": entry.clickhouse_user,
                "clickhouse_password": entry.clickhouse_password,
            }
        at = self.model_copy(update=found)
        if at.talks_to(stack) and "gateway_keys_file" not in self.model_fields_set:
            return at.model_copy(update={"gateway_keys_file": Path(stack.data_dir) / KEYS_FILE})
        return at

    def talks_to(self, stack: Addresses) -> bool:
        """Return whether both addresses are the stack's."""
        mine = (self.kafka_bootstrap_servers, self.clickhouse_url)
        return mine == (stack.bootstrap_servers, stack.clickhouse_url)

    @property
    def clickhouse(self) -> ClickHouseAddress:
        """Where the database is."""
        url = urlsplit(self.clickhouse_url)
        host, secure = url.hostname or "", url.scheme == "https"
        return ClickHouseAddress(
            host=f"[{host}]" if ":" in host else host,
            port=url.port or (8443 if secure else 8123),
            database=self.clickhouse_database,
            user=self.clickhouse_user,
            password=self.clickhouse_password.get_secret_value(),
            secure=secure,
            timeout_s=self.clickhouse_timeout_s,
            ca_file=_text(self.clickhouse_ca_file),
            client_cert_file=_text(self.clickhouse_client_cert_file),
            client_key_file=_text(self.clickhouse_client_key_file),
            verify=self.clickhouse_verify,
        )

    @property
    def clickhouse_look(self) -> ClickHouseAddress:
        """The same for who only looks, and waits no longer than a command does."""
        timeout_s = min(self.command_timeout_s, self.clickhouse_timeout_s)
        return replace(self.clickhouse, timeout_s=timeout_s)

    def within(self, timeout_s: int | None) -> Self:
        """Return these settings for a command that may wait so long; the same ones for None."""
        if timeout_s is None:
            return self
        return self.model_copy(
            update={"command_timeout_s": timeout_s, "clickhouse_timeout_s": timeout_s}
        )

    @property
    def dashboard_budget(self) -> Budget:
        """What one request to the dashboard may cost."""
        return Budget(
            time_s=self.dashboard_query_time_s,
            read_rows=self.dashboard_query_read_rows,
            memory_bytes=self.dashboard_query_memory_bytes,
        )

    @property
    def worker(self) -> WorkerOptions:
        """How a worker batches, retries and ends."""
        return WorkerOptions(
            batch_max_rows=self.batch_max_rows,
            batch_max_bytes=self.batch_max_bytes,
            batch_max_age_s=self.batch_max_age_s,
            drain_timeout_s=self.drain_timeout_s,
            backoff=Backoff(max_s=self.retry_max_s),
        )


def default_settings() -> Settings:
    """Return the defaults alone, whatever variables and file say."""
    return Settings.model_construct()


def load_settings(tell: Callable[[str], None] = lambda _: None) -> Settings:
    """Read the settings of this process, once, at its edge.

    Args:
        tell: Is told which local stack the addresses are of, where you may not expect it.

    Raises:
        ConfigurationError: A setting is unknown, or its value is not of its form.
    """
    settings, stack = read_settings(), running_stack()
    if stack is None:
        return settings
    found = settings.at(stack)
    if remark := _remark(settings, found, stack):
        tell(remark)
    return found


def read_settings() -> Settings:
    """Return what variables and file say, and no local stack's addresses; errors as for `load_settings`."""
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigurationError(
            _explain(error), "See deploy/docs/settings.md for the settings."
        ) from None
    except SettingsError:  # the one variable that is more than text
        raise ConfigurationError(
            f"{_PREFIX}KAFKA is not a JSON object.", 'Write it as {"security.protocol": "SSL"}.'
        ) from None
    except (OSError, ValueError) as error:  # a file that is no TOML
        raise ConfigurationError(f"{SETTINGS_FILE} cannot be read: {error}.") from None


def _remark(given: Settings, found: Settings, stack: Addresses) -> str:
    """Return which stack is talked to; empty where it is the only one it can be, or none."""
    taken = [
        part for part, name in _ADDRESSES.items() if getattr(given, name) != getattr(found, name)
    ]
    if not taken:
        return ""
    if not found.talks_to(stack):
        (own,) = _ADDRESSES.keys() - set(taken)
        address = getattr(given, _ADDRESSES[own])
        return f"{taken[0]} is that of the local stack on {stack.data_dir}, {own} is {address}"
    return "" if is_default_data_dir() else f"using the local stack on {stack.data_dir}"


def explain_unreachable(error: UnreachableError) -> AfterwordError:
    """Return what to tell a user: that no local stack is up, where nobody has set an address either."""
    name = _ADDRESSES[error.service]
    if name in load_settings().model_fields_set:
        return RetryableError(f"{error}; see `afterword doctor`")
    if is_starting_or_up():
        return RetryableError(f"The local stack on {data_dir()} is starting. Try again soon.")
    return ConfigurationError(
        f"No local stack is up, and no {error.service} is at the default address, "
        f"{Settings.model_fields[name].default}.",
        f"Start one with `afterword up`, or set {_PREFIX}{name.upper()}.",
    )


def unknown_variables() -> dict[str, str]:
    """Return the variables that look like settings and are none, each with what may be meant."""
    known = [f"{_PREFIX}{name.upper()}" for name in Settings.model_fields]
    strange = sorted(n for n in os.environ if n.startswith(_PREFIX) and n.upper() not in known)
    return {name: _closest(name, known) for name in strange}


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _joined(table: Mapping[str, object], above: str = "") -> Iterator[tuple[str, object]]:
    for name, given in table.items():
        if isinstance(given, dict):
            yield from _joined(given, f"{above}{name}.")
        else:
            yield f"{above}{name}", given


def _explain(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_input=False)
    return "\n".join(dict.fromkeys(map(_explain_one, faults)))


def _explain_one(fault: ErrorDetails) -> str:
    name, *inner = map(str, fault["loc"])
    if fault["type"] == "extra_forbidden":
        meant = _closest(name, list(Settings.model_fields))
        return f"{SETTINGS_FILE}: there is not a setting {name}." + (meant and f" Is it {meant}?")
    if inner:
        return f"Setting {name}: {inner[0]} takes text, a number, true or false."
    reason = fault["msg"].removeprefix("Value error, ")
    return f"Setting {name} ({_PREFIX}{name.upper()}): {reason}."


def _closest(name: str, known: list[str]) -> str:
    return next(iter(get_close_matches(name, known, n=1)), "")
