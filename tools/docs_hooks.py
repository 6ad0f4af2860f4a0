"""Lets the site show files that lie outside ``docs/``: pages of the repository's root, and pictures of ``resources/``.

Links to them are written as they work in the repository (``../SECURITY.md``), and one level is taken off for the site.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
# Relative to the root.
SHOWN = ("SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "resources/demo.png")
_LINK = re.compile(r"(\]\()([^)#\s]+)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Adds the files from outside ``docs/``."""
    for name in SHOWN:
        files.append(File(name, str(ROOT), config.site_dir, use_directory_urls=config.use_directory_urls))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Turns links between ``docs/`` and the root into links within the site."""
    source = PurePosixPath(page.file.src_uri)
    from_root = page.file.src_uri in SHOWN

    def moved(link: re.Match[str]) -> str:
        start, target = link.groups()
        if from_root:
            return start + target.removeprefix("docs/")
        outside = "../" * len(source.parts)
        if target.startswith(outside) and target.removeprefix(outside) in SHOWN:
            return start + target.removeprefix("../")
        return link.group()

    return _LINK.sub(moved, markdown)
