"""Look for sentences in the documentation that need a second reading.

    .venv/bin/python .ci/prose.py                    every page
    .venv/bin/python .ci/prose.py README.md          these

A sentence has at most 30 words. Some phrases are not used at all: each has a plain one beside it here.
Code is not read; a cell of a table and an item of a list are sentences of their own.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
MAX_WORDS: Final = 30

PHRASES: Final = {
    r"is no JSON": "is not valid JSON",
    r"made anew": "created again",
    r"taken for": "treated as",
    r"likewise": "also",
    r"that of": "name the thing again",
    r"those of": "name the things again",
    r"of which": "begin a new sentence",
    r"who ?ever": "name who it is",
    r"searched are": "put the subject first",
    r"nothing of it": "name the thing",
}
"""What is not written, as a pattern, and what to write."""

ALLOWED: Final = frozenset[str]()
"""Beginnings of sentences that may stay as they are."""

_CODE: Final = re.compile(r"(`+).+?\1")
_LINK: Final = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_TAG: Final = re.compile(r"<[^>]+>")
_ITEM: Final = re.compile(r"\s*(?:[-*]|\d+\.)\s+")
_END: Final = re.compile(r"(?<=[.!?])[*_)\"]*\s+")
_FENCE: Final = re.compile(r"\s*(```|~~~)")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, and the line of the page that it begins on."""

    line: int
    text: str


def main(arguments: Sequence[str]) -> int:
    """Check the pages; return how the process ends."""
    parser = argparse.ArgumentParser(description="Look for sentences that need a second reading.")
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE", help="default: all")
    pages = parser.parse_args(arguments).pages or _pages()
    faults = [
        f"{_short(page)}:{fault}" for page in pages for fault in check(page.read_text("utf-8"))
    ]
    sys.stdout.writelines(f"{fault}\n" for fault in faults)
    return 1 if faults else 0


def check(text: str) -> Iterator[str]:
    """Yield what is wrong with a page: line, what, and how to mend it."""
    for sentence in sentences(text):
        if sentence.text.startswith(tuple(ALLOWED)):
            continue
        words = len(sentence.text.split())
        if words > MAX_WORDS:
            yield (
                f"{sentence.line}: {words} words, at most {MAX_WORDS}; make two sentences of "
                f'"{_beginning(sentence.text)}"'
            )
        for pattern, better in PHRASES.items():
            if found := re.search(rf"\b{pattern}\b", sentence.text, re.IGNORECASE):
                yield (f'{sentence.line}: "{found[0]}": {better}, in "{_beginning(sentence.text)}"')


def sentences(text: str) -> Iterator[Sentence]:
    """Yield the sentences of a page in Markdown, without code, links and marks."""
    for paragraph in _paragraphs(text):
        line, whole = paragraph[0].line, ""
        starts = []  # where each line begins in the whole
        for part in paragraph:
            starts.append((len(whole), part.line))
            whole += part.text + " "
        at = 0
        for one in _END.split(whole.strip()):
            at = whole.index(one, at)
            line = max(number for start, number in starts if start <= at)
            if one:
                yield Sentence(line, one)
            at += len(one)


def _paragraphs(text: str) -> Iterator[list[Sentence]]:
    """Yield lines that belong together: a paragraph, an item of a list, a cell of a table."""
    together: list[Sentence] = []
    fence, in_item = "", False
    for number, raw in enumerate(text.splitlines(), start=1):
        marks = _FENCE.match(raw)
        is_code = bool(fence or marks) or (raw.startswith("    ") and not (together or in_item))
        if marks and fence in {"", marks[1]}:
            fence = "" if fence else marks[1]
        in_item = bool(_ITEM.match(raw)) or (in_item and (not raw or raw[0].isspace()))
        line = "" if is_code or raw.startswith("#") else _plain(raw)
        if line.startswith("|"):
            if together:
                yield together
                together = []
            yield from ([Sentence(number, cell.strip())] for cell in line.strip("|").split("|"))
            continue
        if together and (not line.strip() or _ITEM.match(line)):
            yield together
            together = []
        if line.strip():
            together.append(Sentence(number, _ITEM.sub("", line, count=1).strip()))
    if together:
        yield together


def _plain(line: str) -> str:
    """Take code for one word, a link for its text, and leave marks out."""
    line = _CODE.sub("code", line)
    line = _LINK.sub(r"\1", line)
    return _TAG.sub("", line).replace("**", "").replace("\\|", "/").removeprefix("> ")


def _short(page: Path) -> Path:
    return page.relative_to(ROOT) if page.is_relative_to(ROOT) else page


def _beginning(text: str) -> str:
    words = text.split()
    return " ".join(words[:8]) + (" …" if len(words) > 8 else "")  # noqa: PLR2004  # enough to find it


def _pages() -> list[Path]:
    tracked = subprocess.run(
        ["git", "ls-files", "*.md"],  # noqa: S607  # the git on PATH
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in tracked.stdout.splitlines()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
