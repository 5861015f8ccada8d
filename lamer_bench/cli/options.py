"""Options that several commands share: each is declared once, with its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lamer_bench.options import split_options

Agent = Annotated[str, typer.Option(help="An agent's name, or module:Class.")]
AgentOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--agent-option",
        metavar="NAME=VALUE",
        help="An option of the agent, such as temperature=0.5; may be given again.",
        show_default=False,
    ),
]
EnvironmentOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--env-option",
        metavar="NAME=VALUE",
        help="An option of the environment, such as data=FOLDER of webshop-paper; may be given "
        "again. The run then belongs to no suite.",
        show_default=False,
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        help="Folder with the published files of webshop-paper: --env-option data=FOLDER.",
        show_default=False,
    ),
]
Environment = Annotated[str, typer.Option(help="minesweeper-hard, or module:Class-level.")]
Split = Annotated[str, typer.Option(help="train, val or test.")]
Episodes = Annotated[int, typer.Option(help="Episodes in a trial: the k of pass@k.")]
MemoryMode = Annotated[
    str | None,
    typer.Option(help="none, history, reflection or both; the agent's default unless said."),
]
Seed = Annotated[int, typer.Option(help="Seed of the agent's own draws.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]

AllowImports = Annotated[
    bool,
    typer.Option(
        "--allow-imports",
        help="Also import a module:Class-level environment, which runs code, and take options of "
        "environments, which may name files.",
    ),
]
RunDir = Annotated[Path, typer.Argument(help="A run folder.", show_default=False)]


def environment_options(texts: list[str] | None, data: Path | None) -> dict[str, str]:
    """What ``--env-option`` and ``--data`` say."""
    named = [] if data is None else [f"data={data.resolve()}"]
    return split_options([*(texts or []), *named])
