"""Wait for what another thread, process or server is about to do.

wait_until(lambda: topic.committed() == 3)

A test that waits for a condition ends as soon as it holds, and fails by itself where it never does.
"""

import time
from collections.abc import Callable

import pytest

_LOOK_EVERY_S = 0.005


def wait_until(condition: Callable[..., object], timeout_s: float = 60.0) -> None:
    """Return once a condition is true; the test fails where it is not in time."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            pytest.fail("the condition never came true")
        time.sleep(_LOOK_EVERY_S)
