"""How much each number in the rules of `digits/photos/` matters: photographs without a mistake when
it is a fifth larger, and a fifth smaller.

    python benchmarks/constants.py FOLDER [FOLDER ...] [--modules ink.py ...] [--jobs N]

A FOLDER is one for benchmarks/photos.py, which is run in a copy of the library for each change;
what it holds out is not counted. Numbers that bound time and memory (MAX_...) are left out, and
the numbers of one list are changed together.
"""

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RULES = (
    "light",
    "color",
    "ink",
    "lines",
    "printed",
    "straight",
    "components",
    "candidates",
    "classification",
    "decide",
    "writing",
    "turning",
)
FACTORS = (0.8, 1.2)


def numbers(source: str) -> Iterator[list[ast.Constant]]:
    """The numbers of a module that rules turn on: floats other than 0 and 1, and named integers."""
    for statement in ast.parse(source).body:
        names = [ast.unparse(target) for target in getattr(statement, "targets", [])]
        if any(name.startswith("MAX_") for name in names):
            continue
        found = [
            node
            for node in ast.walk(statement)
            if isinstance(node, ast.Constant)
            and (
                (isinstance(node.value, float) and node.value not in (0, 1))
                or (type(node.value) is int and names and names[0].isupper())
            )
        ]
        if names and len(found) > 1:
            yield found
        else:
            yield from ([node] for node in found)


def changed(source: str, nodes: list[ast.Constant], factor: float) -> str:
    """The source with these numbers, which stand on one line each, times a factor."""
    lines = source.splitlines(keepends=True)
    for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        value = node.value
        assert isinstance(value, int | float)
        new = round(value * factor) if isinstance(value, int) else round(value * factor, 6)
        line = lines[node.lineno - 1]
        lines[node.lineno - 1] = line[: node.col_offset] + repr(new) + line[node.end_col_offset :]
    return "".join(lines)


def count(folders: list[Path], module: Path | None = None, source: str = "") -> int | None:
    """Photographs without a mistake, by a library with another source of one module; None where
    that does not run."""
    right = 0
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(ROOT / "digits", Path(copy, "digits"))
        for path in [*ROOT.glob("*.py"), ROOT / "benchmarks" / "photos.py"]:
            shutil.copy(path, copy)
        if module:
            Path(copy, module).write_text(source, encoding="utf-8")
        for folder in folders:
            command = [sys.executable, "photos.py", str(folder.resolve())]
            done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
            if done.returncode:
                return None
            right += sum(map(int, re.findall(r"^\S+ +\d+ +(\d+) =", done.stdout, re.MULTILINE)))
    return right


def main() -> None:
    """Print a table: each number, and the photographs read right with it smaller and larger."""
    parser = argparse.ArgumentParser(prog="constants", description="Change each number by a fifth.")
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--modules", nargs="+", default=[f"{name}.py" for name in RULES])
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    tried: list[tuple[str, str]] = []
    jobs = []
    with ThreadPoolExecutor(options.jobs) as pool:
        as_it_is = pool.submit(count, options.folders)
        for name in options.modules:
            module = Path("digits/photos", name)
            source = (ROOT / module).read_text(encoding="utf-8")
            for nodes in numbers(source):
                line = source.splitlines()[nodes[0].lineno - 1].strip()
                value = "..." if len(nodes) > 1 else repr(nodes[0].value)
                tried.append((name, f"{value} in {line}"))
                for factor in FACTORS:
                    new = changed(source, nodes, factor)
                    jobs.append(pool.submit(count, options.folders, module, new))
        print(f"as it is: {as_it_is.result()}\n\nsmaller  larger", flush=True)
        for (name, what), smaller, larger in zip(tried, jobs[::2], jobs[1::2], strict=True):
            print(f"{smaller.result()!s:>7} {larger.result()!s:>7}  {name}: {what}", flush=True)


if __name__ == "__main__":
    main()
