"""`import digits` gives every public name, imports nothing before a name is used, and tells type
checkers the same names.
"""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import digits


@pytest.mark.parametrize("name", digits.__all__)
def test_every_public_name_is_there(name: str) -> None:
    value = getattr(digits, name)
    module = getattr(value, "__module__", None)
    assert module is None or not module.startswith("tests")
    assert name in dir(digits)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Dens'"):
        digits.Dens  # noqa: B018


def test_type_checkers_see_the_same_names_in_the_same_modules() -> None:
    tree = ast.parse(Path(digits.__file__).read_text("utf-8"))
    declared = {
        alias.asname: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted(filter(None, declared)) == digits.__all__
    for name, module in declared.items():
        assert getattr(sys.modules[str(module)], str(name)) is getattr(digits, str(name))


def test_importing_the_package_imports_no_numpy() -> None:
    code = "import sys, digits; digits.__version__; sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
