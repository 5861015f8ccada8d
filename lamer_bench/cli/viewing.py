"""`view`: the trials of a run, in a page, behind a server or in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lamer_bench.cli import options, output


def view(
    run: options.RunDir,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The HTML file; views/<environment>-<run>.html unless said.", show_default=False
        ),
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve the page on this machine instead.")
    ] = False,
    port: Annotated[
        int, typer.Option(help="Port for --serve; 0 takes a free one.", min=0, max=65535)
    ] = 0,
    terminal: Annotated[
        bool, typer.Option("--terminal", help="Step through the trials in the terminal instead.")
    ] = False,
    task: Annotated[
        str | None,
        typer.Option(help="A task id: where --terminal begins.", show_default=False),
    ] = None,
    kind: Annotated[str, typer.Option(help="With --task: trial or control.")] = "trial",
    repeat: Annotated[int, typer.Option(help="With --task: which repeat.")] = 0,
    allow_imports: options.AllowImports = False,
) -> None:
    """Look at the trials of a run: one HTML file that needs no network.

    Observations are brought back by replaying the recorded answers.
    """
    from lamer_bench import viewer
    from lamer_bench.viewer.content import Content

    page = None
    if serve or terminal:
        content = Content.of(run, allow_imports=allow_imports)
    else:
        page, content = viewer.write_page(run, out, allow_imports=allow_imports)
    if content.note:
        output.notice(content.note)
    if page:
        size = page.stat().st_size / 1e6
        print(f"{page}  ({len(content.rows)} trials, {content.num_turns} turns, {size:.1f} MB)")
        if content.num_turns > viewer.NUM_TURNS_FOR_A_FILE:
            output.notice(f"For a run of this size: lamer-bench view {run} --serve")
    elif serve:
        _serve(content, port)
    else:
        _walk(content, task, kind, repeat)


def _serve(content: object, port: int) -> None:
    from lamer_bench.viewer.server import Server

    with Server(content, port) as server:  # type: ignore[arg-type]
        print(f"{server.address}  (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def _walk(content: object, task: str | None, kind: str, repeat: int) -> None:
    from lamer_bench.viewer import terminal

    start = terminal.find_row(content, task, kind, repeat)  # type: ignore[arg-type]
    terminal.walk(content, start)  # type: ignore[arg-type]
