"""README.md does what it says, and its Chinese edition has the same structure."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from programs import environment

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
    """Marks of headings, blocks of code, columns of tables, links: what a translation keeps.

    `python docs/chinese.py` copies the blocks of code; comments in README's are translated.
    """
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


def blocks(language: str) -> list[str]:
    """The blocks of code in this language."""
    text = (ROOT / "README.md").read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_library_does_what_its_lines_say(tmp_path: Path, real_data: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", "".join(blocks("python"))],
        cwd=tmp_path,
        env=environment(MNIST_DATASET_DIR=real_data),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    accuracies = [float(number) for number in re.findall(r"0\.\d+", result.stdout.splitlines()[-1])]
    assert max(accuracies) > 0.96, result.stdout


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
    text = (ROOT / "docs" / "keras.md").read_text("utf-8")
    variables = environment(MNIST_DATASET_DIR=real_data)
    for program in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        told = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path, env=variables, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert told.returncode == 0, told.stderr
        accuracies = re.findall(r"0\.\d+", told.stdout.splitlines()[-1])
        assert max(map(float, accuracies)) > 0.94, told.stdout
