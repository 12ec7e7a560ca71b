"""What a service gets that installs the SDK alone."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

SCRIPT = """
from importlib.metadata import distributions
from afterword import Client, MemoryTransport
with Client(project="acme", transport=MemoryTransport()) as client:
    client.feedback(trace_id="tr-1", value=1)
    assert client.stats.delivered == 1
print(*sorted(each.name.lower().replace("-", "_") for each in distributions()))
"""


def test_a_bare_install_can_emit_and_has_no_database(tmp_path: Path) -> None:
    """The package in an empty environment: a client works, and ClickHouse stayed away."""
    uv = ROOT / ".venv" / "bin" / "uv"  # by the Makefile, for each Python that the tests run on
    python = tmp_path / "bin" / "python"
    make: list[str | Path] = ["venv", "--python", sys.executable, tmp_path]
    install: list[str | Path] = ["pip", "install", "--python", python, ROOT]
    for command in (make, install):
        done = subprocess.run([uv, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    ran = subprocess.run(
        [python, "-c", SCRIPT], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    installed = set(ran.stdout.split())
    assert {"afterword", "confluent_kafka", "orjson", "pydantic"} <= installed
    assert not {name for name in installed if "clickhouse" in name or "chdb" in name}
