"""README.md does what it says, and its Chinese edition has the same structure."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from programs import environment, run

ROOT = Path(__file__).resolve().parents[2]
EDITIONS = ("README.md", "README.zh-CN.md")

FENCE = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)]+)\)")
PLACES = ("*.md", "docs/*.md", "docs/*/*.md", "dataset/*.md", "examples/*.md", "digits/*/*.md")
PAGES = [path.relative_to(ROOT).as_posix() for at in PLACES for path in sorted(ROOT.glob(at))]
CHINESE = {
    f"docs/zh/{path.name}": f"docs/{folder}{path.name}"
    for folder in ("", "guide/")
    for path in sorted(ROOT.glob("docs/zh/*.md"))
    if path.name != "README.md" and (ROOT / "docs" / folder / path.name).exists()
}


def structure(page: str) -> tuple[object, ...]:
    """What a translation keeps: headings, code, columns of tables, links."""
    text = (ROOT / page).read_text("utf-8")
    prose = FENCE.sub("", text)
    code = [re.sub(r"[ \t]*#.*", "", b) if "/" not in page else b for b in FENCE.findall(text)]
    columns = [row.count("|") for row in re.findall(r"^\|.*\|$", prose, re.MULTILINE)]
    links = {Path(link.partition("#")[0]).name for link in LINK.findall(prose)} - set(EDITIONS)
    return re.findall(r"^(#+) ", prose, re.MULTILINE), code, columns, sorted(links)


@pytest.mark.parametrize("page", ["README.zh-CN.md", *CHINESE])
def test_a_translation_has_the_same_structure(page: str) -> None:
    assert structure(page) == structure(CHINESE.get(page, "README.md"))


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in LINK.findall(FENCE.sub("", (ROOT / page).read_text("utf-8"))):
        target = (ROOT / page).parent / link.partition("#")[0]
        made = target.name == "reference.md"  # by mkdocs, from the docstrings
        assert link.startswith("http") or target.exists() or made, link


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def best_accuracy(program: str, folder: Path, data: Path) -> float:
    """The largest figure in the last line that a program prints."""
    variables = environment(MNIST_DATASET_DIR=data)
    told = run([sys.executable, "-W", "error", "-c", program], cwd=folder, env=variables)
    assert told.returncode == 0, told.stderr
    return max(map(float, re.findall(r"0\.\d+", told.stdout.splitlines()[-1])))


@pytest.mark.slow
def test_the_library_does_what_its_lines_say(tmp_path: Path, real_data: Path) -> None:
    program = "".join(blocks(ROOT / "README.md"))
    assert best_accuracy(program, tmp_path, real_data) > 0.96


def test_the_last_column_of_the_cheat_sheet_runs(tmp_path: Path, real_data: Path) -> None:
    rows = re.findall(r"^\|.*\|$", (ROOT / "docs/cheat-sheet.md").read_text("utf-8"), re.MULTILINE)
    lines = [line for row in rows for line in re.findall("`([^`]+)`", row.rsplit("|", 2)[1])]
    assert len(lines) >= 20
    program = "import numpy as np\n" + "\n".join(lines).replace("epochs=5", "epochs=1")
    variables = environment(MNIST_DATASET_DIR=real_data)
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=variables, check=True)
    assert (tmp_path / "model.npz").exists()


@pytest.mark.slow
def test_the_page_about_keras_and_scikit_learn_runs(tmp_path: Path, real_data: Path) -> None:
    pytest.importorskip("sklearn")
    for program in blocks(ROOT / "docs" / "keras.md"):
        assert best_accuracy(program, tmp_path, real_data) > 0.94
