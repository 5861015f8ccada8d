"""Hook of the documentation site: the README is its home page and its file map a page of its own,
and links stay inside the site.

The pages are written to be read in the repository, too, where they link to source files. The site
has none, so such a link becomes its text. Pictures lie beside the pages, in docs/.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
FILE_MAP = "## File map\n"
FROM_README = ("index.md", "file-map.md")
_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def on_files(files: Any, config: Any) -> Any:
    """Add the README as ``index.md``, without its file map, which becomes ``file-map.md``."""
    home, heading, rest = (ROOT / "README.md").read_text(encoding="utf-8").partition(FILE_MAP)
    map_, next_heading, tail = rest.partition("\n## ")
    files.append(File.generated(config, "index.md", content=home + next_heading.lstrip() + tail))
    files.append(File.generated(config, "file-map.md", content=f"# {heading[3:]}{map_}"))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Point links at pages of the site. Without the note of a generated page, which would hide its
    heading from the navigation."""
    markdown = re.sub(r"\A<!-- Generated .*?-->\s*", "", markdown)
    place = (
        "" if page.file.src_uri in FROM_README else f"docs/{posixpath.dirname(page.file.src_uri)}"
    )
    known = {file.src_uri for file in files}
    parts = _FENCE.split(markdown)
    return "".join(
        part
        if part.startswith("```")
        else _LINK.sub(lambda found: link(found, place, known), pictures(part, place))
        for part in parts
    )


def pictures(markdown: str, place: str) -> str:
    """Pictures of the home page, which names them from the repository's root."""
    return markdown if place else re.sub(r'(\]\(|src(?:set)?=")docs/', r"\1", markdown)


def link(found: re.Match[str], place: str, known: set[str]) -> str:
    """A link of a page in the folder ``place`` of the repository, as the site needs it."""
    text, target = found[1], found[2]
    path, hash_sign, anchor = target.partition("#")
    if not path or "://" in path:
        return found[0]
    whole = posixpath.normpath(posixpath.join(place, path))
    uri = "index.md" if whole == "README.md" else whole.removeprefix("docs/")
    if uri not in known or (whole != "README.md" and not whole.startswith("docs/")):
        return text
    home = place.removeprefix("docs").lstrip("/")
    return f"[{text}]({posixpath.relpath(uri, home or '.')}{hash_sign}{anchor})"
