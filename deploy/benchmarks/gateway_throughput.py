"""Measure how many requests one gateway process serves, beside a bare Starlette handler.

    python deploy/benchmarks/gateway_throughput.py
    python deploy/benchmarks/gateway_throughput.py --soak-minutes 10

Starts a Kafka of its own. The server under test has one core to itself; the load, from one process with
many connections, and Kafka share the others. The bare handler reads the body and answers in the gateway's
words: what HTTP, Starlette and uvicorn cost. Rounds alternate, and medians are printed. With
`--soak-minutes` the gateway is loaded that long, and its memory printed.
"""

# ruff: noqa: INP001, T201  # a script that prints its result, in no package

import argparse
import asyncio
import contextlib
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast

import orjson
import psutil
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from afterword_stack.local.kafka import KafkaNode
from afterword_stack.local.ports import LOOPBACK, persisted_ports

EVENT: Final = {
    "trace_id": "9f86d081884c7d65",
    "session_id": "conversation-12",
    "value": 4,
    "feedback": {
        "rating": True,
        "comment": "The date of the meeting was missed; the rest of the summary was right.",
        "step1": {"retry": False},
        "edits": [{"value": "Oslo"}],
    },
    "metadata": {"_user": "u-19", "_prompt": "summarise-v2", "model": "aurora-2"},
}
BATCH: Final = 100
CONNECTIONS: Final = 64
SERVER_CORE: Final = 0


def main() -> None:
    """Start everything, run the rounds, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--soak-minutes", type=float, default=0.0)
    parser.add_argument("--serve-bare", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve_bare:
        serve_bare(options.serve_bare)
        return
    print(f"{platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as name, KafkaNode(Path(name) / "kafka") as kafka:
        kafka.create_topic("feedback.events", partitions=4)
        os.sched_setaffinity(0, set(range(os.cpu_count() or 1)) - {SERVER_CORE} or {SERVER_CORE})
        with servers(Path(name), kafka.bootstrap_servers) as (gateway, bare):
            if options.soak_minutes:
                soak(gateway, options.soak_minutes)
            else:
                compare(gateway, bare, options.rounds, options.seconds)


class Server:
    """A server process under test."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.port = port
        self._process = psutil.Process(process.pid)

    def rss_bytes(self) -> int:
        """Return the memory it has in RAM."""
        return int(self._process.memory_info().rss)

    def cpu_s(self) -> float:
        """Return the processor time it has used."""
        used = self._process.cpu_times()
        return float(used.user + used.system)


@contextlib.contextmanager
def servers(folder: Path, kafka: str) -> Iterator[tuple[Server, Server]]:
    """Run the gateway and the bare handler, on the same core one after the other."""
    ports = persisted_ports(folder / "ports.json", ["gateway", "bare"])
    settings = {
        "AFTERWORD_KAFKA_BOOTSTRAP_SERVERS": kafka,
        "AFTERWORD_GATEWAY_PORT": str(ports["gateway"]),
    }
    commands = {
        "gateway": [sys.executable, "-m", "afterword_stack", "gateway"],
        "bare": [sys.executable, __file__, "--serve-bare", str(ports["bare"])],
    }
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, command in commands.items():
            started[name] = subprocess.Popen(  # noqa: S603  # commands of this file
                command, env={**os.environ, **settings}, cwd=folder, stderr=subprocess.DEVNULL
            )
            wait_until_serving(ports[name])
            os.sched_setaffinity(started[name].pid, {SERVER_CORE})
        gateway, bare = (Server(started[name], ports[name]) for name in commands)
        yield gateway, bare
    finally:
        for process in started.values():
            process.terminate()
            process.wait()


def wait_until_serving(port: int) -> None:
    """Wait until a server answers."""
    while True:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://{LOOPBACK}:{port}/healthz", timeout=1)
            return
        time.sleep(0.05)


