"""Wait for what another thread, process or server is about to do.

wait_until(lambda: topic.committed() == 3)
wait_until(lambda: stored(3), alive=lambda: worker.poll() is None)

A test that waits for a condition ends as soon as it holds, and fails by itself where it never does. It looks
less and less often, since what it waits for needs the processor, too.
"""

import time
from collections.abc import Callable

import pytest

_FIRST_LOOK_S = 0.002
_MAX_LOOK_S = 0.05


def wait_until(
    condition: Callable[..., object],
    timeout_s: float = 60.0,
    *,
    alive: Callable[[], object] | None = None,
) -> None:
    """Return once a condition is true.

    Args:
        condition: Looked at again and again.
        timeout_s: The test fails where the condition is not true in this time.
        alive: What must be true meanwhile; the test fails at once where it is not.
    """
    deadline_s = time.monotonic() + timeout_s
    look_s = _FIRST_LOOK_S
    while not condition():
        if alive is not None and not alive():
            pytest.fail("it ended before the condition came true")
        if time.monotonic() > deadline_s:
            pytest.fail("the condition never came true")
        time.sleep(look_s)
        look_s = min(_MAX_LOOK_S, look_s * 1.5)
