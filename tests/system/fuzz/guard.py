"""Watches how long work takes, what memory it asks for, what it writes and whether it runs any."""

import os
import signal
import sys
import threading
import time
import traceback
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 10
"""Seconds of the processor after which work is taken to hang; ten times as many on the clock."""

SLACK = 8_000_000
"""Bytes beside the data: what Python needs for a traceback, a small file, a table of names."""

WRITES = {
    *("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"),
    *("os.chmod", "os.chown", "shutil.rmtree", "shutil.move", "shutil.copyfile"),
}
RUNS = {
    *("exec", "import", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn"),
    *("subprocess.Popen", "pickle.find_class", "socket.connect", "socket.getaddrinfo"),
    *("ctypes.dlopen", "marshal.loads", "code.__new__", "webbrowser.open"),
}


class TooSlow(BaseException):
    """Not an Exception, so that nobody who catches those mistakes it for one."""


@dataclass
class Guard:
    """What one piece of work may do; what it did that it may not, in `faults`."""

    folder: Path
    """Where it may write."""
    memory: int
    """Bytes that it may ask for at once."""
    may_run: bool = False
    """Whether it may import what it needs."""
    faults: list[str] = field(default_factory=list)

    def heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        """What Python says that is about to happen (PEP 578)."""
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, str | bytes | os.PathLike) and flags & (os.O_WRONLY | os.O_RDWR):
                self._written(event, path)
        elif event in WRITES:
            for path in arguments[: 2 if event in ("os.rename", "os.link") else 1]:
                self._written(event, path)
        elif event in RUNS and not self.may_run:
            self.faults.append(f"{event} {arguments!r:.200}")

    def _written(self, event: str, path: Any) -> None:
        whole = Path(os.path.abspath(os.fsdecode(path)))
        if not whole.is_relative_to(self.folder) and whole != Path(os.devnull):
            self.faults.append(f"{event} outside the folder: {whole}")


_on_guard: list[Guard] = []


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _on_guard and threading.current_thread() is threading.main_thread():
        guard = _on_guard.pop()  # what it does itself is not heard
        try:
            guard.heard(event, arguments)
        finally:
            _on_guard.append(guard)


sys.addaudithook(_hear)  # for as long as the process lives, and deaf without a guard


@contextmanager
def guarded(guard: Guard) -> Iterator[Guard]:
    """Note in `guard.faults` what the work inside does that it may not; end it if it hangs."""

    def too_slow(_signal: int, _frame: FrameType | None) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, too_slow)
    tracemalloc.start()
    began = time.process_time()
    signal.alarm(10 * PATIENCE)
    _on_guard.append(guard)
    try:
        yield guard
    except TooSlow:
        guard.faults.append(f"hangs: {traceback.format_exc(limit=-4)}")
    finally:
        _on_guard.remove(guard)
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        asked = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    if time.process_time() - began > PATIENCE:
        guard.faults.append(f"took {time.process_time() - began:.0f} s")
    if asked > guard.memory:
        guard.faults.append(f"asked for {asked:,} bytes, {guard.memory:,} are honest")


def memory_for(work: Callable[[], object], folder: Path) -> int:
    """What honest work asks for, twice, and some slack: all that hostile work may have."""
    work()  # imports, and whatever else is done once
    guard = Guard(folder, sys.maxsize, may_run=True)
    with guarded(guard):
        work()
        asked = tracemalloc.get_traced_memory()[1]
    assert not guard.faults, guard.faults
    return 2 * asked + SLACK


def is_ours(error: BaseException, documented: tuple[type[BaseException], ...]) -> bool:
    """Whether a documented exception, raised by a `raise` of this library, says something."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1]
    here = Path(last.filename).resolve()
    written_here = here.is_relative_to(ROOT) and "tests" not in here.relative_to(ROOT).parts
    raised = (last.line or "").lstrip().startswith("raise")
    return (
        isinstance(error, documented) and written_here and raised and len(str(error).split()) >= 4
    )
