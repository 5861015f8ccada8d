"""`export`: a run in the formats of others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lamer_bench.cli import options, output


def export(
    run: options.RunDir,
    to: Annotated[str, typer.Option(help="atif, eee, parquet or csv.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="A folder; exports/<environment>-<run>-<format> unless said.", show_default=False
        ),
    ] = None,
    allow_imports: options.AllowImports = False,
    as_json: options.AsJson = False,
) -> None:
    """Write a run as ATIF 1.7, Every Eval Ever 0.2.1, Parquet or CSV.

    ATIF and Every Eval Ever hold the texts of the observations, which a replay brings back.
    """
    from lamer_bench import exports

    files = exports.export(run, to, out, allow_imports=allow_imports)
    if as_json:
        output.print_json({"files": [str(file) for file in files]})
    else:
        print(f"{files[0].parent}  ({len(files)} files)" if len(files) > 3 else
              "\n".join(map(str, files)))  # fmt: skip
