"""`plot`: figures of trainings and run folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from lamer_bench.cli import options, output

LIST = "list"
PROCESSES = 2
"""At most: each takes a quarter of a gigabyte."""


class PlotCommand(TyperCommand):
    """Reads a ``--kind`` without a value at the end as ``--kind list``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [*args, LIST] if args[-1:] == ["--kind"] else args)


def plot(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH...",
            help="Folders of trainings or runs, or folders that hold some.",
            show_default=False,
        ),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="The kind of figure; may be given again. All that the paths hold something for "
            "unless said; `--kind` alone lists them.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the figures.")] = Path("plots"),
    as_json: options.AsJson = False,
) -> None:
    """Draw figures of trainings and runs, and one page with all of them.

    Each figure is an SVG, a PDF and a PNG, with its numbers as CSV beside it. Without --kind,
    report.html holds them all in one file.
    """
    from lamer_bench import plots

    kinds = kind or []
    if LIST in kinds:
        _list_kinds(as_json)
        return
    if not paths:
        raise typer.BadParameter("give at least one folder", param_hint="PATH...")
    files = plots.plot(
        paths, kinds, out, with_report=not kinds, processes=PROCESSES, notice=output.notice
    )
    if as_json:
        output.print_json({"files": [str(file) for file in files]})
    else:
        print("\n".join(map(str, files)))


def _list_kinds(as_json: bool) -> None:
    from lamer_bench.plots import KINDS

    if as_json:
        output.print_json({name: kind.summary for name, kind in KINDS.items()})
        return
    rows = [(name, f"folders of {kind.reads}", kind.summary) for name, kind in KINDS.items()]
    output.print_table(("kind", "reads", ""), rows)
