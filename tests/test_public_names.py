"""`import digits` gives every public name, lazily, and tells type checkers the same ones."""

import subprocess
import sys

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
        getattr(digits, "Dens")  # noqa: B009


def test_importing_the_package_imports_no_numpy() -> None:
    code = "import sys, digits; digits.__version__; sys.exit('numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
