"""Draws photographs of handwriting, 50 of each kind and of each habit of writing, with the
`labels.tsv` by which `benchmarks/photos.py` scores them.

    PYTHONPATH=tests python benchmarks/rendered.py FOLDER
"""

import sys
from pathlib import Path

import cv2
import numpy as np
from rendered_photos import HABITS, KINDS, render_habit, render_kind


def main(folder: Path, each: int = 50) -> None:
    """Write the pictures into a folder for each kind, and the table beside them."""
    table = ["kind\tfile\tlabel"]
    for kind in (*KINDS, "habits"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        names = list(HABITS) if kind == "habits" else [kind]
        for name in names:
            for seed in range(each):
                rng = np.random.default_rng([30, seed])
                photo = render_habit(name, rng) if kind == "habits" else render_kind(kind, rng)
                file = f"{name.replace(' ', '-').replace(',', '')}-{seed}.png"
                cv2.imwrite(str(folder / kind / file), photo.picture)
                table.append(f"{kind}\t{file}\t{'-'.join(photo.rows) or 'none'}")
    (folder / "labels.tsv").write_text("\n".join(table) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
