"""The plan of the house, enforced: which module stands on which row, and that every import points
down; where pictures may be read and drawn; and what no module may touch.
"""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement  # pytest brings it

ROOT = Path(__file__).resolve().parent.parent

ROWS = {
    # 0: know nothing of each other
    "nn": 0,
    "functions": 0,
    "nn.parallel": 0,
    "nn.products": 0,
    "nn.ranks": 0,
    "nn.parameters": 0,
    "nn.storage": 0,
    "nn.history": 0,
    "nn.memory": 0,
    "nn.initializers": 0,
    "synthetic_digits": 0,
    "augmentation": 0,
    "photograph": 0,
    "terminal": 0,
    # 1: what networks are made of, and the data
    "nn.network": 1,
    "nn.onnx_export": 1,
    "nn.lock": 1,
    "nn.optimizers": 1,
    "nn.fourier": 1,
    "nn.layers": 1,
    "plots": 1,
    "mnist_loader": 1,
    "non_digits": 1,
    # 2
    "two_layer_net": 2,
    "nn.convolution": 2,
    "nn.checkpoints": 2,
    # 3: any stack of layers
    "nn.sequential": 3,
    # 4: which networks there are, and what other libraries call their weights
    "recipes": 4,
    "nn.exchange": 4,
    # 5: the scripts
    "train_net": 5,
    "evaluate_net": 5,
    "predict_image": 5,
    # 6: the page on top of them
    "draw_digit": 6,
}

READS_PICTURES = {
    "predict_image",
    "photograph",
    "synthetic_digits",
    "non_digits",
    "augmentation",
}
DRAWS_FIGURES = {"plots", "predict_image"}

GENERATORS = {"Generator", "BitGenerator", "SeedSequence", "PCG64", "default_rng"}
"""What of numpy.random keeps no state of its own."""


