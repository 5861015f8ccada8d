"""`splits check` and `splits freeze`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lamer_bench.cli import options, output

app = typer.Typer(no_args_is_help=True)

SuiteName = Annotated[str, typer.Option(help="Name of the suite.")]


@app.command()
def check(suite: SuiteName = "lamer", as_json: options.AsJson = False) -> None:
    """Draw every frozen task again; exit with 1 unless all is as frozen and no split shares a
    task."""
    from lamer_bench import suites

    found = suites.check(suite, progress=output.notice)
    if as_json:
        rows = [{**asdict(row), "duplicates": row.duplicates} for row in found.rows]
        document = {"suite": suite, "is_ok": found.is_ok, "splits": rows}
        output.print_json(document | {"failures": list(found.failures)})
    else:
        columns = ("environment", "split", ">tasks", ">distinct", ">in another split", "frozen")
        rows_shown = [
            (
                row.environment,
                row.split,
                str(row.tasks),
                str(row.distinct),
                str(row.overlaps),
                "as frozen" if row.is_frozen else "CHANGED",
            )
            for row in found.rows
        ]
        output.print_table(columns, rows_shown, f"suite {suite}")
        print("\n".join(found.failures) or "No split shares an instance with another.")
    if not found.is_ok:
        raise typer.Exit(1)


@app.command()
def freeze(
    suite: SuiteName = "lamer",
    version: Annotated[
        int | None, typer.Option(help="Its version; one more than the stored one unless said.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The file; among the shipped suites unless said.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Draw every task of the built-in environments and store what they are (for maintainers)."""
    from lamer_bench import suites

    if version is None:
        version = suites.next_version(suite, out)
    frozen = suites.freeze(suite, version=version, progress=output.notice)
    path = suites.write_suite(frozen, out)
    if as_json:
        output.print_json({"suite": suite, "version": version, "path": str(path)})
    else:
        print(f"Version {version}: {len(frozen.environments)} environments are frozen in {path}.")
