"""Are the tests awake?  mutmut breaks a module in every small way it knows, a sign here, a number
or an argument there, and runs the module's own tests on each of these mutants: one that no test
notices is printed, for a person to judge whether anybody could notice it.

    pip install -e .[test,mutants]
    python benchmarks/mutants.py functions.py
    python benchmarks/mutants.py nn/layers.py --sample 300

It works on a copy of the checkout.  docs/reliability.md has the figures, and what became of the
survivors.
"""

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

TESTS = {
    "functions.py": ["tests/test_functions.py"],
    "two_layer_net.py": [
        "tests/test_two_layer_net.py",
        "tests/test_numerics.py",
        "tests/test_onnx_export.py",
    ],
    "nn/optimizers.py": ["tests/test_optimizers.py"],
    "nn/layers.py": ["tests/test_layers.py"],
    "nn/convolution.py": [
        "tests/test_convolution.py",
        "tests/test_layers.py",
        "tests/test_fourier.py",
    ],
    "nn/products.py": ["tests/test_products.py", "tests/test_convolution.py"],
}
"""The modules that hold the formulas, and the tests where a reader would look for theirs."""

SETTINGS = """\
[mutmut]
source_paths = {module}
also_copy =
    {others}
pytest_add_cli_args =
    -m
    not slow
    -k
    not wrong_in_any_line
pytest_add_cli_args_test_selection =
    {tests}
timeout_constant = 15
timeout_multiplier = 4
"""
"""The tests left out take long, or plant errors in the source themselves and would find mutmut's.
"""

BUILT_IN = [[], ["property"], ["staticmethod"], ["classmethod"]]

VERDICTS = {0: "survived", 1: "killed", 3: "killed", 5: "no tests", 33: "no tests"}
"""What the exit status of the tests says of a mutant."""

LATE = "ran out of time or crashed"
"""Any other exit status."""


def breed(module: str, folder: Path) -> list[str]:
    """Copy the checkout into the folder, tell mutmut what to do there, and name the mutants."""
    ignored = shutil.ignore_patterns(".*", "build", "dataset", "runs")
    shutil.copytree(ROOT, folder, ignore=ignored, dirs_exist_ok=True)
    others = sorted(path.name for path in folder.iterdir() if path.name not in ("tests", module))
    settings = SETTINGS.format(
        module=module, others="\n    ".join(others), tests="\n    ".join(TESTS[module])
    )
    (folder / "setup.cfg").write_text(settings, encoding="utf-8")
    source = undecorated((ROOT / module).read_text(encoding="utf-8"))
    (folder / module).write_text(source, encoding="utf-8")
    with chdir(folder):
        from mutmut.mutation.file_mutation import mutate_file_contents

        names = mutate_file_contents(module, source).mutant_names
    return [f"{module.removesuffix('.py').replace('/', '.')}.{name}" for name in names]


def undecorated(source: str) -> str:
    """The same module with `f = decorator(f)` after a function instead of `@decorator` before it:
    mutmut passes over functions that are decorated.
    """
    lines = source.splitlines()
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    for function in sorted(functions, key=lambda node: -node.lineno):  # from below
        if [ast.unparse(decorator) for decorator in function.decorator_list] in BUILT_IN:
            continue
        for decorator in function.decorator_list:
            wrapped = f"{function.name} = {ast.unparse(decorator)}({function.name})"
            lines.insert(function.end_lineno or 0, " " * function.col_offset + wrapped)
        for decorator in reversed(function.decorator_list):
            del lines[decorator.lineno - 1 : decorator.end_lineno]
    return "\n".join(lines) + "\n"


def read_verdicts(module: str, folder: Path) -> dict[str, str]:
    """What became of each mutant so far."""
    meta = (folder / "mutants" / f"{module}.meta").read_text(encoding="utf-8")
    return {
        mutant: VERDICTS.get(status, LATE)
        for mutant, status in json.loads(meta)["exit_code_by_key"].items()
    }


def run(module: str, sample: int | None, seed: int) -> None:
    """Print a line of figures, and every mutant that lives on as a difference from the source."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mutants = breed(module, folder)
        chosen = mutants if sample is None else random.Random(seed).sample(mutants, sample)
        command = ["mutmut", "run", "--max-children", "1"]
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
        subprocess.run(
            [*command, *(chosen if sample else [])], cwd=folder, env=environment, check=True
        )
        verdicts = read_verdicts(module, folder)
        late = [mutant for mutant in chosen if verdicts[mutant] == LATE]
        if late:  # perhaps the machine had something else to do
            subprocess.run([*command, *late], cwd=folder, env=environment, check=True)
            verdicts = read_verdicts(module, folder)

        alive = [mutant for mutant in chosen if verdicts[mutant] in ("survived", "no tests")]
        with chdir(folder):
            from mutmut.mutation.diff_apply import get_diff_for_mutant

            for mutant in alive:
                print(f"{mutant} {verdicts[mutant]}:\n{get_diff_for_mutant(mutant, path=module)}")
    counts = Counter(verdicts[mutant] for mutant in chosen)
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    share = 1 - len(alive) / len(chosen)
    print(f"{module}: {len(chosen)} of {len(mutants)} mutants: {told}; {share:.1%} noticed")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="mutants", description="Count the mutants that survive.")
    parser.add_argument("modules", nargs="*", default=list(TESTS), metavar="MODULE")
    parser.add_argument("--sample", type=int, metavar="N", help="try so many, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default: 0)")
    options = parser.parse_args(arguments)
    for module in options.modules:
        run(module, options.sample, options.seed)


if __name__ == "__main__":
    main()
