"""Which module may know which: read from the source, without importing it."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

MAY_IMPORT = {
    "schemas": {"afterword_schemas"},
    "producers": {"afterword", "afterword_schemas"},
    "consumers": {"afterword_consumers", "afterword_schemas"},
    "deploy": {"afterword_stack", "afterword_consumers", "afterword", "afterword_schemas"},
}
"""Each source root, and the packages of ours that its code may know: down, never sideways."""

OURS = MAY_IMPORT["deploy"]

ONLY_IN = {
    "confluent_kafka.Consumer": {"consumers/afterword_consumers/kafka/consumer.py"},
    "confluent_kafka.DeserializingConsumer": set[str](),
    "confluent_kafka.Producer": {"producers/afterword/_kafka/producer.py"},
    "confluent_kafka.SerializingProducer": set[str](),
    "clickhouse_connect": {
        "consumers/afterword_consumers/clickhouse/client.py",
        "consumers/afterword_consumers/clickhouse/faults.py",  # its errors, to say what they mean
    },
    "hypothesis": {"schemas/afterword_schemas/testing.py"},
    "scipy": {"consumers/afterword_consumers/query/statistics/intervals.py"},
    "urllib3.connection": {"producers/afterword/_http/connection.py"},
}
"""What one module alone may import, so that the network has one seam."""

READS_ENVIRONMENT = {
    "deploy/afterword_stack/settings.py",  # to refuse an AFTERWORD_* name that no setting has
    "deploy/afterword_stack/terminal/editor.py",  # the editor that this person has chosen
    "deploy/afterword_stack/terminal/console.py",  # whether this person wants colours
    "deploy/afterword_stack/local/child.py",  # hands its own on to the process it starts
    "deploy/afterword_stack/local/folders.py",  # where this person keeps caches and data
}
"""The edge: all else is told by its caller."""

SERVERS = {
    "afterword.gateway": "producers/afterword/gateway",
    "afterword_consumers.api": "consumers/afterword_consumers/api",
    "afterword_consumers.dashboard": "consumers/afterword_consumers/dashboard",
}
"""The packages that answer HTTP, and where they are."""

SEES = {"afterword_consumers.api": {SERVERS["afterword_consumers.dashboard"]}}
"""A server, and those beside the stack that may know it: the pages are admitted, and ask, as the API does."""

QUERY_ROOMS = {
    "language": set[str](),
    "compile": {"language"},
    "statistics": set[str](),
    "answer": {"language", "compile", "statistics"},
}
"""The rooms of the query package, and the rooms that each may know beside its own."""

PARSERS = {
    "fields.resolve",
    "filters.parse_comparison",
    "filters.parse_filter",
    "periods.parse_moment",
    "periods.parse_zone",
}
"""What reads text of a question, in `query.language`."""

BENCHMARKS = "benchmarks"
"""A folder of scripts that measure the parts from outside, in the stack, since they start one."""

MODULES = [
    path.relative_to(ROOT) for root in MAY_IMPORT for path in sorted((ROOT / root).rglob("*.py"))
]
PRODUCT = [module for module in MODULES if BENCHMARKS not in module.parts]


@cache
def imports(source: str) -> list[str]:
    """List the dotted names that a module imports, `from a import b` as `a.b`."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            prefix = "." * node.level + (node.module or "")
            names += (f"{prefix}.{alias.name}" for alias in node.names)
    return names


def environment_reads(source: str) -> Iterator[str]:
    """List the ways in which a module looks at its process's environment."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"}:
            yield node.attr
    yield from {"os.environ", "os.environb", "os.getenv"} & set(imports(source))


def read(module: Path) -> str:
    """Return a module's source."""
    return (ROOT / module).read_text("utf-8")


def packages(module: Path) -> set[str]:
    """Return the top-level packages that a module imports."""
    return {name.split(".")[0] for name in imports(read(module))}


def knows(module: Path, name: str) -> bool:
    """Whether a module imports a name, or something of it."""
    return any(f"{found}.".startswith(f"{name}.") for found in imports(read(module)))


def test_modules_are_found() -> None:
    """The tests below look at something in every source root."""
    assert {module.parts[0] for module in PRODUCT} == set(MAY_IMPORT)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import afterword.client as c, os", ["afterword.client", "os"]),
        ("from confluent_kafka import Consumer as C", ["confluent_kafka.Consumer"]),
        ("def f():\n    from . import x", ["..x"]),
        ("if True:\n    import typer", ["typer"]),
    ],
)
def test_every_form_of_import_is_seen(source: str, names: list[str]) -> None:
    """An alias, a late import and a relative one hide nothing."""
    assert list(imports(source)) == names


def test_imports_go_down_only() -> None:
    """The stack knows producers and consumers, these know the schemas, none knows its siblings."""
    assert {
        module.as_posix(): sideways
        for module in PRODUCT
        if (sideways := packages(module) & OURS - MAY_IMPORT[module.parts[0]])
    } == {}


@pytest.mark.parametrize("client", ONLY_IN)
def test_network_clients_have_one_module_each(client: str) -> None:
    """One module imports the Kafka consumer, one the producer, one the ClickHouse client."""
    homes = {module.as_posix() for module in PRODUCT if knows(module, client)}
    assert homes == ONLY_IN[client]


def test_kafka_is_imported_by_name() -> None:
    """`import confluent_kafka` would bring consumer and producer in unseen."""
    whole = {"confluent_kafka", "confluent_kafka.*"}
    assert [str(module) for module in PRODUCT if whole & set(imports(read(module)))] == []


def test_only_the_stack_knows_the_command_line() -> None:
    """A library neither parses arguments nor prints help."""
    terminal = {"typer", "click", "argparse", "rich"}
    assert {module.parts[0] for module in PRODUCT if packages(module) & terminal} <= {"deploy"}


