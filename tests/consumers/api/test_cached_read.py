"""One look for all who ask at the same time."""

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from afterword_consumers.api.cached_read import CachedRead
from afterword_schemas import RetryableError

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_many_who_ask_at_once_cause_one_look() -> None:
    """And so do those who ask within the time it is good."""
    looks: list[str] = []

    async def ask() -> list[None]:
        recent = CachedRead(lambda: looks.append("once"), kept_s=60)
        found = await asyncio.gather(*(recent.look() for _ in range(100)))
        await recent.look()
        recent.close()
        return found

    assert asyncio.run(ask()) == [None] * 100
    assert looks == ["once"]


def test_an_error_is_told_to_all_and_looked_at_again() -> None:
    """It is kept no longer than a result."""
    fates: Iterator[RetryableError | int] = iter([RetryableError("away"), 7])

    def look() -> int:
        fate = next(fates)
        if isinstance(fate, RetryableError):
            raise fate
        return fate

    async def ask() -> None:
        recent = CachedRead(look, kept_s=0)
        with pytest.raises(RetryableError, match="away"):
            await recent.look()
        async with asyncio.timeout(5):
            while not await sees(recent, 7):  # the error is good for five times as long as the look
                await asyncio.sleep(0)
        recent.close()

    async def sees(recent: CachedRead[int], expected: int) -> bool:
        try:
            return await recent.look() == expected
        except RetryableError:
            return False

    asyncio.run(ask())


def test_a_look_holds_up_nobody_else() -> None:
    """The event loop goes on while a thread waits."""
    go = threading.Event()

    async def ask() -> bool:
        recent = CachedRead(go.wait, kept_s=60)
        looking = asyncio.create_task(recent.look())
        await asyncio.sleep(0)
        go.set()
        found = await looking
        recent.close()
        return found

    assert asyncio.run(ask()) is True
