"""Break the code in small ways, one at a time, and count how many of the changes the tests notice.

    python benchmarks/mutants.py digits/files/npz.py --tests tests/files/test_npz.py --sample 40

A mutant has one comparison, operator, number or condition changed, or one statement left out, in a
copy of the repository. It is noticed when a test that is not slow fails, or when the tests take
far longer than before. Texts of messages are left alone, as the tests promise only the stable part,
and so are type hints.
"""

import argparse
import ast
import copy
import math
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = "120000000"  # as in the tests

import cv2  # noqa: F401
import matplotlib.figure  # noqa: F401
import numpy as np  # noqa: F401
import pytest

ROOT = Path(__file__).resolve().parent.parent

SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
    **{ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In},
    **{ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult},
    **{ast.FloorDiv: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr, ast.MatMult: ast.Add},
}


def positions(tree: ast.AST) -> list[tuple[int, int]]:
    """Which node may be changed, and which of the changes of it, for every mutant."""
    hints = [getattr(n, field, None) for n in ast.walk(tree) for field in ("annotation", "returns")]
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    left_alone = {id(n) for part in [*hints, *texts] if part for n in ast.walk(part)}
    return [
        (number, which)
        for number, node in enumerate(ast.walk(tree))
        if id(node) not in left_alone
        for which, _ in enumerate(changes(node))
    ]


def mutant(tree: ast.AST, number: int, which: int) -> tuple[int, str, str]:
    """Line, description and text of a mutant."""
    tree = copy.deepcopy(tree)
    node = next(node for i, node in enumerate(ast.walk(tree)) if i == number)
    before = ast.unparse(node).partition("\n")[0]
    list(changes(node))[which](node)
    after = ast.unparse(node).partition("\n")[0]
    return getattr(node, "lineno", 0), f"{before[:70]}  ->  {after[:70]}", ast.unparse(tree)


def changes(node: ast.AST) -> Iterator["Change"]:
    """What may be changed in a node."""
    for field in ("op", "ops"):
        operators = getattr(node, field, None)
        operator = operators[0] if isinstance(operators, list) else operators
        if isinstance(operator, ast.AST) and type(operator) in SWAPPED:
            yield Change(field, SWAPPED[type(operator)]())
    match node:
        case ast.If() | ast.While() | ast.IfExp():
            yield Change("test", ast.UnaryOp(ast.Not(), node.test))
        case ast.Constant(value=bool(value)):
            yield Change("value", not value)
        case ast.Constant(value=int(value) | float(value)):
            yield Change("value", value + 1 if abs(value) <= 10 else 2 * value)
        case ast.Return(value=ast.expr()):
            yield Change("value", ast.Constant(None))
    for block in ("body", "orelse", "finalbody"):
        statements = getattr(node, block, None)
        for i, statement in enumerate(statements if isinstance(statements, list) else []):
            is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            left_out = ast.Expr | ast.Assign | ast.AugAssign | ast.Raise | ast.Delete
            if isinstance(statement, left_out) and not is_text:
                yield Change(block, ast.Pass(), i)


class Change:
    """One field of a node, or one item of it, set to another value."""

    def __init__(self, field: str, value: object, item: int | None = None) -> None:
        self.field, self.value, self.item = field, value, item

    def __call__(self, node: ast.AST) -> None:
        old = getattr(node, self.field)
        if isinstance(old, list):
            old[self.item or 0] = self.value
        else:
            setattr(node, self.field, self.value)


def passes(folder: Path, tests: list[str], seconds: float) -> bool:
    """Whether the tests pass within so many seconds of the processor.

    They run in a copy of this process, which has loaded what takes long to load.
    """
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(seconds), math.ceil(seconds)))
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        os.chdir(folder)
        os.environ |= {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        sys.path.insert(0, str(folder))
        sys.dont_write_bytecode = True
        options = ["-x", "-q", "-m", "not slow", "-p", "no:cacheprovider"]
        os._exit(pytest.main([*options, *tests]))
    end = time.monotonic() + 60 + 10 * seconds  # for those that wait and do not compute
    status = None
    while status is None and time.monotonic() < end:
        time.sleep(0.02)
        pid, code = os.waitpid(child, os.WNOHANG)
        status = code if pid else None
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if status is None:
        os.waitpid(child, 0)
    return status == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("module", help="a file, from the root of the repository")
    parser.add_argument("--tests", nargs="+", required=True, help="the tests that should notice")
    parser.add_argument("--sample", type=int, default=10**6, help="how many mutants, at random")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    source = (ROOT / options.module).read_text()
    tree = ast.parse(source)
    every = positions(tree)
    chosen = random.Random(options.seed).sample(every, min(options.sample, len(every)))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "copy"
        shutil.copytree(
            ROOT, folder, ignore=shutil.ignore_patterns(".git", "runs", "*.gz", "*.pkl")
        )
        if not passes(folder, options.tests, 600):
            print("expected tests that pass before anything is changed; they fail")
            return 1
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        limit = 10 + 3 * (usage.ru_utime + usage.ru_stime)
        noticed = tried = 0
        with suppress(KeyboardInterrupt):  # what has been tried is told all the same
            for position in chosen:
                line, description, text = mutant(tree, *position)
                (folder / options.module).write_text(text)
                if passes(folder, options.tests, limit):
                    print(f"{options.module}:{line} survives: {description}", flush=True)
                else:
                    noticed += 1
                tried += 1
    print(f"{options.module}: {noticed} of {tried} noticed, of {len(every)} mutants")
    return 0


if __name__ == "__main__":
    sys.exit(main())
