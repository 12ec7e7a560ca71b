"""The API on a real ClickHouse, with a client that calls it as whoever a test says."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.testclient import TestClient
from tests.consumers.stored_rows import make_row

from afterword_consumers.api import Api, ApiError, ApiOptions, Pages, create_api
from afterword_consumers.clickhouse.client import ClickHouse
from afterword_consumers.query import Freshness

START: Final = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
COMPLETE_UNTIL: Final = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)


def make_row_at(number: int, **fields: Any) -> dict[str, Any]:
    """Make the row of one event, created so many seconds after `START` as its number says."""
    return make_row(number, **{"created_at": START + timedelta(seconds=number), **fields})


@dataclass
class Kafka:
    """What Kafka would say."""

    freshness: Freshness = field(default_factory=lambda: Freshness(COMPLETE_UNTIL, 3))

    def read(self) -> Freshness:
        """See `FreshnessSource`."""
        return self.freshness


class ApiHarness:
    """The API, a client that calls it, and the database behind it.

    A request says whose it is in the header `x-project`; without it, it is the operator's.
    """

    def __init__(self, clickhouse: ClickHouse, options: ApiOptions | None = None) -> None:
        self.clickhouse, self.kafka = clickhouse, Kafka()
        api = Api(clickhouse, admit=_admit, freshness=self.kafka, options=options)
        self.app = create_api(api, pages=self.pages(api))
        self.http = TestClient(self.app, raise_server_exceptions=False)

    def pages(self, _: Api) -> Pages | None:
        """Return the pages that are served beside the API."""
        return None

    def store(self, *rows: Mapping[str, Any]) -> None:
        """Store feedback, and its paths as the worker does."""
        self._insert("feedback", rows)
        paths = {
            (row["project"], path, kind): str(leaf)
            for row in rows
            for kind in ("number", "boolean", "string")
            for path, leaf in row[f"{kind}s"].items()
        }
        self._insert(
            "feedback_paths",
            [
                {"project": project, "path": path, "type": kind, "example": example}
                for (project, path, kind), example in paths.items()
            ],
        )

    def reject(self, offset: int, payload: bytes, **fields: Any) -> None:
        """Store a refused message of partition 3, refused so many seconds after `START`."""
        row = {
            "kafka_topic": "feedback.events",
            "topic_id": "T",
            "kafka_partition": 3,
            "kafka_offset": offset,
            "published_at": START.timestamp(),
            "rejected_at": (START + timedelta(seconds=offset)).timestamp(),
            "code": "unknown_field",
            "path": "$.tarce_id",
            "detail": "there is no such field",
            **fields,
        }
        names, values = ", ".join(row), ", ".join(map(repr, row.values()))
        self.clickhouse.command(
            f"INSERT INTO feedback_rejected ({names}, payload) "
            f"SELECT {values}, unhex('{payload.hex()}')"
        )

    def get(self, path: str, asker: str | None, /, **parameters: Any) -> Any:
        """Return the JSON that is answered with 200 to whoever may see a project, or all."""
        answer = self.http.get(path, params=parameters, headers=of(asker))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refusal(self, path: str, status: int, /, **parameters: Any) -> Any:
        """Return the error that project acme is answered with this status."""
        answer = self.http.get(path, params=parameters, headers=of("acme"))
        assert answer.status_code == status, answer.text
        assert set(answer.json()) == {"error"}
        return answer.json()["error"]

    def _insert(self, table: str, rows: Any) -> None:
        lines = "\n".join(map(json.dumps, rows))
        self.clickhouse.command(f"INSERT INTO {table} FORMAT JSONEachRow\n{lines}")


def of(project: str | None) -> dict[str, str]:
    """Return the header of whoever may see a project."""
    return {} if project is None else {"x-project": project}


def _admit(request: Request) -> str | None:
    project = request.headers.get("x-project")
    if project == "nobody":
        raise ApiError(401, "unauthorized", "Send a key.", "", {"www-authenticate": "Bearer"})
    return project
