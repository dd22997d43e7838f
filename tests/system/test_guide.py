"""The guide in docs/guide/ cannot grow stale: what it quotes stands in the named file, its lines
print what it shows, and what it points to exists.
"""

import doctest
import itertools
import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guide"
CHAPTERS = sorted(GUIDE.glob("[0-9]*.md"), key=lambda path: int(path.name.partition("-")[0]))
PAGES = [*CHAPTERS, GUIDE / "README.md"]

every_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SOURCE = re.compile(r"\]\(\.\./\.\./([\w/]+\.py)\)[^\[]*:\n\n$")  # ... in [`file`](../../file.py):
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]\d+)?")


def sessions(text: str) -> str:
    """What the chapter types, in one piece."""
    return "\n".join(block for block in BLOCK.findall(text) if block.startswith(">>>"))


def quotations(text: str) -> Iterator[tuple[str, str]]:
    """Every other block, with the file that the line before it names."""
    for match in BLOCK.finditer(text):
        if not match[1].startswith(">>>"):
            source = SOURCE.search(text[: match.start()])
            yield source[1] if source else "", match[1]


def missing(quotation: str, source: str) -> str:
    """The first piece of a quotation that is not in the source, in its order; "" if all are.

    A line of dots stands for lines that are left out; otherwise lines follow each other as quoted.
    """
    lines, start = [line.strip() for line in source.splitlines()], 0
    for piece in re.split(r"^\.\.\.\n", quotation, flags=re.MULTILINE):
        wanted = [line.strip() for line in piece.strip().splitlines()]
        ends = [
            i + len(wanted)
            for i in range(start, len(lines))
            if lines[i : i + len(wanted)] == wanted
        ]
        if not ends:
            return piece
        start = ends[0]
    return ""


class AboutEqual(doctest.OutputChecker):
    """Numbers with a point may be off by one in their last digit: sums are rounded differently on
    other machines.  All else is the same, apart from the number of blanks.
    """

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        def words(text: str) -> str:
            return " ".join(NUMBER.sub("#", text).replace("[ ", "[").split())

        if words(want) != words(got):
            return False
        return all(map(self._about_equal, NUMBER.findall(want), NUMBER.findall(got)))

    def _about_equal(self, want: str, got: str) -> bool:
        digits, _, power = want.partition("e")
        last = 10.0 ** -len(digits.partition(".")[2]) * 10.0 ** int(power or 0)
        slack = last if "." in want or power else 0.0
        return math.isclose(float(want), float(got), rel_tol=0, abs_tol=1.01 * slack)


@every_chapter
def test_quoted_lines_stand_in_their_file(chapter: Path) -> None:
    for name, quotation in quotations(chapter.read_text("utf-8")):
        assert name, f"say where this is from:\n{quotation}"
        gone = missing(quotation, (ROOT / name).read_text("utf-8"))
        assert not gone, f"{chapter.name} quotes what {name} no longer says:\n{gone}"


@every_chapter
def test_sessions_print_what_the_guide_shows(
    chapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    session = sessions(chapter.read_text("utf-8"))
    if "load_mnist" in session:
        monkeypatch.setenv("MNIST_DATASET_DIR", str(request.getfixturevalue("real_data")))
    monkeypatch.chdir(tmp_path)  # chapter 1 writes a file
    test = doctest.DocTestParser().get_doctest(session, {}, chapter.stem, str(chapter), 0)
    failures: list[str] = []
    doctest.DocTestRunner(AboutEqual(), verbose=False).run(test, out=failures.append)
    assert not failures, "".join(failures)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_links_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", prose)
    assert links
    assert not [link for link in links if not (page.parent / link).exists()]


def test_the_chapters_follow_each_other() -> None:
    """The index names them all, and each has its neighbours at head and foot."""
    index = (GUIDE / "README.md").read_text("utf-8")
    listed = re.findall(r"^\d+\. \[[\w ]+\]\((.+)\):", index, re.MULTILINE)
    assert listed == [chapter.name for chapter in CHAPTERS]
    for before, after in itertools.pairwise(CHAPTERS):
        assert before.read_text("utf-8").count(f"next: [{title(after)}]({after.name})") == 2
        assert after.read_text("utf-8").count(f"[{title(before)}]({before.name}) · ") == 2


def title(chapter: Path) -> str:
    return chapter.read_text("utf-8").splitlines()[0].partition(". ")[2]


def test_every_figure_is_shown_and_small() -> None:
    figures = sorted((GUIDE / "figures").glob("*"))
    assert figures
    text = "".join(page.read_text("utf-8") for page in PAGES)
    for figure in figures:
        assert f"(figures/{figure.name})" in text
        assert figure.stat().st_size < 100_000, figure.name


# --- these tests are awake ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quotation", "whole"),
    [
        ("a = 1\nb = 2\n", True),
        ("a = 1\n...\nc = 3\n", True),
        ("a = 1\nc = 3\n", False),
        ("c = 3\n...\na = 1\n", False),
        ("a = 2\n", False),
    ],
)
def test_what_is_not_in_a_file_is_missed(quotation: str, whole: bool) -> None:
    assert (missing(quotation, "def f():\n    a = 1\n    b = 2\n    c = 3\n") == "") == whole


@pytest.mark.parametrize(
    ("want", "got", "equal"),
    [
        ("0.123\n", "0.124\n", True),
        ("0.123\n", "0.125\n", False),
        ("1.7e-02\n", "1.8e-02\n", True),
        ("1.7e-02\n", "1.7e-01\n", False),
        ("array([ 0.5, -0.2])\n", "array([ 0.5,\n       -0.2])\n", True),
        ("['50419']\n", "['50418']\n", False),
        ("True\n", "False\n", False),
    ],
)
def test_outputs_are_compared(want: str, got: str, equal: bool) -> None:
    assert AboutEqual().check_output(want, got, 0) == equal
