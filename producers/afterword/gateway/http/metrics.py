"""What is counted, for Prometheus at `/metrics`.

Each app has a registry of its own. No label holds anything of a user's: neither project nor path.
"""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class RequestMetrics:
    """What every part that answers requests counts.

    Args:
        part: Of Afterword, the second word of each name.
    """

    def __init__(self, part: str) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            f"afterword_{part}_requests",
            "Requests by route and HTTP status.",
            ("route", "status"),
            registry=self._registry,
        )
        self.in_progress = Gauge(
            f"afterword_{part}_requests_in_progress",
            "Requests being answered now.",
            registry=self._registry,
        )

    def exposition(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)


class Metrics(RequestMetrics):
    """The gateway's counters, gauges and histograms."""

    def __init__(self) -> None:
        super().__init__("gateway")
        self.events = Counter(
            "afterword_gateway_events",
            "Events by what became of them: accepted, unavailable, or the code of the refusal.",
            ("outcome",),
            registry=self._registry,
        )
        self.delivery = Histogram(
            "afterword_gateway_delivery_seconds",
            "From publishing the events of a request to the last of Kafka's reports.",
            buckets=_SECONDS,
            registry=self._registry,
        )
