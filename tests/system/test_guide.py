"""The guide in docs/guide/ cannot grow stale: its quotations, sessions, links and exercises."""

import doctest
import itertools
import math
import re
import runpy
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import digits
import functions
import mnist_loader
import predict_image
import train_net
import two_layer_net

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guide"
CHAPTERS = sorted(GUIDE.glob("[0-9]*.md"), key=lambda path: int(path.name.partition("-")[0]))
EXAMPLES = GUIDE.parent / "examples.md"

every_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SOURCE = re.compile(r"\]\(\.\./\.\./([\w/]+\.py)\)[^\[]*:\n\n$")  # ... in [`file`](../../file.py):
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]\d+)?")


def sessions(text: str) -> str:
    return "\n".join(block for block in BLOCK.findall(text) if block.startswith(">>>"))


def quotations(text: str) -> Iterator[tuple[str, str]]:
    """Every other block, with the file that the line before it names."""
    for match in BLOCK.finditer(text):
        if not match[1].startswith(">>>"):
            source = SOURCE.search(text[: match.start()])
            yield source[1] if source else "", match[1]


def missing(quotation: str, source: str) -> str:
    """The first piece of a quotation, between lines of dots, that is not in the source; or ""."""
    lines, start = [line.strip() for line in source.splitlines()], 0
    for piece in re.split(r"^\.\.\.\n", quotation, flags=re.MULTILINE):
        wanted = [line.strip() for line in piece.strip().splitlines()]
        size = len(wanted)
        found = [i for i in range(start, len(lines)) if lines[i : i + size] == wanted]
        if not found:
            return piece
        start = found[0] + size
    return ""


class AboutEqual(doctest.OutputChecker):
    """Numbers with a point may be off by one in their last digit, as on other machines."""

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


@pytest.mark.parametrize("chapter", [*CHAPTERS, EXAMPLES], ids=lambda path: path.stem)
def test_sessions_print_what_the_page_shows(
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


def test_every_public_name_has_an_example() -> None:
    names = set(digits.__all__)
    for module in (functions, two_layer_net, mnist_loader, train_net, predict_image):
        defined = {name for name, value in vars(module).items() if defined_in(module, value)}
        names |= {name for name in defined if not name.startswith("_")} - {"main"}
    text = EXAMPLES.read_text("utf-8")
    assert not [name for name in names if not re.search(rf"\b{name}\b", text)]


def defined_in(module: ModuleType, value: object) -> bool:
    return callable(value) and getattr(value, "__module__", "") == module.__name__


def test_the_chapters_follow_each_other() -> None:
    """The index names them all, and each has its neighbors at head and foot."""
    index = (GUIDE / "README.md").read_text("utf-8")
    listed = re.findall(r"^\d+\. \[[\w ]+\]\((.+)\):", index, re.MULTILINE)
    assert listed == [chapter.name for chapter in CHAPTERS]
    titles = [heading(chapter).partition(". ")[2] for chapter in CHAPTERS]
    links = [f"[{name}]({page.name})" for name, page in zip(titles, CHAPTERS, strict=True)]
    for number, (before, after) in enumerate(itertools.pairwise(CHAPTERS)):
        assert before.read_text("utf-8").count(f"next: {links[number + 1]}") == 2
        assert after.read_text("utf-8").count(f"{links[number]} · ") == 2


def test_every_figure_is_shown_and_small() -> None:
    figures = sorted((GUIDE / "figures").glob("*"))
    assert figures
    text = "".join(page.read_text("utf-8") for page in GUIDE.glob("*.md"))
    for figure in figures:
        assert f"(figures/{figure.name})" in text
        assert figure.stat().st_size < 100_000, figure.name


SKELETON = re.compile(r"^```py\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def load_check() -> Callable[[str, object, object], str]:
    check: Callable[[str, object, object], str] = runpy.run_path(str(GUIDE / "checks.py"))["check"]
    return check


@every_chapter
def test_the_solutions_pass_the_checks(
    chapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    text = chapter.read_text("utf-8")
    exercises, answers = SKELETON.findall(text.partition("## Exercises")[2]), []
    assert exercises
    if "load_mnist" in text:
        monkeypatch.setenv("MNIST_DATASET_DIR", str(request.getfixturevalue("real_data")))
    monkeypatch.chdir(tmp_path)
    check = load_check()
    names: dict[str, object] = {"check": lambda *words: answers.append(check(*words))}
    for example in doctest.DocTestParser().get_examples(sessions(text)):
        if not example.exc_msg:
            exec(compile(example.source, chapter.name, "single"), names)
    section = (GUIDE / "solutions.md").read_text("utf-8").partition(f"\n## {heading(chapter)}\n")[2]
    exec(SKELETON.findall(section)[0], names)
    for exercise in exercises:
        exec(re.sub(r"^(def .*|\w+ = )\.\.\..*\n", "", exercise, flags=re.MULTILINE), names)
    assert len(answers) == "".join(exercises).count("check(")
    assert all(answer.endswith(" is correct") for answer in answers), answers


def heading(chapter: Path) -> str:
    return chapter.read_text("utf-8").splitlines()[0].removeprefix("# ")


GRADIENT = np.array([[0.5, -1.0], [2.0, 0.25]])


@pytest.mark.parametrize(
    ("yours", "answer"),
    [
        (GRADIENT.astype(np.float32), "dW is correct"),
        (-GRADIENT, "dW has the right size and the wrong sign"),
        (GRADIENT.T, "dW is transposed"),
        (100 * GRADIENT, "dW is 100 times the expected array: look for a missing factor"),
        (GRADIENT + 1, "dW is off by the constant 1"),
        (GRADIENT[0], r"dW has the wrong shape: expected \(2, 2\), received \(2,\)"),
        (GRADIENT * np.nan, "dW contains nan or infinity"),
        (GRADIENT * [[1, 1], [1, 3]], "wrong in 1 of 4 numbers: dW.* is 0.75, expected 0.25"),
        *(
            (None, "dW: expected numbers; received NoneType"),
            ("x", "expected numbers; received str"),
        ),
        *((GRADIENT + 0j, "real numbers; received complex"), ([[1], [2, 3]], "different lengths")),
    ],
)
def test_a_learner_is_told_what_is_wrong(yours: object, answer: str) -> None:
    assert re.search(answer, load_check()("dW", yours, GRADIENT))


@pytest.mark.slow
@every_chapter
def test_the_notebook_runs(
    chapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    nbclient = pytest.importorskip("nbclient", reason="needs the extra docs")
    nbformat = pytest.importorskip("nbformat")
    if "load_mnist" in chapter.read_text("utf-8"):
        monkeypatch.setenv("MNIST_DATASET_DIR", str(request.getfixturevalue("real_data")))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    make = runpy.run_path(str(ROOT / "docs" / "notebooks.py"))["notebook"]
    notebook = nbformat.from_dict(make(chapter))
    nbformat.validate(notebook)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=120, resources=resources).execute()
    assert any(cell.get("outputs") for cell in notebook.cells)
