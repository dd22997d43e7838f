"""What the fuzz tests share: a fuzzer for each, and the count at the end."""

import os
from pathlib import Path

import fuzzer
import pytest


@pytest.fixture
def fuzz(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> fuzzer.Fuzzer:
    if os.name != "posix":
        pytest.skip("needs an alarm clock")
    monkeypatch.chdir(tmp_path)
    option = request.config.getoption
    return fuzzer.Fuzzer(tmp_path, option("--fuzz-seconds"), option("--fuzz-seed"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many inputs were tried, and what became of them."""
    if fuzzer.tally:
        terminalreporter.section(f"fuzz: {sum(fuzzer.tally.values()):,} inputs")
        for kind, number in sorted(fuzzer.tally.items()):
            terminalreporter.line(f"{number:>9,}  {kind}")
