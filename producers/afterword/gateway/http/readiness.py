"""Whether a part could do its work now, however often that is asked."""

import asyncio
from collections.abc import Callable
from typing import Final

from afterword_schemas.errors import AfterwordError

_KEPT_S: Final = 1.0


class Readiness:
    """Looks once for all who ask at the same time, and within a second.

    Args:
        look: Raises `AfterwordError` while it could not; called in a thread.
    """

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self._looking = asyncio.Lock()
        self._kept_until_s = 0.0
        self._fault: str | None = None

    async def fault(self) -> str | None:
        """Return why it could not, or None."""
        loop = asyncio.get_running_loop()
        async with self._looking:
            if loop.time() >= self._kept_until_s:
                self._fault = await asyncio.to_thread(self._ask)
                self._kept_until_s = loop.time() + _KEPT_S
            return self._fault

    def _ask(self) -> str | None:
        try:
            self._look()
        except AfterwordError as error:
            return str(error)
        return None
