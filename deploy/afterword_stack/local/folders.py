"""Where this user's caches, data and running state go: the XDG folders, on macOS too.

cache_dir()  what can be fetched again; data_dir() what must not vanish; state_dir() who runs now.
"""

import os
from pathlib import Path


def cache_dir() -> Path:
    """Return `$XDG_CACHE_HOME/afterword`, by default `~/.cache/afterword`."""
    return _folder("XDG_CACHE_HOME", ".cache")


def data_dir() -> Path:
    """Return `$XDG_DATA_HOME/afterword`, by default `~/.local/share/afterword`."""
    return _folder("XDG_DATA_HOME", ".local/share")


def state_dir() -> Path:
    """Return `$XDG_STATE_HOME/afterword`, by default `~/.local/state/afterword`."""
    return _folder("XDG_STATE_HOME", ".local/state")


def _folder(variable: str, default: str) -> Path:
    # The one read of the environment here: XDG is the platform's way to say it, not our setting.
    base = os.environ.get(variable, "")
    root = Path(base) if Path(base).is_absolute() else Path.home() / default
    return root / "afterword"
