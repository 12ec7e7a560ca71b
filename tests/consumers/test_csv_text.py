"""CSV that keeps each row on its line, whatever readers take for the end of one."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterword_consumers.csv_text import csv_line, spreadsheet_line

_ENDS = st.sampled_from(["\r", "\n", "\r\n", ",", '"', "a", " "])
_CELLS = st.text(st.characters(exclude_categories=["Cs"])) | st.lists(_ENDS).map("".join)


def test_a_carriage_return_is_quoted_as_a_newline_is() -> None:
    """Alone it ends a line for spreadsheets and readers of text; numbers and gaps stay bare."""
    cells = ["one\rtwo", "one\ntwo", 'a,"b"', "plain", 3, 0.5, None]
    assert csv_line(cells) == '"one\rtwo","one\ntwo","a,""b""",plain,3,0.5,\n'


def test_a_line_ends_in_a_newline_alone() -> None:
    """Also where its last field has ends of lines of its own."""
    assert csv_line(["a", "\r\n"]) == 'a,"\r\n"\n'
    assert csv_line([""]) == csv_line([None]) == '""\n'


@given(rows=st.lists(st.lists(_CELLS, min_size=1), min_size=1))
def test_written_rows_are_read_back(rows: list[list[str]]) -> None:
    """By a reader that is given the text as it is, or with any end of a line."""
    text = "".join(map(csv_line, rows))
    assert list(csv.reader(io.StringIO(text, newline=""))) == rows
    any_end = csv.reader(io.StringIO(text, newline=None))
    assert [len(row) for row in any_end] == [len(row) for row in rows]


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1+1",
        "-1+1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "\uff1d1",
        "+49 170 1",
        "-",
        "-5\n",
    ],
)
def test_a_spreadsheet_runs_no_text(text: str) -> None:
    """What begins as a formula does gets an apostrophe, which shows that it is text."""
    (row,) = csv.reader(io.StringIO(spreadsheet_line([text]), newline=""))
    assert row == [f"'{text}"]


@pytest.mark.parametrize("text", ["-5", "+5", "-0.5", "-0,5", "-1e-7", "a=1", " =1", "", "ü"])
def test_a_number_and_a_plain_text_stay_for_a_spreadsheet(text: str) -> None:
    """A minus alone makes no formula."""
    (row,) = csv.reader(io.StringIO(spreadsheet_line([text]), newline=""))
    assert row == [text]


def test_a_spreadsheet_that_splits_at_semicolons_finds_no_formula() -> None:
    """As some do by their language: every text is quoted, numbers and what is missing are not."""
    assert spreadsheet_line(['a;=1+1;"', -3, 0.5, None]) == '"a;=1+1;""",-3,0.5,\n'
