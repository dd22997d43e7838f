"""Runs each of several Keras scripts in one file on this library, with 640 drawn digits for MNIST:
`python run_texts.py scripts.txt` prints a line of JSON for each. A script begins with "#### name".
"""

import json
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from digits.keras import backend, config, install
from digits.keras.datasets import mnist


def few_digits(dataset: str) -> Any:
    """Noise with a bright row for each class, in the place of a data set."""
    rng = np.random.default_rng(0)
    t = np.arange(640, dtype=np.uint8) % 10
    x = rng.integers(0, 60, (640, 784), dtype=np.uint8)
    for i, label in enumerate(t):
        x[i].reshape(28, 28)[2 * label + 2 : 2 * label + 5] = 250
    return (x, t), (x[:160].copy(), t[:160].copy())


def main() -> None:
    mnist.load_mnist = few_digits  # type: ignore[assignment, attr-defined]
    install()
    warnings.filterwarnings("error")
    warnings.filterwarnings("ignore", category=ResourceWarning)  # files that scripts leave open
    for text in Path(sys.argv[1]).read_text(encoding="utf-8").split("#### ")[1:]:
        name, _, script = text.partition("\n")
        backend.clear_session()
        config.set_image_data_format("channels_last")
        result: dict[str, Any] = {"name": name, "error": None}
        try:
            exec(compile(script, name, "exec"), {"__name__": "__main__"})
        except BaseException:
            result["error"] = traceback.format_exc()
        sys.stdout.write(f"\nRESULT {json.dumps(result)}\n")


if __name__ == "__main__":
    main()
