"""Put the gateway together: Kafka behind it, ClickHouse for its receipts, keys in a file.

serve_gateway(load_settings())       # until SIGTERM
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from afterword import KafkaTransport
from afterword.gateway import (
    BodyLimits,
    GatewayOptions,
    GatewayServer,
    KeyFile,
    ServerOptions,
    check_reach,
    create_app,
)
from afterword_consumers.kafka.lag import find_partitions
from afterword_consumers.progress.receipts import ReceiptFinder
from afterword_schemas import AfterwordError
from afterword_stack.run.database import missing_migrations
from afterword_stack.run.serve import serve
from afterword_stack.run.topic_warnings import warning_of_topic
from afterword_stack.settings import Settings
from afterword_stack.terminal.console import notice

_LOOK_S: Final = 2
"""What ClickHouse may take for each statement of a look: it must not keep events waiting."""


def serve_gateway(settings: Settings) -> None:
    """Serve in this thread until SIGTERM or SIGINT; requests that are being answered finish first.

    Raises:
        ConfigurationError: As for `open_gateway`.
    """
    keys = KeyFile(settings.gateway_keys_file)
    with open_gateway(settings, keys) as server:
        _warn_if_away(settings)
        kafka = f"{settings.kafka_topic} on {settings.kafka_bootstrap_servers}"
        notice(f"publishing to {kafka}, receipts from {settings.clickhouse}")
        with warning_of_topic(settings):
            serve(server, settings.gateway_keys_file, keys)


@contextmanager
def open_gateway(settings: Settings, keys: KeyFile) -> Iterator[GatewayServer]:
    """Give a server that listens, for its `run`; what is behind it is closed with the block.

    Raises:
        ConfigurationError: The address cannot be had, or needs keys, or a Kafka setting is wrong.
    """
    check_reach(settings.gateway_host, keys_configured=keys.configured)
    transport = KafkaTransport(
        settings.kafka_bootstrap_servers,
        topic=settings.kafka_topic,
        # Given up no later than its sender is told so, or what is sent again under another id counts twice.
        kafka={
            **settings.kafka,
            "message.timeout.ms": int(settings.gateway_delivery_timeout_s * 1000),
        },
        collector=False,
    )
    receipts = ReceiptFinder(
        settings.clickhouse,
        settings.kafka_bootstrap_servers,
        topic=settings.kafka_topic,
        group=settings.kafka_group,
        settings=settings.kafka,
    )
    app = create_app(
        transport,
        keys=keys,
        receipts=receipts,
        ready=lambda: _look(settings),
        collect=transport.collect,
        options=GatewayOptions(
            project=settings.gateway_project,
            body=BodyLimits(max_bytes=settings.gateway_max_body_bytes),
            delivery_timeout_s=settings.gateway_delivery_timeout_s,
        ),
    )
    try:
        yield GatewayServer(
            app,
            ServerOptions(
                host=settings.gateway_host,
                port=settings.gateway_port,
                trusted_proxies=settings.gateway_trusted_proxies,
            ),
        )
    finally:
        receipts.close()
        transport.close(0)


def _look(settings: Settings) -> None:
    """Look whether Kafka answers and has the topic; raises if not."""
    find_partitions(settings.kafka_bootstrap_servers, settings.kafka_topic, settings.kafka)


def _warn_if_away(settings: Settings) -> None:
    try:
        _look(settings)
    except AfterwordError as error:
        notice(
            f"{str(error).rstrip('.')}. The gateway answers 503 until it does; see `afterword doctor`."
        )
    try:
        missing = missing_migrations(replace(settings.clickhouse, timeout_s=_LOOK_S))
    except AfterwordError as error:
        notice(f"{str(error).rstrip('.')}. Events are accepted, and receipts are not told.")
    else:
        if missing:
            notice(
                "The tables are missing or old, and receipts need them: run `afterword migrate`."
            )