def serve_bare(port: int) -> None:
    """Serve a handler that only reads the body and answers."""

    async def answer(request: Request) -> Response:
        await request.body()
        ids = ["01a1f830-f363-7307-abe6-3f90ef230b92"]
        body = {"status": "success", "message": "Feedback accepted.", "feedback_ids": ids}
        return Response(orjson.dumps(body), media_type="application/json")

    async def healthz(_: Request) -> Response:
        return Response()

    app = Starlette(
        routes=[Route("/v1/feedback", answer, methods=["POST"]), Route("/healthz", healthz)]
    )
    uvicorn.run(app, host=LOOPBACK, port=port, http="httptools", loop="uvloop", access_log=False)


def compare(gateway: Server, bare: Server, rounds: int, seconds: float) -> None:
    """Measure both servers in turn, with single events and with batches, and print medians."""
    single = orjson.dumps(EVENT)
    batch = orjson.dumps([EVENT] * BATCH)
    print(
        f"an event of {len(single)} bytes; {CONNECTIONS} connections; {rounds} rounds of {seconds:g} s\n"
    )
    for name, body, events in (("single", single, 1), (f"batch of {BATCH}", batch, BATCH)):
        rates: dict[str, list[float]] = {"gateway": [], "bare": []}
        costs: dict[str, list[float]] = {"gateway": [], "bare": []}
        for _ in range(rounds):
            for label, server in (("gateway", gateway), ("bare", bare)):
                rate, cost_us = measure(server, body, seconds)
                rates[label].append(rate)
                costs[label].append(cost_us)
        for label, found in rates.items():
            rate, low, high = statistics.median(found), min(found), max(found)
            cost_us = statistics.median(costs[label])
            print(
                f"{name:13} {label:8} {rate:8,.0f} requests/s ({low:,.0f} to {high:,.0f})"
                f"  {rate * events:9,.0f} events/s  {cost_us:7,.1f} µs CPU a request"
            )
        ratios = [ours / theirs for ours, theirs in zip(*rates.values(), strict=True)]
        print(f"{name:13} ratio    {statistics.median(ratios):8.2f}\n")


def soak(gateway: Server, minutes: float) -> None:
    """Load the gateway with single events and batches, and print its memory as time goes by."""
    single, batch = orjson.dumps(EVENT), orjson.dumps([EVENT] * BATCH)
    print(f"before: {gateway.rss_bytes() / 2**20:.1f} MiB")
    most = 0
    for minute in range(1, int(minutes) + 1):
        for body in (single, batch) * 3:
            measure(gateway, body, 10)
            most = max(most, gateway.rss_bytes())
        print(
            f"minute {minute}: {gateway.rss_bytes() / 2**20:.1f} MiB, most {most / 2**20:.1f} MiB"
        )


def measure(server: Server, body: bytes, seconds: float) -> tuple[float, float]:
    """Return requests a second, and microseconds of the server's processor time for one."""
    cpu_s = server.cpu_s()
    begin_s = time.perf_counter()
    answered = uvloop.run(load(server.port, body, seconds))
    wall_s = time.perf_counter() - begin_s
    return answered / wall_s, (server.cpu_s() - cpu_s) / answered * 1e6


async def load(port: int, body: bytes, seconds: float) -> int:
    """Send a request on each connection as soon as the one before is answered; count answers."""
    loop = asyncio.get_running_loop()
    request = (
        f"POST /v1/feedback HTTP/1.1\r\nhost: {LOOPBACK}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode() + body
    clients = [
        (await loop.create_connection(lambda: Requester(request), LOOPBACK, port))[1]
        for _ in range(CONNECTIONS)
    ]
    await asyncio.sleep(seconds)
    for client in clients:
        client.stop()
    async with asyncio.timeout(20):
        while any(client.waiting for client in clients):
            await asyncio.sleep(0.001)
    return sum(client.answered for client in clients)


class Requester(asyncio.Protocol):
    """One connection that sends the same request again and again."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._heard = b""
        self._over = False
        self.waiting = True
        self.answered = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count an answer that is whole, and send the next."""
        self._heard += data
        head, found, rest = self._heard.partition(b"\r\n\r\n")
        if not found:
            return
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(self._heard[:300])
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0])
        if len(rest) < length:
            return
        self._heard = b""
        self.answered += 1
        if self._over:
            self.waiting = False
            self._transport.close()
        else:
            self._transport.write(self._request)

    def stop(self) -> None:
        """Send no more."""
        self._over = True


if __name__ == "__main__":
    main()
