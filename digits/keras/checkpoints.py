"""`tf.train.Checkpoint`: the weights of models, the memory of optimizers and variables, in one file
of NumPy's, from which they are taken back.
"""

import io
import re
from pathlib import Path
from typing import Any

import numpy as np

from digits.files.atomic import write_file
from digits.keras.variable import Variable
from digits.types import Array
from digits.validation import check

SUFFIX = ".npz"


class Checkpoint:
    """Objects by name, which are saved and restored together."""

    def __init__(self, root: Any = None, **objects: Any) -> None:
        self.objects = ({} if root is None else {"root": root}) | objects
        self.saved = 0

    def save(self, file_prefix: Any, *_: Any, **__: Any) -> str:
        """Write the file PREFIX-1, at the next call PREFIX-2, ...; its path."""
        self.saved += 1
        return self.write(f"{file_prefix}-{self.saved}")

    def write(self, file_prefix: Any, *_: Any, **__: Any) -> str:
        """Write the file PREFIX."""
        path = Path(f"{file_prefix}{SUFFIX}")
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {
            f"{name}/{key}": array
            for name, held in self.objects.items()
            for key, array in _state_of(held).items()
        }
        stream = io.BytesIO()
        np.savez(stream, **arrays)  # type: ignore[arg-type]
        write_file(path, stream.getvalue())
        return str(file_prefix)

    def restore(self, save_path: Any, *_: Any, **__: Any) -> "Checkpoint":
        """Take everything back out of a file; nothing, if there is none yet (None)."""
        if save_path is not None:
            with np.load(f"{save_path}{SUFFIX}", allow_pickle=False) as file:
                state = {name: file[name] for name in file.files}
            for name, held in self.objects.items():
                own = {k: a for k, a in state.items() if k.startswith(f"{name}/")}
                check(own, f"{name} in {save_path}", "none", "restore what was saved there")
                _restore(held, {key.removeprefix(f"{name}/"): a for key, a in own.items()})
            number = re.search(r"-(\d+)$", str(save_path))
            self.saved = int(number[1]) if number else self.saved
        return self

    read = restore

    def expect_partial(self) -> "Checkpoint":
        return self

    assert_consumed = assert_existing_objects_matched = expect_partial


def _state_of(held: Any) -> dict[str, Array]:
    """The arrays of a variable, an optimizer or a model."""
    if isinstance(held, Variable):
        return {"value": held.array}
    if hasattr(held, "apply_gradients"):
        return held.get_state()
    return {f"{i}": variable.array for i, variable in enumerate(held.variables)}


def _restore(held: Any, state: dict[str, Array]) -> None:
    if isinstance(held, Variable):
        held.assign(state["value"])
    elif hasattr(held, "apply_gradients"):
        held.set_state(state)
    else:
        variables = held.variables
        check(len(variables) == len(state), f"{len(variables)} variables", len(state))
        for i, variable in enumerate(variables):
            variable.assign(state[f"{i}"])


class CheckpointManager:
    """Keeps the latest files of a checkpoint in a folder, and deletes the older ones."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        directory: Any,
        max_to_keep: int | None = None,
        checkpoint_name: str = "ckpt",
        **_: Any,
    ) -> None:
        self.checkpoint, self.directory = checkpoint, Path(directory)
        self.name, self.max_to_keep = checkpoint_name, max_to_keep

    @property
    def checkpoints(self) -> list[str]:
        """The files, the oldest first."""
        return _files(self.directory, f"{self.name}-*")

    @property
    def latest_checkpoint(self) -> str | None:
        found = self.checkpoints
        return found[-1] if found else None

    def save(self, checkpoint_number: int | None = None, **_: Any) -> str:
        """Write another file; its path."""
        if checkpoint_number is not None:
            self.checkpoint.saved = int(checkpoint_number) - 1
        path = self.checkpoint.save(self.directory / self.name)
        for old in self.checkpoints[: -self.max_to_keep] if self.max_to_keep else []:
            Path(f"{old}{SUFFIX}").unlink()
        return path

    def restore_or_initialize(self) -> str | None:
        self.checkpoint.restore(self.latest_checkpoint)
        return self.latest_checkpoint


def _files(folder: Path, pattern: str) -> list[str]:
    found = sorted(folder.glob(pattern + SUFFIX), key=lambda path: path.stat().st_mtime_ns)
    return [str(path).removesuffix(SUFFIX) for path in found]


def latest_checkpoint(checkpoint_dir: Any, *_: Any) -> str | None:
    """The newest file of a checkpoint, or of weights that `save_weights` wrote, in a folder."""
    folder = Path(checkpoint_dir)
    if files := _files(folder, "*-*"):
        return files[-1]
    weights = sorted(folder.glob("*.weights.h5"), key=lambda path: path.stat().st_mtime_ns)
    return str(weights[-1]).removesuffix(".weights.h5") if weights else None
