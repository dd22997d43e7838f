"""The two editions of the README, English and Chinese, say the same: as many headings, the same
commands and code, the same figures in the same sections, the same links.
"""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
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