@pytest.mark.parametrize("server", SERVERS)
def test_only_the_stack_knows_the_servers(server: str) -> None:
    """What a service or a worker imports leads to none of the packages that serve HTTP."""
    inside = {SERVERS[server], *SEES.get(server, ())}
    importers = {m for m in PRODUCT if knows(m, server) and not any(map(m.is_relative_to, inside))}
    assert {module.parts[0] for module in importers} == {"deploy"}


def test_only_the_servers_know_the_web() -> None:
    """A service that installs the SDK alone gets no web server, and neither SDK nor worker asks for one."""
    web = {"starlette", "uvicorn", "httptools", "prometheus_client", "opentelemetry", "google"}
    wired = (
        "deploy/afterword_stack/run/dashboard.py"  # translates the gateway's refusals to the API's
    )
    assert {
        module.as_posix()
        for module in PRODUCT
        if packages(module) & web and not any(map(module.is_relative_to, SERVERS.values()))
    } == {wired}


@pytest.mark.parametrize("room", QUERY_ROOMS)
def test_a_question_goes_from_language_to_compile_to_answer(room: str) -> None:
    """What users write knows no SQL, and what compiles it no answer."""
    package = "afterword_consumers.query."
    modules = (ROOT / "consumers/afterword_consumers/query" / room).glob("*.py")
    known = {
        name.removeprefix(package).partition(".")[0]
        for module in modules
        for name in imports(read(module))
        if name.startswith(package)
    }
    assert known & QUERY_ROOMS.keys() <= QUERY_ROOMS[room] | {room}


def test_only_parse_reads_the_text_of_a_question() -> None:
    """What compiles and answers a plan has no function that could read a filter or a time again."""
    query = Path("consumers/afterword_consumers/query")
    readers = {f"afterword_consumers.query.language.{name}" for name in PARSERS}
    assert {
        module.name: again
        for room in ("compile", "answer")
        for module in PRODUCT
        if module.is_relative_to(query / room) and (again := readers & set(imports(read(module))))
    } == {}


def test_environment_is_read_at_the_edge() -> None:
    """What a module does depends on its arguments, not on who started the process."""
    readers = {module.as_posix() for module in PRODUCT if any(environment_reads(read(module)))}
    assert readers == READS_ENVIRONMENT


def test_strategies_stay_in_tests() -> None:
    """No module of the product needs the library that tests it."""
    strategies = "afterword_schemas.testing"
    assert [str(module) for module in PRODUCT if knows(module, strategies)] == []


def test_names_say_what_is_inside() -> None:
    """A thing has a name, and its file carries it."""
    generic = {"util", "utils", "helper", "helpers", "common", "misc", "core", "base", "shared"}
    assert [
        str(module)
        for module in MODULES
        if generic & {part.strip("_") for part in module.with_suffix("").parts}
    ] == []


@pytest.mark.parametrize("root", MAY_IMPORT)
def test_source_roots_are_no_packages(root: str) -> None:
    """A bare top-level `schemas` would break every application that has its own."""
    assert not (ROOT / root / "__init__.py").exists()


ROOMS = {
    "producers/afterword": [
        {"gateway", "middleware"},
        {"_client"},
        {"_sender", "_votes", "_encode"},
        {"_http", "_kafka", "_spool", "_memory", "_process"},
    ],
    "producers/afterword/gateway": [
        {"app"},
        {"openapi"},
        {"feedback", "browser", "vendors"},
        {"service"},
        {"publisher"},
        {"intake"},
        {"portkey", "json_values", "receipts"},
        {"auth", "json_objects", "unicode_text"},
        {"http"},
    ],
    "consumers/afterword_consumers": [
        {"dashboard", "export", "testing"},
        {"api"},
        {"explore", "rejected", "progress"},
        {"clickhouse", "kafka"},
        {"ingest", "query"},
        {"csv_text", "rfc3339", "tls"},
    ],
    "consumers/afterword_consumers/query": [
        {"answer"},
        {"compile", "statistics"},
        {"language"},
        {"database"},
    ],
    "deploy/afterword_stack": [
        {"commands"},
        {"demo"},
        {"run"},
        {"settings", "terminal"},
        {"interrupts", "local"},
    ],
}
"""The rooms of each package, from the top down. A room imports those below it, and none beside it."""


def rooms_of(package: str) -> dict[str, set[str]]:
    """Return which rooms each room of a package imports; a module beside the folders is one, too."""
    folder = Path(package)
    name = ".".join(folder.parts[1:])
    imported: dict[str, set[str]] = {}
    for module in PRODUCT:
        if not module.is_relative_to(folder):
            continue
        room = module.relative_to(folder).with_suffix("").parts[0]
        inside = [found for found in imports(read(module)) if found.startswith(f"{name}.")]
        known = {found.removeprefix(f"{name}.").split(".")[0] for found in inside} - {room}
        imported.setdefault(room, set()).update(known)
    return imported


@pytest.mark.parametrize("package", ROOMS)
def test_rooms_import_only_those_below(package: str) -> None:
    """No arrow runs back up or to the side, so there is no circle of rooms."""
    order = ROOMS[package]
    floor = {room: number for number, rooms in enumerate(order) for room in rooms}
    assert {
        room: wrong
        for room, known in rooms_of(package).items()
        if room in floor
        and (wrong := {name for name in known if floor.get(name, len(order)) <= floor[room]})
    } == {}


@pytest.mark.parametrize("package", ROOMS)
def test_every_room_has_its_floor(package: str) -> None:
    """A new folder says what it may import."""
    folders = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
    assert folders - set[str]().union(*ROOMS[package]) == set()
