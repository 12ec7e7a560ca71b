"""One service in a process of its own, for tests that kill it.

    python emitter_process.py SERVERS TOPIC [SPOOL]

It emits hundreds of events a second, each followed by an update, and prints each id when both calls have
returned, until it reads a line; then it closes its client. With a spool, messages expire in librdkafka
long before a test's broker is back.
"""

import sys
import threading

from afterword import Client

SETTINGS = {"reconnect.backoff.max.ms": 100, "log_level": 0}
IMPATIENT = {**SETTINGS, "message.timeout.ms": 500}


def main(servers: str, topic: str, spool: str | None = None) -> None:
    """Emit until told to end."""
    over = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.readline()
        over.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    client = Client(
        servers,
        project="acme",
        topic=topic,
        spool=spool,
        kafka=SETTINGS if spool is None else IMPATIENT,
        close_timeout_s=30,
    )
    while not over.wait(0.001):
        feedback_id = client.feedback(trace_id="t", value=1)
        client.update(feedback_id, feedback={"updated": True})
        sys.stdout.write(f"{feedback_id}\n")
        sys.stdout.flush()
    client.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
