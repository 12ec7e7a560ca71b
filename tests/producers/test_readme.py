"""The pages of the SDK say what the code does: their examples run, their tables are the code's."""

import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from afterword import (
    COPIED,
    EDITED,
    KAFKA_DEFAULTS,
    REGENERATED,
    MemoryTransport,
    Signal,
    Transport,
)
from afterword.gateway import GatewayServer

PRODUCERS = Path(__file__).parents[2] / "producers"
SDK = (PRODUCERS / "docs" / "python-sdk.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["README.md", "docs/python-sdk.md", "docs/spool.md"])
def test_the_examples_run(
    page: str,
    mock_broker: str,
    start_gateway: Callable[[Transport], GatewayServer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The code blocks work, one after the other, on a broker and a gateway."""
    url = start_gateway(MemoryTransport()).address
    blocks = re.findall(
        r"```python\n(.*?)```", (PRODUCERS / page).read_text("utf-8"), flags=re.DOTALL
    )
    assert blocks
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # the handler would stay in this process
    namespace: dict[str, Any] = {}
    for block in blocks:
        here = block.replace("localhost:9092", mock_broker).replace("http://127.0.0.1:8080", url)
        here = here.replace("/var/lib/support-bot", str(tmp_path))
        exec(compile(here, page, "exec"), namespace)
    if "app" not in namespace:
        return
    headers = {"x-trace-id": "tr-7f3", "x-user": "u-19"}
    answer = TestClient(namespace["app"]).get("/rate", headers=headers)
    assert (answer.status_code, answer.headers["x-trace-id"]) == (200, "tr-7f3")
    assert namespace["transport"].events[-1]["trace_id"] == "tr-7f3"


@pytest.mark.parametrize(
    ("call", "meant"), [("copied", COPIED), ("regenerated", REGENERATED), ("edited", EDITED)]
)
def test_the_signals_are_those_of_the_table(call: str, meant: Signal) -> None:
    """Value and weight of each implicit signal stand in the table."""
    assert re.search(rf"\| `{call}\(\)` \| .* \| {meant.value} \| {meant.weight} \|", SDK)


def test_the_settings_are_those_of_the_table() -> None:
    """Every default setting stands in the table with its value, and no other does."""
    table = dict(re.findall(r"^\| `([a-z.]+)` \| `(\w+)` \|", SDK, flags=re.MULTILINE))
    assert table == {name: str(setting) for name, setting in KAFKA_DEFAULTS.items()}
