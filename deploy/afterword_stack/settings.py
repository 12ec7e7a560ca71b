"""What can be set, for every command: `AFTERWORD_*` variables, then `afterword.toml`, then defaults.

    settings = load_settings()
    settings.kafka_bootstrap_servers

Where no address is set and a local stack is up (`afterword up`), the address is the stack's.
"""

from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from afterword_consumers.clickhouse import ClickHouseAddress
from afterword_consumers.inserter import Backoff
from afterword_consumers.worker import WorkerOptions
from afterword_schemas import SetupError
from afterword_stack.local.stack import Addresses, running_stack

SETTINGS_FILE: Final = "afterword.toml"

_MEBIBYTE: Final = 1024 * 1024


class Settings(BaseSettings):
    """Settings of one process; names end in their unit."""

    model_config = SettingsConfigDict(
        env_prefix="AFTERWORD_",
        env_nested_delimiter="__",
        toml_file=SETTINGS_FILE,
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )

    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    """Kafka brokers, `host:port`, several with commas."""

    kafka_topic: str = "feedback.events"
    """Topic of the events."""

    kafka_group: str = "afterword"
    """Consumer group of the workers; what it has committed is in ClickHouse."""

    kafka_group_protocol: Literal["consumer", "classic"] = "consumer"
    """`consumer` (KIP-848) for brokers from 4.0, `classic` for older ones."""

    kafka: dict[str, str | int | float | bool] = {}
    """More settings for the Kafka client by librdkafka's names, such as `security.protocol`; as a
    variable, a JSON object."""

    clickhouse_url: str = "http://127.0.0.1:8123"
    """ClickHouse's HTTP interface."""

    clickhouse_database: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = "afterword"
    """Database of the tables; `afterword migrate` creates it."""

    clickhouse_user: str = "default"
    """User that may insert into and select from it."""

    clickhouse_password: SecretStr = SecretStr("")
    """Never shown."""

    clickhouse_timeout_s: PositiveInt = 300
    """For one request, an insert of a whole batch included."""

    batch_max_rows: PositiveInt = 100_000
    """A batch is inserted once it has this many messages,"""

    batch_max_bytes: PositiveInt = 64 * _MEBIBYTE
    """or this many bytes of payload,"""

    batch_max_age_s: PositiveFloat = 1.0
    """or once its first message has waited this long."""

    retry_max_s: PositiveFloat = 10.0
    """Longest pause between two tries of an insert; the tries never end."""

    drain_timeout_s: NonNegativeFloat = 20.0
    """How long a worker that stops, or loses partitions, may finish inserts."""

    @field_validator("clickhouse_url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("takes a URL such as http://127.0.0.1:8123")
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
        """Return these settings with a local stack's addresses in place of unset ones."""
        found = {
            "kafka_bootstrap_servers": stack.bootstrap_servers,
            "clickhouse_url": stack.clickhouse_url,
        }
        unset = {name: url for name, url in found.items() if name not in self.model_fields_set}
        return self.model_copy(update=unset)

    @property
    def clickhouse(self) -> ClickHouseAddress:
        """Where the database is."""
        url = urlsplit(self.clickhouse_url)
        secure = url.scheme == "https"
        return ClickHouseAddress(
            host=url.hostname or "",
            port=url.port or (8443 if secure else 8123),
            database=self.clickhouse_database,
            user=self.clickhouse_user,
            password=self.clickhouse_password.get_secret_value(),
            secure=secure,
            timeout_s=self.clickhouse_timeout_s,
        )

    @property
    def worker(self) -> WorkerOptions:
        """How a worker batches, retries and ends."""
        return WorkerOptions(
            batch_max_rows=self.batch_max_rows,
            batch_max_bytes=self.batch_max_bytes,
            batch_max_age_s=self.batch_max_age_s,
            drain_timeout_s=self.drain_timeout_s,
            backoff=Backoff(most_s=self.retry_max_s),
        )


def default_settings() -> Settings:
    """Return the defaults alone, whatever variables and file say."""
    return Settings.model_construct()


def load_settings(**overrides: Any) -> Settings:
    """Read the settings of this process, once, at its edge.

    Raises:
        SetupError: A setting is unknown, or its value is not of its form.
    """
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        raise SetupError(_explain(error), "See deploy/README.md for the settings.") from None
    except ValueError as error:  # a file that is no TOML
        raise SetupError(f"{SETTINGS_FILE} cannot be read: {error}.") from None
    stack = running_stack()
    return settings if stack is None else settings.at(stack)


def _explain(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_input=False)
    lines = []
    for fault in faults:
        name = "_".join(str(part) for part in fault["loc"])
        reason = fault["msg"].removeprefix("Value error, ")
        lines.append(f"Setting {name} (AFTERWORD_{name.upper()}): {reason}.")
    return "\n".join(lines)
