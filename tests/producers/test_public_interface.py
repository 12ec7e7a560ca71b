"""What a user can import, and what importing it brings along."""

import pickle
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

import afterword
from afterword import (
    AfterwordError,
    ChangeFields,
    ClosedError,
    DeliveryError,
    EventFields,
    Fields,
    QueueFullError,
    RefusedError,
    RetryableError,
)
from afterword_schemas.event import Event

ROOT = Path(__file__).parents[2]


def test_all_names_everything_public_and_is_sorted() -> None:
    """`__all__` is each name that the package shows, in the order that the linter keeps."""
    shown = {name for name in vars(afterword) if not name.startswith("_")}
    modules = {module.name for module in iter_modules(afterword.__path__)}
    assert set(afterword.__all__) == shown - modules
    assert len(afterword.__all__) == len(set(afterword.__all__))
    constants, others = ([n for n in afterword.__all__ if n.isupper() == c] for c in (True, False))
    classes = [name for name in others if name[0].isupper()]
    functions = [name for name in others if not name[0].isupper()]
    assert afterword.__all__ == sorted(constants) + sorted(classes) + sorted(functions)


def test_everything_public_is_documented() -> None:
    """Each class and function says what it is for."""
    for name in afterword.__all__:
        thing = getattr(afterword, name)
        if callable(thing) and hasattr(thing, "__module__") and isinstance(thing, type):
            assert thing.__doc__, name


def test_calls_take_every_field_of_an_event() -> None:
    """A field that is added to the event cannot be forgotten here."""
    ours = set(EventFields.__annotations__) - {"traceparent"}
    assert ours == set(Event.model_fields) - {"project", "op"}
    assert set(ChangeFields.__annotations__) == set(EventFields.__annotations__) - {"feedback_id"}
    targets = {"trace_id", "session_id", "span_id"}
    assert set(Fields.__annotations__) == set(ChangeFields.__annotations__) - targets


@pytest.mark.parametrize(
    "error",
    [
        QueueFullError("full"),
        RefusedError("out_of_range", "$.value", "value must be at most 10"),
        DeliveryError(3, "the broker is away"),
        ClosedError(),
    ],
)
def test_errors_survive_pickling(error: AfterwordError) -> None:
    """An error that crosses a process boundary arrives with its data and its sentence."""
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert (str(copy), vars(copy)) == (str(error), vars(error))


def test_errors_hang_in_one_tree() -> None:
    """What can be retried is a RetryableError, and everything is an AfterwordError."""
    assert issubclass(QueueFullError, RetryableError)
    assert not issubclass(RefusedError, RetryableError)
    assert issubclass(RefusedError, AfterwordError)
    assert issubclass(DeliveryError, RetryableError)
    assert issubclass(ClosedError, AfterwordError)


def test_programs_that_catch_a_store_error_go_on_working() -> None:
    """It is the earlier name of a RetryableError."""
    assert afterword.StoreError is RetryableError


def test_importing_the_sdk_brings_no_server_along() -> None:
    """A service that only emits loads neither database nor command line nor our other packages."""
    script = (
        "import sys, afterword; print(*{name.partition('.')[0] for name in sys.modules} & "
        "{'clickhouse_connect', 'chdb', 'typer', 'pydantic_settings', 'multiprocessing',"
        " 'afterword_consumers', 'afterword_stack'})"
    )
    command = [sys.executable, "-c", script]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "\n"


def test_only_one_module_imports_the_kafka_producer() -> None:
    """The network sits behind one seam."""
    importers = [
        path.name
        for path in (ROOT / "producers" / "afterword").rglob("*.py")
        if re.search(r"import .*\bProducer\b", path.read_text(encoding="utf-8"))
    ]
    assert importers == ["producer.py"]


@pytest.mark.parametrize("module", [m.name for m in iter_modules(afterword.__path__)])
def test_modules_are_private(module: str) -> None:
    """There is one place to import from, but for what has dependencies or a purpose of its own."""
    assert module.startswith("_") or module in {"gateway", "middleware"}
    assert import_module(f"afterword.{module}").__doc__
