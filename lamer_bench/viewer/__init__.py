"""The viewer: a run's trials in one HTML file, behind a small server, or in the terminal.

All three show the same content (`content`): the records with the observations that a replay brings
back. The page loads nothing from a network, its content security policy forbids it to, and texts of
agents reach it as text nodes only.
"""

from __future__ import annotations

from pathlib import Path

from lamer_bench.record import RunFolder, slug
from lamer_bench.viewer.content import Content
from lamer_bench.viewer.page import whole_page

NUM_TURNS_FOR_A_FILE = 100_000
"""Beyond it a page takes seconds to open; `--serve` reads trials one by one."""


def write_page(
    run: RunFolder | str | Path, out: str | Path | None = None, *, allow_imports: bool = False
) -> tuple[Path, Content]:
    """Write a run as one HTML file; returns its path and what it shows.

    ``out`` is ``views/<environment>-<name of the run folder>.html`` unless said.

    Raises:
        RecordError: the run folder is damaged.
    """
    content = Content.of(run, allow_imports=allow_imports)
    path = Path(out) if out is not None else default_path(content)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(whole_page(content), encoding="utf-8")
    return path, content


def default_path(content: Content) -> Path:
    """Where a page is written unless another place is named."""
    words = f"{content.settings.environment}-{content.folder.path.resolve().name}"
    return Path("views", f"{slug(words)}.html")
