"""`producers/README.md` says what the code does: its examples run, its tables are the code's."""

import re
from pathlib import Path

import pytest

from afterword import COPIED, EDITED, KAFKA_DEFAULTS, REGENERATED, Signal

README = (Path(__file__).parents[2] / "producers" / "README.md").read_text(encoding="utf-8")


def test_the_examples_run(mock_broker: str) -> None:
    """The code blocks work, one after the other, on a broker."""
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) == 7
    namespace: dict[str, object] = {}
    for block in blocks:
        exec(compile(block.replace("localhost:9092", mock_broker), "README.md", "exec"), namespace)


@pytest.mark.parametrize(
    ("call", "signal"), [("copied", COPIED), ("regenerated", REGENERATED), ("edited", EDITED)]
)
def test_the_signals_are_those_of_the_table(call: str, signal: Signal) -> None:
    """Value and weight of each implicit signal stand in the table."""
    assert re.search(rf"\| `{call}\(\)` \| .* \| {signal.value} \| {signal.weight} \|", README)


def test_the_settings_are_those_of_the_table() -> None:
    """Every default setting stands in the table with its value, and no other does."""
    table = dict(re.findall(r"^\| `([a-z.]+)` \| `(\w+)` \|", README, flags=re.MULTILINE))
    assert table == {name: str(setting) for name, setting in KAFKA_DEFAULTS.items()}
