"""The two editions of the README, English and Chinese, say the same: as many headings, the same
commands and code, the same figures in the same sections, the same links.
"""

import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EDITIONS = ("README.md", "README.zh-CN.md")

FENCE = re.compile(r"^```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)]+)\)")


def sections(text: str) -> list[str]:
    """A piece for every heading, each with its mark (#, ##, ...) and what follows it."""
    without_code = FENCE.sub("", text)
    return re.split(r"^(?=#{1,4} )", without_code, flags=re.MULTILINE)[1:]


def code(text: str) -> list[str]:
    """The blocks of code without their comments, which are translated."""
    blocks = [re.sub(r"[ \t]*#.*", "", block) for block in FENCE.findall(text)]
    return [re.sub(r"[ \t]+$", "", block, flags=re.MULTILINE) for block in blocks]


def figures(section: str) -> Counter[str]:
    """Every number, apart from those inside file names and other words."""
    return Counter(
        re.findall(r"(?<![A-Za-z0-9_.-])\d+(?:,\d{3})*(?:\.\d+)?", LINK.sub("", section))
    )


def links(text: str) -> list[str]:
    return sorted(set(LINK.findall(text)) - set(EDITIONS))


@pytest.fixture
def editions() -> list[str]:
    return [(ROOT / name).read_text("utf-8") for name in EDITIONS]


def test_headings_correspond(editions: list[str]) -> None:
    first, second = ([s.split()[0] for s in sections(text)] for text in editions)
    assert first == second


def test_commands_and_code_are_the_same(editions: list[str]) -> None:
    first, second = map(code, editions)
    assert first == second


def test_figures_are_the_same(editions: list[str]) -> None:
    for first, second in zip(*map(sections, editions), strict=True):
        heading = first.splitlines()[0]
        assert figures(first) == figures(second), heading


def test_tables_are_as_long(editions: list[str]) -> None:
    first, second = (re.findall(r"^\|.*\|$", text, re.MULTILINE) for text in editions)
    assert [row.count("|") for row in first] == [row.count("|") for row in second]


def test_links_are_the_same(editions: list[str]) -> None:
    first, second = map(links, editions)
    assert first == second


@pytest.mark.parametrize("name", EDITIONS)
def test_links_lead_somewhere(name: str) -> None:
    for link in LINK.findall((ROOT / name).read_text("utf-8")):
        assert link.startswith("http") or (ROOT / link.partition("#")[0]).exists(), link


def test_what_differs_is_seen() -> None:
    assert figures("0.9465 ± 0.0011, of 39,760") == Counter(["0.9465", "0.0011", "39,760"])
    assert figures("低 0.0004\N{FULLWIDTH COMMA}第1个") == Counter(["0.0004", "1"])
    assert figures("lenet5-1998, `two_layer_net.py`, 97.1 %") == Counter(["97.1"])
    assert code("```sh\npython a.py  # b\n```\n") == code("```sh\npython a.py   # 乙\n```\n")
    assert sections("# A\ntext\n## B\n") == ["# A\ntext\n", "## B\n"]


# --- what it tells to do, done --------------------------------------------------------------------

LONG = ("mpiexec", "--recipe lenet5", "--resume", "--export-onnx")
"""Commands that take minutes, or what is not installed everywhere; other tests try them."""


def blocks(heading: str, language: str) -> list[str]:
    """The blocks of code in this language under a heading of the README."""
    text = (ROOT / "README.md").read_text("utf-8").partition(f"\n## {heading}\n")[2]
    text = text.partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_data: Path) -> Path:
    """Where a reader stands: with a photograph, and a network that was trained."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MNIST_DATASET_DIR", str(real_data))
    Path("photo.jpg").write_bytes((ROOT / "docs" / "reading.png").read_bytes())
    train = [sys.executable, str(ROOT / "train_net.py"), "--recipe", "lenet5"]
    subprocess.run([*train, "--iterations", "3", "--quiet"], check=True)
    return tmp_path


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_short_commands_work_as_printed() -> None:
    done = 0
    for line in "".join(blocks("Use it", "sh")).splitlines():
        command = shlex.split(line, comments=True)
        if any(mark in line for mark in LONG):
            continue
        assert command[0] == "python"
        result = subprocess.run(
            [sys.executable, ROOT / command[1], *command[2:]],
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, f"{line}\n{result.stderr}"
        assert result.stdout
        done += 1
    assert done >= 5
    assert Path("steps.png").stat().st_size and Path("boxes.png").stat().st_size


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
def test_the_library_does_what_its_lines_say() -> None:
    lines = "".join(blocks("As a library", "python"))
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", lines],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    accuracy = re.findall(r"^0\.9\d+$", result.stdout, re.MULTILINE)
    assert accuracy, result.stdout
