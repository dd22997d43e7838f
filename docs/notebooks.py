"""Makes a Jupyter notebook of every chapter of the guide, from the same text: prose and pictures
become Markdown cells, what is typed becomes code cells, exercises become cells to fill in.

    python docs/notebooks.py FOLDER
"""

import base64
import doctest
import json
import re
import sys
from pathlib import Path
from typing import Any

GUIDE = Path(__file__).resolve().parent / "guide"
BLOCK = re.compile(r"^```(python|py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r"!\[([^\]]*)\]\(figures/([^)]+)\)")

INSTALL = """\
# On Colab, Binder or any machine without the library; in a checkout it is there already.
try:
    import digits
except ImportError:
    %pip install --quiet digits-from-scratch"""

Cell = dict[str, Any]


def code(source: str, raises: bool = False) -> Cell:
    metadata = {"tags": ["raises-exception"]} if raises else {}
    return {
        **{"cell_type": "code", "execution_count": None, "metadata": metadata, "outputs": []},
        "source": source.strip("\n"),
    }


def markdown(text: str) -> Cell:
    """Prose, with its pictures inside the notebook and formulas as Jupyter writes them."""
    text = re.sub(r"^```math\n(.*?)^```$", r"$$\n\1$$", text, flags=re.MULTILINE | re.DOTALL)
    pictures = {
        name: {"image/png": base64.b64encode((GUIDE / "figures" / name).read_bytes()).decode()}
        for _, name in PICTURE.findall(text)
    }
    text = PICTURE.sub(r"![\1](attachment:\2)", text)
    text = re.sub(r"\[([^\]]+)\]\((?!http|attachment)[^)]*\)", r"\1", text)  # links to files
    cell: Cell = {"cell_type": "markdown", "metadata": {}, "source": text.strip("\n")}
    return cell | ({"attachments": pictures} if pictures else {})


def typed(session: str) -> list[Cell]:
    """What is typed in a session, a cell for everything that is printed."""
    cells, lines = [], ""
    for example in doctest.DocTestParser().get_examples(session):
        lines += example.source
        if example.want:
            cells.append(code(lines, raises=bool(example.exc_msg)))
            lines = ""
    return [*cells, code(lines)]


def exercise(skeleton: str) -> Cell:
    """A cell to fill in, which says what is wrong; it may fail until it is filled in."""
    return code(re.sub(r"^(check\(.*\))$", r"print(\1)", skeleton, flags=re.MULTILINE), raises=True)


def notebook(chapter: Path) -> dict[str, Any]:
    """The notebook of a chapter, without the links at its head and foot."""
    text = re.sub(r"^\[.*\]\(README\.md\).*$", "", chapter.read_text("utf-8"), flags=re.MULTILINE)
    cells, end, checks = [code(INSTALL)], 0, (GUIDE / "checks.py").read_text("utf-8")
    for block in BLOCK.finditer(text):
        session = block[2].startswith(">>>")
        if not session and block[1] == "python":
            continue  # a quotation stays in the prose
        prose = text[end : block.start()]
        before, mark, exercises = prose.partition("## Exercises\n")
        cells.append(markdown(before if mark else prose))
        if mark:
            cells += [code(checks), markdown(mark + exercises)]
        cells += typed(block[2]) if session else [exercise(block[2])]
        end = block.end()
    cells.append(markdown(text[end:]))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    return {
        "cells": [cell for cell in cells if cell["source"]],
        "metadata": {"language_info": {"name": "python"}},
        **{"nbformat": 4, "nbformat_minor": 5},
    }


def main(folder: Path) -> None:
    """Write all notebooks."""
    folder.mkdir(parents=True, exist_ok=True)
    for chapter in sorted(GUIDE.glob("[0-9]*.md")):
        path = folder / f"{chapter.stem}.ipynb"
        path.write_text(json.dumps(notebook(chapter), indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
