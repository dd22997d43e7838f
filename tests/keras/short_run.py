"""Runs a Keras script on this library in little time: `python short_run.py script.py [arguments]`.
Every `fit` takes one epoch on 1,000 images and repeats its logs for the epochs that were asked
for; pictures that the script's author had are replaced by one of a digit.
"""

import re
import runpy
import sys
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from digits.cli import say
from digits.keras import install, training
from digits.keras.data import is_source

IMAGES = 1_000
fit, evaluate = training.Trainer.fit, training.Trainer.evaluate


def short_fit(self: Any, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
    """`fit` for one epoch on the first 1,000 samples."""
    epochs = kwargs.pop("epochs", None) or kwargs.pop("nb_epoch", None) or 1
    if is_source(x):
        steps = max(1, IMAGES // getattr(x, "batch_size", 32))
        kwargs["steps_per_epoch"] = min(kwargs.get("steps_per_epoch") or steps, steps)
    else:
        x, y = cut(x), cut(y)
        if kwargs.get("sample_weight") is not None:
            kwargs["sample_weight"] = cut(kwargs["sample_weight"])
    data = kwargs.get("validation_data")
    if isinstance(data, tuple | list):
        kwargs["validation_data"] = tuple(cut(part)[:1000] for part in data)
    kwargs["initial_epoch"] = 0
    kwargs["epochs"] = 1
    history = fit(self, x, y, *args, **kwargs)
    for name, values in history.history.items():
        history.history[name] = values * int(epochs)
    history.epoch = list(range(int(epochs)))
    return history


def short_evaluate(self: Any, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
    """`evaluate` on the first samples, unless they have weights."""
    whole = is_source(x) or kwargs.get("sample_weight") is not None
    return evaluate(self, *((x, y) if whole else (cut(x), cut(y))), *args, **kwargs)


def cut(x: Any) -> Any:
    """The first samples of an array, or of each of a list of arrays."""
    if isinstance(x, list | tuple) and np.ndim(x[0]) > 1:
        return [cut(part) for part in x]
    return x if x is None else x[:IMAGES]


def draw_pictures(text: str, folder: Path) -> None:
    """Write a picture of a digit under every name that the script has for one."""
    digit = np.full((100, 100, 3), 255, np.uint8)
    cv2.putText(digit, "5", (25, 80), cv2.FONT_HERSHEY_SIMPLEX, 2.5, (0, 0, 0), 8)
    names = re.findall(r"""['"]([^'"\n]+\.(?:png|jpe?g|gif|bmp))['"]""", text)
    names = [n % i if "%d" in n else n for n in names for i in (range(10) if "%d" in n else [0])]
    names += [
        f"{folder}/digit.png" for folder in re.findall(r"""listdir\(['"]([^'"]+)['"]\)""", text)
    ]
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imencode(".png", cv2.resize(digit, (28, 28)))[1].tofile(path)


def main() -> None:
    script = Path(sys.argv[1]).resolve()
    install()
    draw_pictures(script.read_text(encoding="utf-8"), Path.cwd())
    training.Trainer.fit = short_fit  # type: ignore[method-assign]
    training.Trainer.evaluate = short_evaluate  # type: ignore[method-assign]
    warnings.filterwarnings("ignore")
    if "sklearn.model_selection" in script.read_text(encoding="utf-8"):
        import sklearn.model_selection as selection

        whole = selection.cross_validate
        selection.cross_validate = lambda e, x, y, **o: whole(e, x[:600], y[:600], **o)
    sys.argv = sys.argv[1:]
    sys.path[0] = str(script.parent)
    runpy.run_path(str(script), run_name="__main__")
    say("SCRIPT ENDED WELL")


if __name__ == "__main__":
    main()
