"""What the pages say, from real feedback: full, empty, stale, of another project, and of nonsense."""

import json
import re
from datetime import timedelta
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.consumers.dashboard.conftest import GATEWAY, title_of
from tests.examples import on_services

from afterword_consumers.query import Freshness

if TYPE_CHECKING:
    from tests.consumers.dashboard.conftest import PageHarness

PAGES = ("/", "/explore", "/traces", "/rejected", "/pipeline")
HOSTILE = "<script>alert(1)</script>\"'&\u202eevil\U0001f600"


def figures(html: str) -> list[Any]:
    """Return the data of the charts of a page."""
    islands = re.findall(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    return [json.loads(island) for island in islands]


def test_the_overview_says_what_changed_where_and_since_when(full: "PageHarness") -> None:
    """A model that got worse a week ago is named, with the day."""
    html = full.page("/")
    since = full.now - timedelta(days=7)
    days = [
        f"{at.day} {at:%b}" for at in (since - timedelta(days=1), since, since + timedelta(days=1))
    ]
    title = title_of(html)
    assert re.fullmatch(r"Thumbs up fell \d+ points since \d+ \w+ in aurora-2", title), title
    assert any(f"since {day} " in title for day in days), title


def test_without_a_change_the_overview_says_so(pages: "PageHarness") -> None:
    """The same share all along."""
    pages.store(
        *(pages.give(at, 27.9 * at / 600, feedback={"rating": at % 4 > 0}) for at in range(600))
    )
    assert title_of(pages.page("/")).startswith("Nothing changed beyond chance since ")


def test_charts_hold_the_numbers_of_the_api(full: "PageHarness") -> None:
    """Every point of every line, its interval and its n."""
    html = full.page("/explore", measure="thumbs", group_by="metadata.model", bucket="day")
    (figure,) = figures(html)
    since = (full.now - timedelta(days=13)).date().isoformat()
    answer = full.get(
        "/api/query", None, measure="thumbs", group_by="metadata.model", bucket="day", since=since
    )
    (series,) = answer["series"]
    names = [column["name"] for column in series["columns"]]
    rows = [dict(zip(names, row, strict=True)) for row in series["rows"]]
    expected = {
        (row["bucket"], row["group_1"]): (row["up_percent"], row["up_percent_low"], row["n"])
        for row in rows
    }
    days = [(full.now - timedelta(days=13 - at)).date().isoformat() for at in range(14)]
    drawn = {
        (days[at], line["name"]): (line["y"][at], line["low"][at], line["n"][at])
        for line in figure["series"]
        for at in range(14)
        if line["y"][at] is not None
    }
    assert drawn.keys() == expected.keys()
    for key, (value, low, n) in drawn.items():
        assert (value, low, n) == (
            pytest.approx(expected[key][0], abs=1e-4),
            pytest.approx(expected[key][1], abs=1e-4),
            expected[key][2],
        )


def test_a_comparison_with_before_has_a_verdict(full: "PageHarness") -> None:
    """In a sentence, with both sides."""
    html = full.page(
        "/explore", measure="thumbs", compare="before", where="metadata.model = aurora-2"
    )
    assert re.match(r"Thumbs up fell by [\d.]+ points", title_of(html))
    assert "Is the difference real?" in html


def test_an_empty_stack_shows_how_to_begin(pages: "PageHarness") -> None:
    """With the address of its own gateway; other pages say that there is nothing."""
    html = pages.page("/")
    assert title_of(html) == "No feedback yet. Send the first one."
    assert GATEWAY in html
    for path in PAGES[1:]:
        pages.page(path)


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("period", ["24h", "7d", "90d"])
def test_every_page_has_every_period(full: "PageHarness", path: str, period: str) -> None:
    """And links that keep it."""
    html = full.page(path, period=period)
    assert f'href="/explore?period={period}"' in html


def test_a_trace_shows_what_it_should_have_said(full: "PageHarness") -> None:
    """The correction word by word, the pairs with their result, and what experts measured apart."""
    found = full.get("/api/traces", None, where="feedback.edits.0.value exists", limit=1)
    trace_id = found["traces"][0]["trace_id"]
    html = full.page("/trace", id=trace_id)
    assert "<del>Bergen</del>" in html
    assert "<ins>Oslo</ins>" in html
    assert "Expected answer" in html


def test_a_trace_that_is_none_is_404(full: "PageHarness") -> None:
    """With what may have become of it."""
    assert "No feedback is on trace nothing" in full.page("/trace", status=404, id="nothing")
    full.page("/trace", status=400)


def test_traces_are_found_by_id_session_user_and_comment(full: "PageHarness") -> None:
    """One field for all of them."""
    for sought in ("t-550", "s-140", "u-7", "CURRENCY"):
        html = full.page("/traces", find=sought)
        assert re.search(r'href="/trace\?', html), sought
    assert "None passes the filters" in full.page("/traces", find="nothing of the kind")


def test_the_worst_traces_come_first(full: "PageHarness") -> None:
    """By their weighted average."""
    html = full.page("/traces", order="worst")
    found = [
        float(text.replace("−", "-"))
        for text in re.findall(r'<span class="(?:down|up|quiet)">([−\d.]+)</span>', html)
    ]
    assert found == sorted(found)
    assert found[0] < 0


def test_a_rejected_message_is_shown_with_its_place_marked(full: "PageHarness") -> None:
    """And with the commands that replay or mend it."""
    html = full.page("/rejected")
    assert title_of(html) == "3 messages were rejected, all for unknown_field"
    assert "<mark>&#34;vlaue&#34;</mark>" in html
    assert "afterword rejected replay --at 3:0" in html


def test_stale_data_says_so(full: "PageHarness") -> None:
    """With the time until which it is complete."""
    full.say(Freshness(full.now - timedelta(hours=2), 1200, "The worker is behind."))
    html = full.page("/traces")
    assert "Complete until 2 h ago." in html
    assert "1,200 wait" in html


def test_unknown_freshness_says_so(full: "PageHarness") -> None:
    """With the reason."""
    full.say(Freshness(None, None, "Kafka did not answer."))
    assert "Kafka did not answer." in full.page("/pipeline")


@pytest.mark.parametrize("path", PAGES)
def test_a_key_sees_its_project_alone(full: "PageHarness", path: str) -> None:
    """No page of another project has a word of it, and nobody asks for another."""
    html = full.page(path, "other")
    assert "aurora" not in html
    assert "vlaue" not in html
    full.page(path, "other", status=403, project="acme")


def test_a_trace_of_another_project_is_none(full: "PageHarness") -> None:
    """It is not told that there is one."""
    full.page("/trace", None, id="t-599")
    assert "No feedback is on trace" in full.page("/trace", "other", status=404, id="t-599")


@pytest.mark.parametrize("path", PAGES)
def test_nobody_gets_in_without_a_key(full: "PageHarness", path: str) -> None:
    """The page says what is missing."""
    assert "aurora" not in full.page(path, "nobody", status=401)


@pytest.mark.parametrize(
    ("path", "args", "says"),
    [
        ("/", {"period": "3y"}, "There is no period"),
        ("/", {"perod": "7d"}, "Did you mean period?"),
        ("/explore", {"measure": "feedback.scroe"}, "Did you mean"),
        ("/traces", {"order": "best"}, "There is no such order"),
        ("/traces", {"cursor": "x"}, "No page of this list"),
        ("/nothing", {}, "There is nothing at this address"),
    ],
)
def test_what_cannot_be_shown_says_what_to_do(
    full: "PageHarness", path: str, args: dict[str, str], says: str
) -> None:
    """As a page, not as JSON."""
    full.store(full.give(5000, 1, feedback={"score": 1}))
    answer = full.http.get(path, params=args)
    assert says in answer.text.replace("&#39;", "'")
    assert answer.status_code in {200, 400, 404}


def test_hostile_text_stays_text(pages: "PageHarness") -> None:
    """In comments, names of groups, traces and rejected bytes; also inside the data of charts."""
    pages.store(
        *(
            pages.give(
                at,
                at / 100,
                trace_id=HOSTILE,
                user_id=HOSTILE,
                prompt=HOSTILE,
                value=1 if at % 3 else -1,
                feedback={"comment": HOSTILE, "edits": [{"original": HOSTILE, "value": "x"}]},
                metadata={"model": HOSTILE, HOSTILE.replace(".", ""): HOSTILE},
                metrics={"m": HOSTILE},
            )
            for at in range(200)
        )
    )
    pages.reject(1, b"\xff\x00<script>alert(1)</script>", path="$")
    paths = ["/", "/explore?group_by=metadata.model&bucket=day", "/traces", "/rejected", "/explore"]
    for path in [*paths, f"/trace?{urlencode({'id': HOSTILE})}"]:
        html = pages.page(path)
        assert "<script>alert" not in html
        assert html.count("<script") == html.count("</script>")


def test_a_comment_of_a_megabyte_is_cut(pages: "PageHarness") -> None:
    """A page stays small."""
    pages.store(pages.give(1, 0.1, trace_id="t", value=1, feedback={"comment": "x" * 1_000_000}))
    assert len(pages.page("/")) < 60_000


def test_links_of_the_list_lead_to_their_trace(full: "PageHarness") -> None:
    """Each of them."""
    html = full.page("/traces")
    links = re.findall(r'href="(/trace\?[^"]+)"', html)
    assert len(links) == 50
    for link in links[:5]:
        full.page(unescape(link))


_NAMES = (
    "measure",
    "group_by",
    "where",
    "bucket",
    "compare",
    "top",
    "period",
    "order",
    "find",
    "cursor",
    "id",
    "code",
    "project",
    "by",
)


@on_services
@given(
    path=st.sampled_from([*PAGES, "/trace"]),
    args=st.dictionaries(
        st.sampled_from(_NAMES),
        st.one_of(
            st.text(max_size=20),
            st.sampled_from(
                [
                    "thumbs",
                    "feedback.rating",
                    "day",
                    "before",
                    "metadata.model",
                    "metadata.model = 'a'",
                    "worst",
                    "acme",
                    "0",
                    "weighted",
                ]
            ),
        ),
        max_size=4,
    ),
)
def test_no_parameters_make_a_fault(full: "PageHarness", path: str, args: dict[str, str]) -> None:
    """Whatever stands in the address, the answer is a page or says what is wrong."""
    try:
        answer = full.http.get(path, params=args)
    except UnicodeEncodeError:
        return  # no address can hold half of a surrogate pair
    assert answer.status_code in {200, 400, 404}, answer.text
