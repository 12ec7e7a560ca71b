"""What is started and stopped: as a context manager, from the one to the other.

with KafkaNode(folder) as kafka: ...
"""

from abc import ABC, abstractmethod
from typing import Self


class Lifecycle(ABC):
    """A part that runs between `start` and `stop`."""

    @abstractmethod
    def start(self) -> object:
        """Start it and return when it serves; does nothing if it runs."""

    @abstractmethod
    def stop(self) -> None:
        """Stop it in order; does nothing if it does not run."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
