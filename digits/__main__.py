"""The command `digits`: one name for the programs of this library.

digits train --recipe lenet5        digits evaluate runs/lenet5/model.npz
digits read photo.jpg               digits draw               digits list
"""

import sys
from importlib import import_module

from digits.cli import Parser

COMMANDS = {
    "train": ("train_net", "train a network on handwritten digits"),
    "evaluate": ("digits.evaluate", "measure a trained network on the test images"),
    "read": ("predict_image", "read the digits on photographs"),
    "draw": ("digits.page.server", "draw digits on a page in the browser"),
    "list": ("train_net", "describe the networks there are"),
}


def main(arguments: list[str] | None = None) -> int:
    """Hand the rest of the command line to the program of its first word."""
    words = sys.argv[1:] if arguments is None else arguments
    command = words[0] if words else "--help"
    if command not in COMMANDS:
        parser = Parser("digits", usage="digits COMMAND [OPTION ...]")
        for name, (_, purpose) in COMMANDS.items():
            parser.add_argument_group(f"digits {name}", purpose)
        if command.startswith("-"):
            parser.parse_args(words or ["--help"])
        parser.error(f"expected {', '.join(COMMANDS)}; received {command}")
    sys.argv[0] = f"digits {command}"  # how the program names itself
    module, purpose = COMMANDS[command]
    if command == "list":
        Parser("digits list", description=f"{purpose}.".capitalize()).parse_args(words[1:])
        words = ["list", "--list"]
    return import_module(module).main(words[1:])


if __name__ == "__main__":
    sys.exit(main())