def modules() -> dict[str, Path]:
    """The modules that exist, by the names they are imported by."""
    files = [*ROOT.glob("*.py"), *(ROOT / "nn").rglob("*.py")]
    names = {file: ".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files}
    return {name.removesuffix(".__init__"): file for file, name in sorted(names.items())}


MODULES = modules()


def parse(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


# --- what the rules see ---------------------------------------------------------------------------


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported, wherever in the file, by its full name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "from . import: say which module"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in ROWS else str(node.module)


def imports_when_imported(tree: ast.Module) -> Iterator[str]:
    """The imports that run with the file's own import: not in a function, not for types only."""
    waiting: list[ast.AST] = [*tree.body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imports(node)
        waiting += ast.iter_child_nodes(node)


def upward_imports(module: str, tree: ast.AST) -> list[str]:
    return [name for name in imports(tree) if name in ROWS and ROWS[name] >= ROWS[module]]


def packages(names: Iterator[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def forbidden(tree: ast.AST) -> list[str]:
    """Uses of a state that all modules share: the import path and the global sources of noise."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(ast.Name("sys"), "path") | ast.ImportFrom(
                "sys", [ast.alias("path")]
            ):
                found.append("sys.path")
            case ast.Attribute(ast.Attribute(ast.Name("np" | "numpy"), "random"), name):
                found += [f"numpy.random.{name}"] if name not in GENERATORS else []
            case ast.ImportFrom("numpy.random", names):
                found += [f"numpy.random.{a.name}" for a in names if a.name not in GENERATORS]
            case ast.Import(names):
                found += [a.name for a in names if a.name in ("random", "numpy.random")]
            case ast.ImportFrom("random"):
                found.append("random")
    return found


# --- the rules ------------------------------------------------------------------------------------


def test_every_module_has_its_place() -> None:
    homeless = MODULES.keys() - ROWS.keys()
    assert not homeless, f"give {homeless} a row in the table of this test"
    assert {"functions", "two_layer_net", "nn.parameters", "train_net"} <= MODULES.keys()


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_down(module: str) -> None:
    """Strictly down, so no cycle can be."""
    if module not in ROWS:
        pytest.skip("it has no row yet, and another test says so")
    assert not upward_imports(module, parse(module))


@pytest.mark.parametrize("module", sorted(MODULES))
def test_pictures_are_read_and_drawn_where_they_belong(module: str) -> None:
    tree = parse(module)
    if module not in READS_PICTURES:
        assert "cv2" not in packages(imports(tree))
    if module not in DRAWS_FIGURES:
        assert "matplotlib" not in packages(imports(tree))
    assert "matplotlib" not in packages(imports_when_imported(tree))


@pytest.mark.parametrize("module", sorted(MODULES))
def test_no_module_touches_what_all_share(module: str) -> None:
    assert not forbidden(parse(module))


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_file_says_what_it_is(module: str) -> None:
    docstring = ast.get_docstring(parse(module))
    assert docstring
    assert docstring.rstrip().count(".") >= 1


def test_the_package_itself_imports_nothing() -> None:
    assert not list(imports(parse("nn")))


def test_every_module_is_installed() -> None:
    """A module that is forgotten here works in the checkout and nowhere else."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    installed = project["tool"]["setuptools"]["py-modules"]
    assert sorted(installed) == sorted(name for name in MODULES if not name.startswith("nn"))
    assert project["tool"]["setuptools"]["packages"] == ["nn", "models", "draw_page"]
    for command, place in project["project"]["scripts"].items():
        module, function = place.split(":")
        assert module == command.replace("-", "_")
        assert any(
            isinstance(node, ast.FunctionDef) and node.name == function
            for node in parse(module).body
        )


def test_dependencies_are_bounded_from_below_and_pinned_at_both_ends() -> None:
    """What pyproject.toml promises is what was installed when it was tried."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *extras["test"], *extras["web"]]  # as test asks for web
    bounds = dict(line.split(">=") for line in needed if ">=" in line)
    supported = [
        classifier.removeprefix("Programming Language :: Python :: ")
        for classifier in project["classifiers"]
        if classifier.startswith("Programming Language :: Python :: 3.")
    ]
    assert f">={supported[0]}" == project["requires-python"]
    oldest = pins("constraints-oldest.txt", supported[0])
    judges = {"coverage", "mypy", "ruff"}  # of tests and source, which do without them
    assert oldest.keys() == bounds.keys() - judges
    for name, bound in bounds.items():
        assert f"{oldest.get(name, bound)}.".startswith(f"{bound}.")
        for python in supported:
            assert numbers(pins("constraints.txt", python)[name]) > numbers(bound)
    everywhere = {frozenset(pins("constraints.txt", python)) for python in supported}
    assert len(everywhere) == 1  # no Python is left without a pin that the others have


def pins(name: str, python: str) -> dict[str, str]:
    """The versions that a file of constraints names for one Python, each package's only once."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pinned: dict[str, str] = {}
    for line in lines:
        if line.startswith("#"):
            continue
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate({"python_version": python}):
            assert wanted.name not in pinned
            (exact,) = wanted.specifier
            pinned[wanted.name] = exact.version
    return pinned


def numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


# --- the rules are awake --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "source", "found"),
    [
        ("functions", "import two_layer_net", ["two_layer_net"]),
        ("functions", "def f():\n    from nn import parameters", ["nn.parameters"]),
        ("nn.storage", "from nn.sequential import Sequential", ["nn.sequential"]),
        ("nn.storage", "import nn.history as h", ["nn.history"]),
        ("two_layer_net", "from functions import sigmoid\nimport nn.parameters", []),
        ("train_net", "import evaluate_net, recipes", ["evaluate_net"]),
        ("plots", "import numpy.random\nfrom pathlib import Path", []),
    ],
)
def test_upward_imports_are_seen(module: str, source: str, found: list[str]) -> None:
    assert upward_imports(module, ast.parse(source)) == found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import matplotlib.figure", True),
        ("try:\n    from matplotlib.figure import Figure\nexcept ImportError:\n    pass", True),
        ("class A:\n    import matplotlib", True),
        ("if TYPE_CHECKING:\n    pass\nelse:\n    import matplotlib", True),
        ("if TYPE_CHECKING:\n    from matplotlib.figure import Figure", False),
        ("def draw():\n    from matplotlib.figure import Figure", False),
    ],
)
def test_imports_that_run_at_once_are_seen(source: str, found: bool) -> None:
    assert ("matplotlib" in packages(imports_when_imported(ast.parse(source)))) is found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("sys.path.insert(0, '.')", ["sys.path"]),
        ("from sys import path", ["sys.path"]),
        ("np.random.seed(0)", ["numpy.random.seed"]),
        ("x = numpy.random.rand(3)", ["numpy.random.rand"]),
        ("from numpy.random import shuffle, default_rng", ["numpy.random.shuffle"]),
        ("import random", ["random"]),
        ("from random import choice", ["random"]),
        ("rng: np.random.Generator = np.random.default_rng(0)", []),
        ("rng.random(3); np.exp(sys.argv)", []),
    ],
)
def test_shared_state_is_seen(source: str, found: list[str]) -> None:
    assert forbidden(ast.parse(source)) == found
