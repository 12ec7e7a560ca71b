"""Scripts of npm packages in the user's cache, fetched once by npm and checked.

    react, react_dom, babel = fetch_scripts()

npm fetches them, so that its own settings of registry and proxy count.
"""

import hashlib
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from afterword_stack.local.folders import cache_dir
from afterword_stack.local.lock import FileLock


@dataclass(frozen=True, slots=True)
class Script:
    """A script in a package.

    Attributes:
        package: With its version, as npm names it.
        path: Of the script in the package.
        sha256: Of the script.
    """

    package: str
    path: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The script's name in the cache."""
        return f"{self.package.replace('/', '-').replace('@', '-').strip('-')}.js"


REACT: Final = (
    Script(
        "react@18.3.1",
        "umd/react.production.min.js",
        "d949f1c3687aedadcedac85261865f29b17cd273997e7f6b2bfc53b2f9d4c4dd",
    ),
    Script(
        "react-dom@18.3.1",
        "umd/react-dom.production.min.js",
        "35f4f974f4b2bcd44da73963347f8952e341f83909e4498227d4e26b98f66f0d",
    ),
    Script(
        "@babel/standalone@7.26.4",
        "babel.min.js",
        "a12872ea8da3d29b2a296c51bfac7c482e81419c755f2207a49ad9b77200f4ea",
    ),
)
"""React for a script tag, and what translates JSX in the browser."""


def fetch_scripts(scripts: tuple[Script, ...] = REACT) -> list[str]:
    """Return the sources of scripts, from the cache if they are there and unchanged."""
    folder = cache_dir() / "npm-scripts"
    folder.mkdir(parents=True, exist_ok=True)
    busy = TimeoutError(f"another run holds {folder} for too long")
    with FileLock(folder / "lock", busy=busy, wait_s=300):
        return [_fetch(script, folder / script.file_name).decode() for script in scripts]


def _fetch(script: Script, cached: Path) -> bytes:
    if cached.exists() and _is(script, source := cached.read_bytes()):
        return source
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", script.package]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"npm pack {script.package}: {done.stderr}"
        (package,) = Path(folder).glob("*.tgz")
        with tarfile.open(package) as archive:
            member = archive.extractfile(f"package/{script.path}")
            assert member is not None
            source = member.read()
    assert _is(script, source), f"{script.path} of {script.package} is not the one that was checked"
    cached.write_bytes(source)
    return source


def _is(script: Script, source: bytes) -> bool:
    return hashlib.sha256(source).hexdigest() == script.sha256
