"""Let a person edit bytes in the editor of their choice, as git does with a message.

edited = edit(b'{"project": "p"}', name="3-1042.json")
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from afterword_schemas import ConfigurationError


def edit(text: bytes, *, name: str) -> bytes:
    """Open a file of this name that holds the bytes, and return what it holds once the editor has ended.

    Raises:
        ConfigurationError: There is no editor, or it ended with a failure.
    """
    command = _find_editor()
    with tempfile.TemporaryDirectory(prefix="afterword-") as folder:
        file = Path(folder) / name
        file.write_bytes(text)
        try:
            done = subprocess.run([*command, str(file)], check=False)  # noqa: S603  # the user's own
        except OSError as error:
            raise ConfigurationError(
                f"The editor {command[0]} cannot be run: {error.strerror}.", "Set EDITOR."
            ) from error
        if done.returncode != 0:
            raise ConfigurationError(f"The editor {command[0]} failed; nothing was changed.")
        return file.read_bytes()


def _find_editor() -> list[str]:
    # The one read of the environment here: these two are every program's, not our setting.
    named = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if named:
        return shlex.split(named)
    found = shutil.which("vi") if sys.stdin.isatty() else None
    if found is None:
        raise ConfigurationError(
            "There is no editor.", "Set EDITOR, or give the payload with --from FILE."
        )
    return [found]
