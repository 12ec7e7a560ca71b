"""CSV that keeps each row on its line, whatever readers take for the end of one."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from afterword_consumers.csv_text import csv_line

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
def test_what_is_written_is_read_back(rows: list[list[str]]) -> None:
    """By a reader that is given the text as it is, or with any end of a line."""
    text = "".join(map(csv_line, rows))
    assert list(csv.reader(io.StringIO(text, newline=""))) == rows
    any_end = csv.reader(io.StringIO(text, newline=None))
    assert [len(row) for row in any_end] == [len(row) for row in rows]
