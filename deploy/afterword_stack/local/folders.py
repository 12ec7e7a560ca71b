"""Where this user's caches and data go: the XDG folders, on macOS too.

cache_dir()  what can be fetched again; data_dir() what must not vanish, and who runs on it now.
"""

import os
from pathlib import Path
from typing import Final

_DATA: Final = ".local/share"


def cache_dir() -> Path:
    """Return `$XDG_CACHE_HOME/afterword`, by default `~/.cache/afterword`."""
    return _folder("XDG_CACHE_HOME", ".cache")


def data_dir() -> Path:
    """Return `$XDG_DATA_HOME/afterword`, by default `~/.local/share/afterword`."""
    return _folder("XDG_DATA_HOME", _DATA)


def is_default_data_dir() -> bool:
    """Return whether nobody has chosen another data folder."""
    return data_dir() == Path.home() / _DATA / "afterword"


def _folder(variable: str, default: str) -> Path:
    # The one read of the environment here: XDG is the platform's way to say it, not our setting.
    base = os.environ.get(variable, "")
    root = Path(base) if Path(base).is_absolute() else Path.home() / default
    return root / "afterword"
