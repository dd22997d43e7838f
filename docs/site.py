"""Hooks of mkdocs for the documentation site: formulas become MathML, linked files of source become
pages, and the API reference lists every public name. Nothing is loaded from elsewhere.
"""

import posixpath
import re
import runpy
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import digits

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(?<=\]\()([^):#\s]+)(?=[#)])")
REFERENCE = "reference.md"


def math(source: str, *_: Any, **__: Any) -> str:
    """A block ```math as MathML, which browsers draw without a program."""
    return f'<div class="formula">{convert(source, display="block")}</div>'


def reference() -> str:
    """The page of the API reference: every public name with an example, by module."""
    parts = ["# API reference\n", "`from digits import NAME` gives every name on this page.\n"]
    for module in dict.fromkeys(digits._MODULES.values()):
        parts.append(f"## {module}\n")
        for name in (name for name, home in digits._MODULES.items() if home == module):
            parts += [f"::: {module}.{name}\n", example(name)]
    return "\n".join(parts)


def example(name: str) -> str:
    """The first session of the examples that uses a name, or a program of exchange.md."""
    pages = ("examples.md", "exchange.md")
    text = "".join((ROOT / "docs" / page).read_text("utf-8") for page in pages)
    used = re.compile(rf"^(?!>>> from).*\b{name}\b", re.MULTILINE)
    sessions = re.findall(r"^```python\n.*?^```$", text, re.MULTILINE | re.DOTALL)
    return next((f"Example:\n\n{session}\n" for session in sessions if used.search(session)), "")


def outside(page: str, markdown: str) -> Iterator[tuple[str, Path]]:
    """Links of a page in docs/ to files that are not in docs/, with those files."""
    for link in LINK.findall(markdown):
        target = (ROOT / "docs" / page).parent / link
        if target.exists() and not target.resolve().is_relative_to(ROOT / "docs"):
            yield link, target.resolve().relative_to(ROOT)


def page_of(source: Path) -> str:
    """Where a file of source stands on the site."""
    return f"source/{source.as_posix()}" + (".md" if source.suffix != ".md" else "")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Draw the formulas, and lead to the home of the project, where it has one."""
    fence = {"name": "math", "class": "math", "format": math}
    config.mdx_configs["pymdownx.superfences"] = {"custom_fences": [fence]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    config.repo_url = project.get("urls", {}).get("Homepage")
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the reference, and a page for each file of source that is linked to."""
    files.append(File.generated(config, REFERENCE, content=reference()))
    linked = {
        source
        for file in files.documentation_pages()
        if file.generated_by is None
        for _, source in outside(file.src_uri, file.content_string)
        if (ROOT / source).is_file() and source.suffix == ".py"
    }
    for source in linked:
        code = (ROOT / source).read_text("utf-8")
        content = f"# {source.as_posix()}\n\n````python\n{code}````\n"
        files.append(File.generated(config, page_of(source), content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to source to the pages made of it; others that leave docs/ become plain text."""
    here = posixpath.dirname(page.file.src_uri)
    for link, source in set(outside(page.file.src_uri, markdown)):
        if files.get_file_from_path(page_of(source)):
            path = posixpath.relpath(page_of(source), here or ".")
            markdown = markdown.replace(f"]({link}", f"]({path}")
        else:
            markdown = re.sub(rf"\[([^\]]*)\]\({re.escape(link)}[^)]*\)", r"\1", markdown)
    return markdown


def on_post_build(config: MkDocsConfig) -> None:
    """Add the guide as notebooks, to download."""
    runpy.run_path(str(ROOT / "docs" / "notebooks.py"))["main"](Path(config.site_dir, "notebooks"))
