"""Copies all blocks of code and formulas of the English pages into the Chinese ones, where they are
the same: run it after changing one of them.

    python docs/chinese.py
"""

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parent
BLOCK = re.compile(r"^```\w*\n.*?^```$|^@@$", re.MULTILINE | re.DOTALL)


def blocks(path: Path) -> list[str]:
    """Everything between fences, in order."""
    return BLOCK.findall(path.read_text("utf-8"))


def pairs() -> list[tuple[Path, Path]]:
    """Every page, chapters and others, with its Chinese edition."""
    pages = [*(DOCS / "guide").glob("[0-9s]*.md"), *DOCS.glob("*.md")]
    return [(page, DOCS / "zh" / page.name) for page in sorted(pages) if page.name != "index.md"]


def main() -> None:
    """Write the pages whose blocks have changed; `@@` stands for a block that is new."""
    for english, chinese in pairs():
        if not chinese.exists():
            continue
        source = blocks(english)
        if len(blocks(chinese)) != len(source):
            raise SystemExit(f"{chinese}: expected {len(source)} blocks, as in {english}")
        prose = BLOCK.split(chinese.read_text("utf-8"))
        parts = zip(prose, [*source, ""], strict=True)
        chinese.write_text("".join(text + block for text, block in parts), "utf-8")


if __name__ == "__main__":
    main()
