"""Prints the cheat sheets, docs/cheat-sheet.md and docs/zh/cheat-sheet.md, as PDF files of one page
beside them, with a Chromium that has no window.

    python docs/cheat_sheet.py
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

import markdown

DOCS = Path(__file__).resolve().parent
STYLE = """
@page { size: A4 landscape; margin: 9mm; }
body { font: 7.2pt/1.25 "DejaVu Sans", "Noto Sans CJK SC", sans-serif; color: #22201c; }
h1 { font-size: 13pt; margin: 0 0 1mm; } p { margin: 0 0 1mm; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 0.2mm solid #d6cfc0; padding: 0.55mm 1.5mm 0.55mm 0; text-align: left;
  vertical-align: top; }
td:first-child { font-weight: bold; } td:last-child { background: #eef4fa; padding-left: 1mm; }
code { font: 6.5pt/1.25 "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
"""


def main() -> None:
    """Write both files."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        raise SystemExit("expected a Chromium; found none: apt install chromium")
    for page in (DOCS / "cheat-sheet.md", DOCS / "zh" / "cheat-sheet.md"):
        text = page.read_text("utf-8").replace("[PDF](cheat-sheet.pdf)", "")
        html = markdown.markdown(text, extensions=["tables"])
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "sheet.html")
            source.write_text(
                f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style>{html}', "utf-8"
            )
            flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
            command = [chromium, *flags, f"--print-to-pdf={page.with_suffix('.pdf')}", str(source)]
            subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    main()
