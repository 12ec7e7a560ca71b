"""The current trace: what a call is about that names nothing else."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterword import Client, EventError, MemoryTransport, current_trace_id, trace
from afterword._trace import Trace, bound, read_trace

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_call_is_about_the_current_trace(client: Client, memory: MemoryTransport) -> None:
    """Each call that says what people said or did picks it up, until the end of the block."""
    with trace("tr-7f3") as trace_id:
        client.feedback(value=1)
        client.copied()
        client.regenerated()
        client.edited()
    assert trace_id == "tr-7f3"
    assert [event["trace_id"] for event in memory.events] == ["tr-7f3"] * 4
    with pytest.raises(EventError, match="no_target"):
        client.feedback(value=1)


@pytest.mark.parametrize("target", ["trace_id", "session_id", "span_id"])
def test_what_a_call_names_goes_before(
    client: Client, memory: MemoryTransport, target: str
) -> None:
    """A call that names a trace, a session or a span is about that alone."""
    with trace("tr-7f3"):
        client.feedback(**cast("Any", {"value": 1, "trace_id": None, target: "mine"}))
    [event] = memory.events
    assert {name: event.get(name) for name in ("trace_id", "session_id", "span_id")} == {
        name: "mine" if name == target else None for name in ("trace_id", "session_id", "span_id")
    }


def test_a_change_is_about_what_it_names(client: Client, memory: MemoryTransport) -> None:
    """Updates, enrichments, clears and whole events get no trace that the caller did not give them."""
    with trace("tr-7f3"):
        feedback_id = client.enrich_session("s-1", feedback={"ok": True})
        client.update(feedback_id, value=1)
        client.clear(feedback_id)
        client.publish({"feedback_id": feedback_id, "project": "acme", "op": "clear"})
    assert ["trace_id" in event for event in memory.events] == [False] * 4


def test_the_requests_trace_context_is_the_messages(
    client: Client, memory: MemoryTransport
) -> None:
    """Every call hands it on in the message's header, where it brings none of its own."""
    other = TRACEPARENT.replace("-01", "-00")
    with bound(Trace("tr-1", TRACEPARENT)):
        feedback_id = client.feedback(value=1)
        client.clear(feedback_id)
        client.feedback(trace_id="tr-2", value=1, traceparent=other)
        with trace("tr-3"):
            client.feedback(value=1)
    client.feedback(trace_id="tr-4", value=1)
    found = [dict(message.headers).get("traceparent") for message in memory.messages]
    assert found == [
        *[TRACEPARENT.encode()] * 2,
        other.encode(),
        TRACEPARENT.encode(),
        None,
    ]


def test_traces_nest() -> None:
    """The end of a block, also by an error, brings back what was before."""
    assert current_trace_id() is None
    with trace("outer"):
        with pytest.raises(KeyError, match="inner"), trace("inner"):
            raise KeyError(current_trace_id())
        assert current_trace_id() == "outer"
    assert current_trace_id() is None


def test_a_trace_without_a_name_gets_one() -> None:
    """The form is that of W3C Trace Context, and no two are the same."""
    with trace() as one, trace() as other:
        assert current_trace_id() == other
    assert one != other
    assert len(bytes.fromhex(one)) == 16


@pytest.mark.parametrize("trace_id", ["", "x" * 257, 7])
def test_a_trace_id_has_the_events_form(trace_id: object) -> None:
    """What no event could hold is refused where it is given, not at each call."""
    with (
        pytest.raises(EventError, match=r"1 to 256 characters .*\$\.trace_id"),
        trace(cast("str", trace_id)),
    ):
        pass
    assert current_trace_id() is None


def test_a_trace_follows_tasks_and_to_thread() -> None:
    """Tasks and `to_thread` take the trace along; a bare thread needs a copy of the context."""

    async def work() -> tuple[str | None, str | None]:
        with trace("tr-1"):
            task = asyncio.create_task(asyncio.to_thread(current_trace_id))
        with trace("tr-2"):
            return await task, current_trace_id()

    assert asyncio.run(work()) == ("tr-1", "tr-2")
    found: list[str | None] = []
    with trace("tr-3"), ThreadPoolExecutor() as pool:
        thread = threading.Thread(target=lambda: found.append(current_trace_id()))
        thread.start()
        thread.join()
        found.append(pool.submit(current_trace_id).result())
        found.append(pool.submit(copy_context().run, current_trace_id).result())
    assert found == [None, None, "tr-3"]


@pytest.mark.parametrize(
    ("headers", "trace_id", "traceparent"),
    [
        ({"x-trace-id": "tr-8"}, "tr-8", None),
        ({"x-portkey-trace-id": "tr-9"}, "tr-9", None),
        ({"x-trace-id": "tr-8", "x-portkey-trace-id": "tr-9"}, "tr-8", None),
        ({"x-trace-id": "a b", "x-portkey-trace-id": "tr-9"}, "tr-9", None),
        ({"x-trace-id": "!" * 256}, "!" * 256, None),
        ({"traceparent": TRACEPARENT}, "0af7651916cd43dd8448eb211c80319c", TRACEPARENT),
        ({"traceparent": TRACEPARENT, "x-trace-id": "tr-8"}, "tr-8", TRACEPARENT),
        (
            {"traceparent": TRACEPARENT, "x-trace-id": ""},
            "0af7651916cd43dd8448eb211c80319c",
            TRACEPARENT,
        ),
    ],
)
def test_a_request_may_bring_its_trace(
    headers: dict[str, str], trace_id: str, traceparent: str | None
) -> None:
    """The caller's own name for it goes before the id in its trace context."""
    assert read_trace(headers) == Trace(trace_id, traceparent)


@pytest.mark.parametrize(
    "traceparent",
    [
        TRACEPARENT.upper(),
        TRACEPARENT.replace("00-", "ff-"),
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        TRACEPARENT + "-00",
        f"{TRACEPARENT},{TRACEPARENT}",
        TRACEPARENT + "\n",
        "",
    ],
)
def test_a_trace_context_that_is_none_counts_as_absent(client: Client, traceparent: str) -> None:
    """What W3C Trace Context calls invalid gives no id, and no call may pass it on."""
    trace = read_trace({"traceparent": traceparent})
    assert trace.traceparent is None
    assert len(bytes.fromhex(trace.trace_id)) == 16
    assert trace.trace_id != TRACEPARENT[3:35]
    with pytest.raises(EventError, match=r"\$\.traceparent"):
        client.feedback(trace_id="t", value=1, traceparent=traceparent)


@given(st.text())
def test_only_visible_ascii_is_echoed(given: str) -> None:
    """Whatever a caller sends, what comes back can stand in a header."""
    trace_id = read_trace({"x-trace-id": given}).trace_id
    assert trace_id.isascii()
    assert trace_id.isprintable()
    assert " " not in trace_id
    assert 1 <= len(trace_id) <= 256
