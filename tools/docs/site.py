"""Hooks of the site: pages that lie outside ``docs/``, and the links to and from them.

Links in the sources are paths in the repository, so that they work wherever the repository is read. The site
has another layout; every link is rewritten on the way in.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
OUTSIDE = {
    "README.md": "readme.md",
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "s2d_edge/starter/CARD.md": "starter-card.md",
}
_SOURCES = {page: source for source, page in OUTSIDE.items()}
_LINK = re.compile(r"(?P<image>!?)\[(?P<words>[^\]]*)\]\((?P<target>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside ``docs/``."""
    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between pages of the site."""
    return relinked(markdown, page.file.src_uri)


def relinked(markdown: str, page: str) -> str:
    """The text of ``page`` (its path in the site) with links as the site needs them.

    A link to a file of the repository that is no page of the site, such as a script, becomes plain text.
    """
    source = _SOURCES.get(page, f"docs/{page}")

    def link(found: re.Match[str]) -> str:
        target, anchor = found["target"], found["anchor"] or ""
        if ":" in target:
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if path not in OUTSIDE and not path.startswith("docs/"):
            return found["words"] if (ROOT / path).exists() else found[0]
        there = OUTSIDE.get(path, path.removeprefix("docs/"))
        relative = posixpath.relpath(there, posixpath.dirname(page) or ".")
        return f"{found['image']}[{found['words']}]({relative}{anchor})"

    return _LINK.sub(link, markdown)
