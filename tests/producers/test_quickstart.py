"""The quick start for backend developers: its FastAPI app runs, on a gateway."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from afterword import MemoryTransport, Transport
from afterword.gateway import GatewayServer

PAGE = Path(__file__).parents[2] / "producers" / "docs" / "quickstart-backend.md"


def test_the_app_sends_a_score_about_the_trace_that_it_returns(
    start_gateway: Callable[[Transport], GatewayServer],
) -> None:
    """The event is delivered when the app has ended, and names the trace of the answer."""
    memory = MemoryTransport()
    (app,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL)
    placed = app.replace("http://127.0.0.1:8080", start_gateway(memory).address)
    namespace: dict[str, Any] = {"__name__": "main"}
    exec(compile(placed, "main.py", "exec"), namespace)

    with TestClient(namespace["app"]) as browser:
        answer = browser.post("/api/answer", json={"text": "When?"})

    assert answer.status_code == 200
    (event,) = memory.events
    assert event["trace_id"] == answer.json()["trace_id"] == answer.headers["x-trace-id"]
    assert event["project"] == "default"
    assert event["metrics"] == {"judge": {"faithfulness": 0.82}}
