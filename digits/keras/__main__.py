"""Runs a script that imports `keras` or `tensorflow.keras`, as it is, on this library:

python -m digits.keras script.py [arguments]
"""

import runpy
import sys
import warnings
from pathlib import Path

from digits.cli import say, warn
from digits.keras.install import install


def main() -> int:
    """Run the script as Python would; the exit status is the script's, 2 for wrong usage."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        say((__doc__ or "").strip())
        return 0 if len(sys.argv) > 1 else 2
    script = Path(sys.argv[1])
    if not script.is_file():
        warn(f"digits.keras: expected a script; {script} is no file")
        return 2
    install()
    warnings.filterwarnings("ignore", "FigureCanvasAgg is non-interactive")  # plt.show()
    sys.argv = sys.argv[1:]
    sys.path[0] = str(script.resolve().parent)
    runpy.run_path(str(script), run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
