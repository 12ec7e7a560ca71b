"""What a service gets that installs the SDK alone."""

import subprocess
import sys
import venv
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
    """`pip install .` into an empty environment: a client works, and ClickHouse stayed away."""
    venv.create(
        tmp_path, with_pip=True, symlinks=sys.platform != "win32"
    )  # as `python -m venv` does
    python = tmp_path / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    install: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        ROOT,
    ]
    installed = subprocess.run(install, capture_output=True, text=True, check=False)
    assert installed.returncode == 0, installed.stderr
    ran = subprocess.run(
        [python, "-c", SCRIPT], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    found = set(ran.stdout.split())
    assert {"afterword", "confluent_kafka", "orjson", "pydantic"} <= found
    assert not {name for name in found if "clickhouse" in name or "chdb" in name}
