"""A vote that changes, from call to row: whichever process it comes from, it counts once."""

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from afterword import Client

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Pipeline

pytestmark = pytest.mark.services

OTHER_SERVICE = """
import sys
from afterword import Client
servers, topic = sys.argv[1:]
with Client(servers, project="acme", topic=topic) as client:
    client.rate(trace_id="tr-1", user="u-19", up=False, comment="wrong city")
    client.unrate(trace_id="tr-2", user="u-19")
"""


def test_votes_of_two_services_are_one(pipeline: "Pipeline") -> None:
    """The later one replaces the earlier, and takes back what the other process gave."""
    servers, topic = pipeline.kafka.bootstrap_servers, pipeline.topic
    with Client(servers, project="acme", topic=topic) as client:
        client.rate(trace_id="tr-1", user="u-19", up=True)
        client.rate(trace_id="tr-1", user="u-20", up=True)
        client.rate(trace_id="tr-2", user="u-19", up=True)
    subprocess.run([sys.executable, "-c", OTHER_SERVICE, servers, topic], check=True)
    pipeline.work_off(5)
    votes = "SELECT trace_id, user_id, value, strings['feedback.comment'] FROM feedback_current"
    assert pipeline.select(f"{votes} ORDER BY 1, 2") == [
        ("tr-1", "u-19", -1, "wrong city"),
        ("tr-1", "u-20", 1, None),
    ]
    # The votes of both processes are of the time when the person first voted.
    first = "SELECT min(created_at) = max(created_at) FROM feedback WHERE user_id = 'u-19'"
    assert pipeline.select(f"{first} AND trace_id = 'tr-1'") == [(True,)]
    changed = "SELECT created_at < updated_at FROM feedback_current WHERE user_id = 'u-19'"
    assert pipeline.select(changed) == [(True,)]
