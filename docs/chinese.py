"""Copies all blocks of code and formulas of the English guide into the Chinese one, where they are
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


def main() -> None:
    """Write the chapters whose blocks have changed; `@@` stands for a block that is new."""
    for english in sorted((DOCS / "guide").glob("[0-9]*.md")):
        chinese, source = DOCS / "zh" / english.name, blocks(english)
        if len(blocks(chinese)) != len(source):
            raise SystemExit(f"{chinese}: expected {len(source)} blocks, as in {english}")
        prose = BLOCK.split(chinese.read_text("utf-8"))
        pairs = zip(prose, [*source, ""], strict=True)
        chinese.write_text("".join(text + block for text, block in pairs), "utf-8")


if __name__ == "__main__":
    main()
